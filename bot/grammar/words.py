"""The words of a request: quoted texts, bare words and breaks, with their positions; nothing is interpreted."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final

from core.edit import split_key

MAX_TEXT_BYTES: Final = 64 * 1024
_CLOSES: Final = {  # what may close what opens: straight, typographic, German, French, backticks
    '"': '"\u201d',
    "'": "'\u2019",
    "`": "`",
    "\u201c": "\u201d\u201c",
    "\u201d": "\u201d",
    "\u201e": "\u201c\u201d",
    "\u2018": "\u2019",
    "\u201a": "\u2018\u2019",
    "\u00ab": "\u00bb",
    "\u00bb": "\u00ab",
    "\u2039": "\u203a",
}
_AFTER_QUOTE: Final = ".,;:!?)"
_FENCE: Final = "```"
_STRAIGHT: Final = str.maketrans("\u201c\u201d\u201e\u2018\u2019\u201a", "\"\"\"'''")
_ALLOWED_CONTROLS: Final = "\n\t\r"
_SELECTORS: Final = frozenset(
    [*range(0xFE00, 0xFE0F), *range(0xE0100, 0xE01F0), 0x034F, 0x115F, 0x1160, 0x3164, 0xFFA0]
)


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """Why a text was not understood, and phrases that would be."""

    reason: str
    can: tuple[str, ...] = ()


class Unclear(Exception):  # noqa: N818 - an outcome on its way out of nested parsers, not a fault
    """A phrase that could not be read, with one sentence saying why."""

    def __init__(self, reason: str, *can: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.can = can


@dataclass(frozen=True, slots=True)
class Word:
    """One bare word, quoted text or break (`;` or a new line), at `[start, end)` of the request."""

    text: str
    start: int
    end: int
    quoted: bool = False
    fenced: bool = False
    ends: str = ""  # "" or the break that this word is: ";" or "\n"

    @property
    def plain(self) -> str:
        """A bare word in small letters without a comma or colon after it; empty for anything else."""
        return "" if self.quoted or self.ends else self.text.rstrip(",:").casefold()


def hidden(text: str) -> str:
    """The name of the first invisible or control character in a text, or an empty string."""
    for char in text:
        if char.isascii() and (char.isprintable() or char in _ALLOWED_CONTROLS):
            continue
        if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") or ord(char) in _SELECTORS:
            return f"U+{ord(char):04X}"
    return ""


def split(text: str) -> list[Word]:
    """The words of a text in one pass; Unclear when a quote is not closed."""
    found: list[Word] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char.isspace():
            if char == "\n" and found and not found[-1].ends:
                found.append(Word("", at, at + 1, ends="\n"))
            at += 1
        elif char == ";":
            found.append(Word("", at, at + 1, ends=";"))
            at += 1
        elif text.startswith(_FENCE, at):
            found.append(_fenced(text, at))
            at = found[-1].end
        elif char in _CLOSES:
            found.append(_quoted(text, at))
            at = found[-1].end
        else:
            found.append(_bare(text, at))
            at = found[-1].end
    return found


def _fenced(text: str, at: int) -> Word:
    """A block between fences, its first line's language word and line break taken off."""
    close = text.find(_FENCE, at + 3)
    if close < 0:
        raise Unclear("A block of ``` is not closed.")
    content = text[at + 3 : close]
    first, line_break, rest = content.partition("\n")
    if line_break and (not first.strip() or first.strip().replace("+", "").replace("-", "").isalnum()):
        content = rest
    return Word(content, at, close + 3, quoted=True, fenced=True)


def _quoted(text: str, at: int) -> Word:
    """A quoted text, up to the first closing mark that ends a word; or a key such as `"a.b".c` that begins so."""
    closes = _CLOSES[text[at]]
    first = True
    for end in range(at + 1, len(text)):
        if text[end] not in closes:
            continue
        if _is_end(text, end + 1):
            return Word(text[at + 1 : end], at, end + 1, quoted=True)
        if first and text[end + 1] in ".[" and _is_key(bare := _bare(text, at)):
            return bare
        first = False
    raise Unclear(f"The quote that begins with {text[at : at + 20]} is not closed.")


def _is_key(word: Word) -> bool:
    try:
        return len(split_key(word.text)) > 1
    except ValueError:
        return False


def _is_end(text: str, at: int) -> bool:
    """Whether a word can end here: white space, the end, or punctuation before them."""
    while at < len(text) and text[at] in _AFTER_QUOTE:
        if text[at] == ";":
            return True
        at += 1
    return at >= len(text) or text[at].isspace()


def _bare(text: str, at: int) -> Word:
    """A word up to white space; quotes after a dot or a bracket belong to it, as in `a."b c".d`."""
    end = at
    while end < len(text) and not text[end].isspace():
        char = text[end]
        if char == ";" and _is_end(text, end):
            break
        opens = char in _CLOSES and (end == at or text[end - 1] in ".[=")
        if opens:
            close = next((i for i in range(end + 1, min(end + 200, len(text))) if text[i] in _CLOSES[char]), -1)
            end = close if close > 0 else end
        end += 1
    said = text[at:end]
    return Word(said.translate(_STRAIGHT) if any(c in said for c in ".[=") else said, at, end)
