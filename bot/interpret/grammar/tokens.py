"""The words of a request: quoted texts, bare words and breaks, with their positions; nothing is interpreted."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Final

from core.model.edits import split_key

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
_OUTSIDE: Final = ".,:!?"
"""Punctuation after a closing mark that belongs to the sentence."""
_APOSTROPHES: Final = "'\u2018\u201a"
_FENCE: Final = "```"
_BRACKETS: Final = {"[": "]", "{": "}"}
_MOST_OPEN_BRACKETS: Final = 16
_STRAIGHT: Final = str.maketrans("\u201c\u201d\u201e\u2018\u2019\u201a", "\"\"\"'''")
_ALLOWED_CONTROLS: Final = "\n\t\r"
_JOINERS: Final = "\u200c\u200d"
_SELECTORS: Final = frozenset(
    [*range(0xFE00, 0xFE0F), *range(0xE0100, 0xE01F0), 0x034F, 0x115F, 0x1160, 0x3164, 0xFFA0]
)


def word_set(words: str) -> frozenset[str]:
    """A set of words that are written one after the other."""
    return frozenset(words.split())


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """Why a text was not understood, and phrases that would be."""

    reason: str
    can: tuple[str, ...] = ()


class UnclearClause(Exception):  # noqa: N818 - an outcome on its way out of nested parsers, not a fault
    """A phrase that could not be read, with one sentence saying why."""

    def __init__(self, reason: str, *can: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.can = can


@dataclass(frozen=True, slots=True)
class Token:
    """One bare word, quoted text or break (`;` or a new line), at `[start, end)` of the request.

    `is_code` is a quoted text in backticks: chat writes code so, and a value in them keeps its type. `after` is the
    sentence's punctuation behind a word that does not hold it.
    """

    text: str
    start: int
    end: int
    is_quoted: bool = False
    is_fenced: bool = False
    separator: str = ""  # "" or the break that this word is: ";" or "\n"
    is_code: bool = False
    after: str = ""

    @property
    def plain(self) -> str:
        """A bare word in small letters without a comma or colon after it; empty for anything else."""
        return "" if self.is_quoted or self.separator else self.text.rstrip(",:").casefold()

    @property
    def is_text(self) -> bool:
        """Whether quotes say that this is text, whatever it looks like."""
        return self.is_quoted and not self.is_code


def hidden_character(text: str) -> str:
    """The name of the first invisible or control character in a text, or an empty string.

    A joiner between two characters beyond ASCII is part of how emoji and many scripts are written, and hides nothing.
    """
    for at, char in enumerate(text):
        if char.isascii() and (char.isprintable() or char in _ALLOWED_CONTROLS):
            continue
        if char in _JOINERS and _joins(text, at):
            continue
        if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") or ord(char) in _SELECTORS:
            return f"U+{ord(char):04X}"
    return ""


def _joins(text: str, at: int) -> bool:
    """Whether the joiner at `at` stands between two visible characters that are not ASCII."""
    around = text[at - 1 : at] + text[at + 1 : at + 2]
    return len(around) == 2 and not any(c.isascii() or unicodedata.category(c) in ("Cf", "Zs", "Cc") for c in around)


def strip_word_joiners(text: str) -> str:
    """The text without U+2060, which our own messages put into names so that no platform makes links of them.

    People copy those messages into requests. Nobody sees the character, so the text without it is what they meant.
    """
    return text.replace("\u2060", "")


def tokenize(text: str) -> list[Token]:
    """The words of a text in one pass; Unclear when a quote is not closed."""
    found: list[Token] = []
    at = unclosed = 0
    while at < len(text):
        char = text[at]
        if char.isspace():
            if char == "\n" and found and not found[-1].separator:
                found.append(Token("", at, at + 1, separator="\n"))
            at += 1
            continue
        word = _listed(text, at) if char in _BRACKETS and unclosed < _MOST_OPEN_BRACKETS else None
        unclosed += char in _BRACKETS and word is None
        if word is not None:
            found.append(_punctuated(text, word))
        elif char == ";":
            found.append(Token("", at, at + 1, separator=";"))
        elif text.startswith(_FENCE, at):
            found.append(_punctuated(text, _fenced(text, at)))
        elif char in _CLOSES:
            found.append(_punctuated(text, _quoted(text, at)))
        else:
            found.append(_bare(text, at))
        at = found[-1].end
    return found


def _punctuated(text: str, word: Token) -> Token:
    """A word with its own end, and the sentence's punctuation that follows it taken to it."""
    end = word.end
    while end < len(text) and text[end] in _OUTSIDE:
        end += 1
    is_outside = end == len(text) or text[end].isspace() or text[end] == ";"
    if not is_outside or (not word.is_quoted and word.text[0] not in _BRACKETS):
        return word
    return replace(word, end=end, after=text[word.end : end])


def _fenced(text: str, at: int) -> Token:
    """A block between fences, its first line's language word and line break taken off; one line of it is code."""
    close = text.find(_FENCE, at + 3)
    if close < 0:
        raise UnclearClause("A block of ``` is not closed.")
    content = text[at + 3 : close]
    first, line_break, rest = content.partition("\n")
    if line_break and (not first.strip() or first.strip().replace("+", "").replace("-", "").isalnum()):
        content = rest
    return Token(content, at, close + 3, is_quoted=True, is_fenced=True, is_code="\n" not in content)


def _listed(text: str, at: int) -> Token | None:
    """A list or mapping such as `["a b", c]` as one bare word; None where its brackets do not end a word."""
    open_brackets: list[str] = []
    end = at
    while end < len(text):
        char = text[end]
        if char in "\"'" and (text[end - 1].isspace() or text[end - 1] in "[{,:"):
            end = _string_end(text, end)
            if end < 0:
                return None
        elif char in _BRACKETS:
            open_brackets.append(_BRACKETS[char])
        elif char in "]}":
            if open_brackets.pop() != char:
                return None
            if not open_brackets:
                return Token(text[at : end + 1], at, end + 1) if _is_end(text, end + 1) else None
        end += 1
    return None


def _string_end(text: str, at: int) -> int:
    """The position of the mark that closes the string at `at`, escaped ones passed over; -1 when there is none."""
    end = at + 1
    while end < len(text) and text[end] != text[at]:
        end += 2 if text[end] == "\\" else 1
    return end if end < len(text) else -1


def _quoted(text: str, at: int) -> Token:
    """A quoted text, up to the first closing mark that ends a word; or a key such as `"a.b".c` that begins so.

    The text is taken as it stands, but for its own quotation mark behind a backslash, which is one of its characters.
    Without the backslash only an apostrophe may stand within it, as in `'don't'`.
    """
    closes = _CLOSES[text[at]]
    first, escaped, inner = True, False, False
    for end in range(at + 1, len(text)):
        if text[end] not in closes:
            continue
        if text[at] != "`" and _is_escaped(text, at, end):
            escaped = True
        elif _is_end(text, end + 1):
            if inner and (escaped or text[at] not in _APOSTROPHES):
                break
            content = text[at + 1 : end]
            said = re.sub(rf"\\([{re.escape(closes)}])", r"\1", content) if escaped else content
            return Token(said, at, end + 1, is_quoted=True, is_code=text[at] == "`")
        elif first and text[end + 1] in ".[" and _is_key(bare := _bare(text, at)):
            return bare
        else:
            first, inner = False, True
    raise UnclearClause(f"I cannot tell where the quote that begins with {text[at : at + 20]} ends; is it closed?")


def _is_escaped(text: str, at: int, end: int) -> bool:
    """Whether an odd number of backslashes stands before the mark at `end` of the quote that began at `at`."""
    before = text[max(at + 1, end - 64) : end]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1


def _is_key(word: Token) -> bool:
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


def _bare(text: str, at: int) -> Token:
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
    return Token(said.translate(_STRAIGHT) if any(c in said for c in ".[=") else said, at, end)
