"""Safe display of untrusted text: no character can act on, hide in, or reorder what a person reads."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any, Final, TypeVar, cast

from core.model.shorten import shortened

T = TypeVar("T")

MAX_MARKS: Final = 4
"""Combining marks kept per letter: more than any living script uses, fewer than needed to paint over a line."""

_BLANK_CHARACTERS: Final = frozenset(
    [
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),  # joiners, fillers, the blank Braille cell
        *range(0x180B, 0x1810),  # Mongolian variation selectors
        *range(0xFE00, 0xFE10),  # variation selectors, which can carry a whole hidden text
        *range(0xE0100, 0xE01F0),
    ]
)
"""Characters that Unicode calls printable and that fonts draw as nothing."""
_EMOJI_STYLE: Final = "\ufe0f"
_WIDE_SPACE: Final = "\u3000"
_DOTTED: Final = "\u25cc"


def visible(text: str) -> str:
    r"""`text` on one line, with each control, invisible or direction-changing character as its code point.

    They are written as by `core.model.change.show_path`, ``\x1b`` and ``\u{202e}``; a byte that is not UTF-8 becomes
    ``\xff``. At most `MAX_MARKS` combining marks per letter are kept and the others counted. Letters, emoji and plain
    spaces stay, so the function is idempotent (security.md 143).
    """
    if text.isascii() and text.isprintable():
        return text
    pieces: list[str] = []
    base, marks = "", 0
    for char in text:
        if is_mark(char):
            if not base:  # it would combine with our text before it
                pieces.append(_DOTTED)
                base = _DOTTED
            marks += 1
            if marks <= MAX_MARKS:
                pieces.append(char)
            continue
        if marks > MAX_MARKS:
            pieces.append(f"[+{marks - MAX_MARKS} marks]")
        is_kept = _is_plain(char) or (char == _EMOJI_STYLE and _is_symbol(base))
        pieces.append(char if is_kept else code_point(char))
        base, marks = (char if is_kept else ""), 0
    if marks > MAX_MARKS:
        pieces.append(f"[+{marks - MAX_MARKS} marks]")
    return "".join(pieces)


def visible_lines(text: str) -> str:
    """Like `visible`, but keeps line breaks."""
    return "\n".join(visible(line) for line in text.splitlines())


def one_line(text: str, limit: int = 500) -> str:
    """`visible` text with white space collapsed; cut between words after `limit` characters."""
    line = visible(" ".join(text.split()))
    return shortened(line, limit)


def count_hidden(text: str) -> int:
    """How many characters of `text` `visible` replaces with code points."""
    if text.isascii() and text.isprintable():
        return 0
    return sum(1 for char in text if not (_is_plain(char) or is_mark(char)))


def code_point(char: str) -> str:
    """The escaped form of a character that must not be printed."""
    point = ord(char)
    if 0xDC80 <= point <= 0xDCFF:  # a byte that is not UTF-8, represented by surrogateescape
        return f"\\x{point - 0xDC00:02x}"
    return f"\\x{point:02x}" if point < 0x100 else f"\\u{{{point:x}}}"


def is_mark(char: str) -> bool:
    """Whether a character combines with the one before it."""
    return not char.isascii() and unicodedata.category(char) in ("Mn", "Me") and ord(char) not in _BLANK_CHARACTERS


def map_text(value: T, change: Callable[[str], str]) -> T:
    """`value` with `change` applied to every text in it, through tuples and dataclasses; enumerations stay."""
    return cast("T", _mapped(value, change))


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if type(value) is str:
        return change(value)
    if isinstance(value, tuple):
        return tuple([_mapped(item, change) for item in value])
    changed = {}
    for name in _field_names(value.__class__):
        old = getattr(value, name)
        new = _mapped(old, change)
        if new is not old and new != old:
            changed[name] = new
    return replace(value, **changed) if changed else value  # most texts stay as they are, and copies are slow


@cache
def _field_names(kind: type) -> tuple[str, ...]:
    """The names of the fields of a dataclass; none for other types."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()


def _is_plain(char: str) -> bool:
    return (char.isprintable() and ord(char) not in _BLANK_CHARACTERS and not is_mark(char)) or char == _WIDE_SPACE


def _is_symbol(char: str) -> bool:
    return bool(char) and (unicodedata.category(char) in ("So", "Sm") or char in "‼⁉")
