"""Splits a request into tokens with their positions: quoted texts, bare words and breaks; nothing is interpreted."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Final

from core.model.dotted_key import split_key

MAX_TEXT_BYTES: Final = 64 * 1024
_CLOSES: Final = {  # opening quote to closing quotes: straight, typographic, German, French, backticks
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
_SENTENCE_PUNCTUATION: Final = ".,:!?"
"""Punctuation after a closing mark that belongs to the sentence."""
_APOSTROPHES: Final = "'\u2018\u201a"
_FENCE: Final = "```"
_BRACKETS: Final = {"[": "]", "{": "}"}
_MAX_OPEN_BRACKETS: Final = 16
_STRAIGHT: Final = str.maketrans("\u201c\u201d\u201e\u2018\u2019\u201a", "\"\"\"'''")
_ALLOWED_CONTROLS: Final = "\n\t\r"
_JOINERS: Final = "\u200c\u200d"
_SELECTORS: Final = frozenset(
    [*range(0xFE00, 0xFE0F), *range(0xE0100, 0xE01F0), 0x034F, 0x115F, 0x1160, 0x3164, 0xFFA0]
)
_ORDINARY_JOINERS: Final = dict.fromkeys((0x200C, 0x200D))
"""The two that are part of ordinary writing: Persian and Indic scripts, and emoji, are not spelled without them."""
_BREAK_ESCAPE = re.compile(r"\\[nt]")
_WINDOWS_PATH = re.compile(r"(?:^|[\s\"'(=])(?:[A-Za-z]:|\\)\\[^\\]")
_BREAKS = {r"\n": "\n", r"\t": "\t"}
_BREAK_IN_WORD = re.compile(r"\w\\[nt][a-z0-9_]")
_DOUBLE_QUOTES = '"\u201c\u201d\u201e\u00ab\u00bb'


def word_set(words: str) -> frozenset[str]:
    """The set of the space-separated words."""
    return frozenset(words.split())


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """Why a text was not understood, and phrases that would be."""

    reason: str
    can: tuple[str, ...] = ()


class UnclearClause(Exception):  # noqa: N818 - an outcome on its way out of nested parsers, not a fault
    """A phrase that could not be read; the message says why."""

    def __init__(self, reason: str, *can: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.can = can


@dataclass(frozen=True, slots=True)
class Token:
    """One bare word, quoted text or break (`;` or a new line), at `[start, end)` of the request.

    `is_code` marks a quoted text in backticks: in chat they mark code, and a value in them keeps its type. `after` is
    the sentence's punctuation after the token, which is not part of it.
    """

    text: str
    start: int
    end: int
    is_quoted: bool = False
    is_fenced: bool = False
    separator: str = ""  # "" or the break that this token is: ";" or "\n"
    is_code: bool = False
    after: str = ""

    @property
    def plain(self) -> str:
        """A bare word in lower case without a comma or colon after it; empty for anything else."""
        return "" if self.is_quoted or self.separator else self.text.rstrip(",:").casefold()

    @property
    def is_text(self) -> bool:
        """Whether quotes mark this as text, whatever it looks like."""
        return self.is_quoted and not self.is_code


def hidden_character(text: str) -> str:
    """The name of the first invisible or control character in a text, or an empty string.

    A joiner between two non-ASCII characters is part of emoji and of many scripts, and hides nothing.
    """
    for index, char in enumerate(text):
        if char.isascii() and (char.isprintable() or char in _ALLOWED_CONTROLS):
            continue
        if char in _JOINERS and _joins(text, index):
            continue
        if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") or ord(char) in _SELECTORS:
            return f"U+{ord(char):04X}"
    return ""


def hidden_text_warning(text: str) -> str:
    """One sentence about the first character of `text` that hides content, or an empty string.

    Those are control characters, direction marks, and the invisible letters of Unicode's tags (security.md 91).
    """
    char = hidden_character(text.translate(_ORDINARY_JOINERS))
    return f"The text holds an invisible character ({char}) that could hide its meaning." if char else ""


def _joins(text: str, at: int) -> bool:
    """Whether the joiner at `at` is between two visible non-ASCII characters."""
    around = text[at - 1 : at] + text[at + 1 : at + 2]
    return len(around) == 2 and not any(
        char.isascii() or unicodedata.category(char) in ("Cf", "Zs", "Cc") for char in around
    )


def strip_word_joiners(text: str) -> str:
    """The text without U+2060, which older versions of our messages inserted to prevent links.

    People copy those messages into requests. The character is invisible, so the text without it is what they meant.
    """
    return text.replace("\u2060", "")


def tokenize(text: str) -> list[Token]:
    """The tokens of a text in one pass; raises `UnclearClause` if a quote is not closed."""
    tokens: list[Token] = []
    position = unclosed = 0
    while position < len(text):
        char = text[position]
        if char.isspace():
            if char == "\n" and tokens and not tokens[-1].separator:
                tokens.append(Token("", position, position + 1, separator="\n"))
            position += 1
            continue
        token = _listed(text, position) if char in _BRACKETS and unclosed < _MAX_OPEN_BRACKETS else None
        unclosed += char in _BRACKETS and token is None
        if token is not None:
            tokens.append(_punctuated(text, token))
        elif char == ";":
            tokens.append(Token("", position, position + 1, separator=";"))
        elif text.startswith(_FENCE, position):
            tokens.append(_punctuated(text, _fenced(text, position)))
        elif char in _CLOSES:
            tokens.append(_punctuated(text, _quoted(text, position)))
        else:
            tokens.append(_bare(text, position))
        position = tokens[-1].end
    return tokens


def _punctuated(text: str, token: Token) -> Token:
    """A token with the sentence's punctuation that follows it moved into `after`."""
    end = token.end
    while end < len(text) and text[end] in _SENTENCE_PUNCTUATION:
        end += 1
    is_outside = end == len(text) or text[end].isspace() or text[end] == ";"
    if not is_outside or (not token.is_quoted and token.text[0] not in _BRACKETS):
        return token
    return replace(token, end=end, after=text[token.end : end])


def _fenced(text: str, at: int) -> Token:
    """A block between fences, without its language word and first line break; a single line is code."""
    closing = text.find(_FENCE, at + 3)
    if closing < 0:
        raise UnclearClause("A block of ``` is not closed.")
    content = text[at + 3 : closing]
    first, line_break, rest = content.partition("\n")
    if line_break and (not first.strip() or first.strip().replace("+", "").replace("-", "").isalnum()):
        content = rest
    return Token(content, at, closing + 3, is_quoted=True, is_fenced=True, is_code="\n" not in content)


def _listed(text: str, at: int) -> Token | None:
    """A list or mapping such as `["a b", c]` as one bare word; None if its brackets do not end a word."""
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
    """The position of the mark that closes the string at `at`, skipping escaped ones; -1 if there is none."""
    end = at + 1
    while end < len(text) and text[end] != text[at]:
        end += 2 if text[end] == "\\" else 1
    return end if end < len(text) else -1


def _quoted(text: str, at: int) -> Token:
    """A quoted text, up to the first closing mark that ends a word; or a key such as `"a.b".c` that begins so.

    The text is taken literally, except that its own quotation mark may be escaped by a backslash. Without the backslash
    only an apostrophe may be within it, as in `'don't'`.
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
            text_in_quotes = re.sub(rf"\\([{re.escape(closes)}])", r"\1", content) if escaped else content
            return Token(text_in_quotes, at, end + 1, is_quoted=True, is_code=text[at] == "`")
        elif first and text[end + 1] in ".[" and _is_key(bare := _bare(text, at)):
            return bare
        else:
            first, inner = False, True
    raise UnclearClause(f"I cannot tell where the quote that begins with {text[at : at + 20]} ends; is it closed?")


def _is_escaped(text: str, at: int, end: int) -> bool:
    """Whether an odd number of backslashes precedes the mark at `end` of the quote that began at `at`."""
    before = text[max(at + 1, end - 64) : end]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1


def _is_key(token: Token) -> bool:
    try:
        return len(split_key(token.text)) > 1
    except ValueError:
        return False


def _is_end(text: str, at: int) -> bool:
    """Whether a token can end here: white space, the end, or punctuation before them."""
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
            closing = next((i for i in range(end + 1, min(end + 200, len(text))) if text[i] in _CLOSES[char]), -1)
            end = closing if closing > 0 else end
        end += 1
    word = text[at:end]
    return Token(word.translate(_STRAIGHT) if any(c in word for c in ".[=") else word, at, end)


def unescape_breaks(request: str, token: Token) -> str:
    r"""The text of a quoted token to write; raises `UnclearClause` if `\n` is ambiguous.

    A text is literal. Only in double quotes, and if it can be nothing else, `\n` is a line break: not in a
    Windows path, not next to other backslashes or quotation marks, as in code, and not within a token.
    """
    text = token.text
    is_double = request[token.start] in _DOUBLE_QUOTES
    if token.is_fenced or not is_double or not _BREAK_ESCAPE.search(text) or _WINDOWS_PATH.search(text):
        return text
    rest = _BREAK_ESCAPE.sub("", text)
    if "\\" in rest or any(mark in rest for mark in "\"'`") or _BREAK_IN_WORD.search(text):
        raise UnclearClause(
            "I cannot tell whether \\n or \\t in this text is a line break, a tab, or just these characters. Write "
            "line breaks as they are, or use 'single quotes' for exactly these characters."
        )
    return _BREAK_ESCAPE.sub(lambda match: _BREAKS[match[0]], text)
