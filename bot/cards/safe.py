"""Safe text: what others wrote, so that no character of it acts on, hides in, or reorders what a person reads."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final, TypeVar, cast

from core.model.shorten import shortened

T = TypeVar("T")

MAX_MARKS: Final = 4
"""Combining marks kept on one letter: more than any living script stacks, fewer than it takes to paint over a line."""

_BLANK: Final = frozenset(
    [
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),  # joiners, fillers, the blank Braille cell
        *range(0x180B, 0x1810),  # Mongolian variation selectors
        *range(0xFE00, 0xFE10),  # variation selectors, which can carry a whole hidden text
        *range(0xE0100, 0xE01F0),
    ]
)
"""Characters that Unicode calls printable and no font draws."""
_EMOJI_STYLE: Final = "\ufe0f"
_WIDE_SPACE: Final = "\u3000"
_DOTTED: Final = "\u25cc"


def visible(text: str) -> str:
    r"""`text` on one line: each control, invisible or direction-changing character as its code point.

    They are spelled as `core.model.change.show_path` does, ``\x1b`` and ``\u{202e}``; a byte that was no UTF-8 becomes
    ``\xff``. Of the combining marks on one letter `MAX_MARKS` are kept and the others counted. Letters, emoji and
    plain spaces stay as they are, so the function leaves its own results alone (security.md 143).
    """
    if text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    base, marks = "", 0
    for char in text:
        if is_mark(char):
            if not base:  # nothing of this text to sit on: it would be drawn onto ours
                shown.append(_DOTTED)
                base = _DOTTED
            marks += 1
            if marks <= MAX_MARKS:
                shown.append(char)
            continue
        if marks > MAX_MARKS:
            shown.append(f"[+{marks - MAX_MARKS} marks]")
        kept = _is_plain(char) or (char == _EMOJI_STYLE and _is_symbol(base))
        shown.append(char if kept else code_point(char))
        base, marks = (char if kept else ""), 0
    if marks > MAX_MARKS:
        shown.append(f"[+{marks - MAX_MARKS} marks]")
    return "".join(shown)


def visible_lines(text: str) -> str:
    """`visible` text that keeps its lines."""
    return "\n".join(visible(line) for line in text.splitlines())


def one_line(text: str, limit: int = 500) -> str:
    """`visible` prose: any white space becomes one space; what has more than `limit` characters ends between words."""
    line = visible(" ".join(text.split()))
    return shortened(line, limit)


def count_hidden(text: str) -> int:
    """How many characters of `text` `visible` has to spell out."""
    if text.isascii() and text.isprintable():
        return 0
    return sum(1 for char in text if not (_is_plain(char) or is_mark(char)))


def code_point(char: str) -> str:
    """How a character that must not be printed is spelled."""
    point = ord(char)
    if 0xDC80 <= point <= 0xDCFF:  # one byte that was not UTF-8, as surrogateescape keeps it
        return f"\\x{point - 0xDC00:02x}"
    return f"\\x{point:02x}" if point < 0x100 else f"\\u{{{point:x}}}"


def is_mark(char: str) -> bool:
    """True for a character drawn onto the one before it."""
    return not char.isascii() and unicodedata.category(char) in ("Mn", "Me") and ord(char) not in _BLANK


def map_text(value: T, change: Callable[[str], str]) -> T:
    """`value` with `change` applied to every text in it, through tuples and dataclasses; enumerations stay."""
    return cast("T", _mapped(value, change))


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if type(value) is str:
        return change(value)
    if isinstance(value, tuple):
        return tuple(_mapped(item, change) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _mapped(getattr(value, f.name), change) for f in fields(value)})
    return value


def _is_plain(char: str) -> bool:
    return (char.isprintable() and ord(char) not in _BLANK and not is_mark(char)) or char == _WIDE_SPACE


def _is_symbol(char: str) -> bool:
    return bool(char) and (unicodedata.category(char) in ("So", "Sm") or char in "‼⁉")
