"""Finds a text in a file: as a whole word if asked, and never inside a longer number, version or identifier."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_WORD = r"(?<!\w)(?<!\d\.){}(?!\w)(?!\.\d)"
_UNIT = re.compile(r"[^\W\d_]{1,3}(?!\w)")
_IDENTIFIER = re.compile(r"(?=.*(?:\w_\w|\d|[a-z][A-Z]))\w+")
_TOKEN = re.compile(r"[\w.]*")


class Occurrence(NamedTuple):
    """A match `[start, end)` in a text; `inside` is the longer token that it is part of, empty if there is none."""

    start: int
    end: int
    inside: str = ""


def find_occurrences(text: str, searched: str, *, word: bool = False) -> Iterator[Occurrence]:
    """The occurrences of `searched` in `text`, whatever line endings either has; with `word` only whole words."""
    lines = searched.replace("\r\n", "\n").split("\n")
    pattern = r"\r?\n".join(map(re.escape, lines))
    is_exact = not word and (
        searched[0].isdigit() or searched[-1].isdigit() or _IDENTIFIER.fullmatch(searched) is not None
    )
    for match in re.finditer(_word_pattern(pattern, searched) if word else pattern, text):
        start, end = match.span()
        yield Occurrence(start, end, _enclosing_token(text, start, end) if is_exact else "")


def _word_pattern(pattern: str, searched: str) -> str:
    """The pattern between word boundaries; no boundary is needed where the text begins or ends with punctuation."""
    before, after = _WORD.split("{}")
    starts, ends = searched[0].isalnum() or searched[0] == "_", searched[-1].isalnum() or searched[-1] == "_"
    return f"{before if starts else ''}{pattern}{after if ends else ''}"


def _enclosing_token(text: str, start: int, end: int) -> str:
    """The longer number, version or identifier that `[start, end)` is part of; empty when it is a token itself.

    A plain word may be part of a longer word, as `colour` is of `colours`; part of a number or identifier is never
    meant.
    """
    searched = text[start:end]
    if _continues_before(text, start, searched) or _continues_after(text, end, searched):
        first = re.compile(r"[\w.]*\Z").search(text[max(0, start - 40) : start])
        last = _TOKEN.match(text[end : end + 40])
        return (first[0] if first else "") + searched + (last[0] if last else "").rstrip(".")
    return ""


def _continues_before(text: str, start: int, searched: str) -> bool:
    before = text[max(0, start - 2) : start]
    if not searched[0].isdigit():
        return _IDENTIFIER.fullmatch(searched) is not None and _is_word(before[-1:])
    if before[-1:].isdigit() or (before[-1:] == "." and before[:-1].isdigit()):
        return True
    is_version = before[-1:] in ("v", "V") and not _is_word(before[:-1])
    return _is_word(before[-1:]) and searched.isdigit() and not is_version


def _continues_after(text: str, end: int, searched: str) -> bool:
    after = text[end : end + 2]
    if searched[-1].isdigit():
        if after[:1].isdigit() or (after[:1] == "." and after[1:].isdigit()):
            return True
        return searched[0].isdigit() and _is_word(after[:1]) and _UNIT.match(text, end) is None
    return _IDENTIFIER.fullmatch(searched) is not None and _is_word(after[:1])


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"
