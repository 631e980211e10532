"""Markdown for GitHub in which nobody's words but ours mean anything; pure.

Only letters, digits and a little punctuation stay outside code; any other word becomes a code span. GitHub looks for
mentions, references, commits, links and emoji in plain words only, never in code, so each is inert there
(security.md 142), and what is shown is still what was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby
from typing import Final

from bot.cards.safe import visible
from core.model.shorten import shortened

MAX_CHARACTERS: Final = 65_535
"""A comment is no longer: GitHub answers 422 "Body is too long (maximum is 65536 characters)"."""

_SPELLED: Final = 10
"""Characters that one is spelled out with at most: a code point in braces."""
_PLAIN: Final = re.compile(r"""[A-Za-z0-9,.;()%+?!'"=:\-\u0080-\U0010ffff]+""")
_MEANS: Final = re.compile(
    r"""[A-Za-z]-\d        # GH-1, and what a repository links by itself, such as JIRA-12
    | \b[0-9a-f]{7,64}\b   # a commit
    | www\.
    | :(?=.)               # :emoji:, scheme:
    """,
    re.VERBOSE | re.IGNORECASE,
)
_COMMAND: Final = re.compile(r"/[a-z_]{2,32}")
_ARGUMENT: Final = re.compile(r"(?:#?\d{1,10}|[0-9a-f]{12,64}|[A-Z]{2,})[,.;:)?!]*")
"""A command as we advise it, and what may follow: together they are one piece to copy."""
_BEGINS: Final = re.compile(r"[^\w]+|\d+[.)]")
"""What makes a list, a heading or a rule of a line that begins with it."""
_EDGES: Final = re.compile(r"""([("']*)(.+?)([,.;:)?!"']*)""", re.DOTALL)


def utf16_length(text: str) -> int:
    """Characters as the strictest counts them: one beyond the basic plane is two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def truncate(text: str, limit: int) -> str:
    """`text`, or its beginning and an ellipsis, in at most `limit` characters; it ends between words."""
    return shortened(text, limit)


def code_span(text: str, limit: int = 300) -> str:
    """`text` as one code span, in which nothing acts; ``(empty)`` when there is none."""
    shown = truncate(visible(text), limit)
    if not shown.strip():
        return "(empty)"
    fence = "`" * (_run(shown, "`") + 1)
    pad = " " if shown[0] in " `" or shown[-1] in " `" else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def escape_prose(text: str, limit: int = 500) -> str:
    """`text` as one line of words; those that could mean something to GitHub are code spans."""
    words = truncate(visible(" ".join(text.split())), limit).split(" ")
    inert = [bool(word) and not _acts(word, first=n == 0) for n, word in enumerate(words)]
    for n, word in enumerate(words[:-1]):
        if not inert[n] and (_COMMAND.fullmatch(word) or (n and _COMMAND.fullmatch(words[n - 1]))):
            inert[n + 1] = inert[n + 1] and _ARGUMENT.fullmatch(words[n + 1]) is None
    runs = groupby(zip(inert, words, strict=True), key=lambda pair: pair[0])
    spans = [(plain, " ".join(word for _, word in run)) for plain, run in runs]
    return " ".join(span if plain else _quoted(span) for plain, span in spans if span.strip())


def escape_paragraphs(text: str) -> str:
    """Several lines of `prose`; their ends and the empty lines between them stay."""
    lines = [escape_prose(line, max(1, len(line) * _SPELLED)) for line in text.strip().split("\n")]
    joined = ""
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        joined += f"{line}\\\n" if line and after else f"{line}\n"
    return joined.rstrip("\n")


def code_block(lines: Iterable[str], language: str = "") -> str:
    """`lines` as one code block, whose fence is longer than any that they have."""
    body = "\n".join(visible(line) for line in lines)
    fence = "`" * max(3, _run(body, "`") + 1)
    return f"{fence}{language}\n{body}\n{fence}"


def _quoted(words: str) -> str:
    """Words that could act, as code; punctuation around them stays outside, backticks around them are ours already."""
    before, core, after = _EDGES.fullmatch(words).groups()  # type: ignore[union-attr]  # it matches anything
    if core[0] == core[-1] == "`" and core.count("`") == 2 and core[1:-1].strip():
        core = core[1:-1]
    return f"{before}{code_span(core, len(core))}{after}"


def _acts(word: str, *, first: bool) -> bool:
    word = word[1:] if word[:1] == "~" and word[1:2].isdigit() else word  # "~4 min" strikes nothing out
    if _PLAIN.fullmatch(word) is None or _MEANS.search(word):
        return True
    return first and _BEGINS.fullmatch(word) is not None


def _run(text: str, char: str) -> int:
    """The longest run of `char`."""
    return max((len(run) for run in re.findall(f"{char}+", text)), default=0)
