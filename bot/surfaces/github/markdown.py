"""Markdown for GitHub in which only our own text has a meaning; pure.

Only letters, digits and a little punctuation stay outside code; any other word becomes a code span. GitHub detects
mentions, references, commits, links and emoji in plain text only, never in code, so all text is inert there
(security.md 142) and still shows what was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby
from typing import Final

from bot.cards.safe import visible
from core.model.shorten import shortened

MAX_CHARACTERS: Final = 65_535
"""The limit of a comment: GitHub answers 422 "Body is too long (maximum is 65536 characters)"."""

_MAX_ESCAPE: Final = 10
"""Characters of the longest escape of one character: a code point in braces."""
_PLAIN: Final = re.compile(r"""[A-Za-z0-9,.;()%+?!'"=:\-\u0080-\U0010ffff]+""")
_TRIGGER: Final = re.compile(
    r"""[A-Za-z]-\d        # GH-1, and what a repository links by itself, such as JIRA-12
    | \b[0-9a-f]{7,64}\b   # a commit
    | www\.
    | :(?=.)               # :emoji:, scheme:
    """,
    re.VERBOSE | re.IGNORECASE,
)
_COMMAND: Final = re.compile(r"/[a-z_]{2,32}")
_ARGUMENT: Final = re.compile(r"(?:#?\d{1,10}|[0-9a-f]{12,64}|[A-Z]{2,})[,.;:)?!]*")
"""A command as we suggest it, and the arguments that may follow: together they are one piece to copy."""
_BLOCK_START: Final = re.compile(r"[^\w]+|\d+[.)]")
"""What makes a line that begins with it a list, a heading or a rule."""
_PUNCTUATED: Final = re.compile(r"""([("']*)(.+?)([,.;:)?!"']*)""", re.DOTALL)


def truncate(text: str, limit: int) -> str:
    """`text` in at most `limit` characters, cut between words with an ellipsis if it is longer."""
    return shortened(text, limit)


def code_span(text: str, limit: int = 300) -> str:
    """`text` as one code span, in which nothing is live; ``(empty)`` if there is none."""
    content = truncate(visible(text), limit)
    if not content.strip():
        return "(empty)"
    fence = "`" * (_longest_run(content, "`") + 1)
    padding = " " if content[0] in " `" or content[-1] in " `" else ""
    return f"{fence}{padding}{content}{padding}{fence}"


def escape_prose(text: str, limit: int = 500) -> str:
    """`text` as one line; words that GitHub could interpret become code spans."""
    words = truncate(visible(" ".join(text.split())), limit).split(" ")
    is_plain = [bool(word) and not _is_live(word, first=n == 0) for n, word in enumerate(words)]
    for n, word in enumerate(words[:-1]):
        if not is_plain[n] and (_COMMAND.fullmatch(word) or (n and _COMMAND.fullmatch(words[n - 1]))):
            is_plain[n + 1] = is_plain[n + 1] and _ARGUMENT.fullmatch(words[n + 1]) is None
    runs = groupby(zip(is_plain, words, strict=True), key=lambda pair: pair[0])
    spans = [(plain, " ".join(word for _, word in run)) for plain, run in runs]
    return " ".join(span if plain else _as_code(span) for plain, span in spans if span.strip())


def escape_paragraphs(text: str) -> str:
    """Several lines of `escape_prose`; line ends and empty lines between them stay."""
    lines = [escape_prose(line, max(1, len(line) * _MAX_ESCAPE)) for line in text.strip().split("\n")]
    result = ""
    for line, next_line in zip(lines, [*lines[1:], ""], strict=True):
        result += f"{line}\\\n" if line and next_line else f"{line}\n"
    return result.rstrip("\n")


def code_block(lines: Iterable[str], language: str = "") -> str:
    """`lines` as one code block, whose fence is longer than any in them."""
    body = "\n".join(visible(line) for line in lines)
    fence = "`" * max(3, _longest_run(body, "`") + 1)
    return f"{fence}{language}\n{body}\n{fence}"


def _as_code(text: str) -> str:
    """Words that could be live, as code; punctuation around them stays outside, existing backticks are kept."""
    before, core, after = _PUNCTUATED.fullmatch(text).groups()  # type: ignore[union-attr]  # it matches anything
    if core[0] == core[-1] == "`" and core.count("`") == 2 and core[1:-1].strip():
        core = core[1:-1]
    return f"{before}{code_span(core, len(core))}{after}"


def _is_live(word: str, *, first: bool) -> bool:
    word = word[1:] if word[:1] == "~" and word[1:2].isdigit() else word  # "~4 min" does not strike anything out
    if _PLAIN.fullmatch(word) is None or _TRIGGER.search(word):
        return True
    return first and _BLOCK_START.fullmatch(word) is not None


def _longest_run(text: str, char: str) -> int:
    """The length of the longest run of `char`."""
    return max((len(run) for run in re.findall(f"{char}+", text)), default=0)
