"""Which characters of a changed line differ from the line that it replaces, in whole tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Final

from bot.web.diff.hunks import ADDED, KEPT, REMOVED, Hunk, LineRow

Ranges = list[tuple[int, int]]

MAX_LINE: Final = 1_000
MIN_SIMILARITY: Final = 0.5
"""Below it two lines have little in common, and marks would only distract."""
_TOKEN: Final = re.compile(r"\w+|\s+|.", re.DOTALL)


def replaced_pairs(hunk: Hunk) -> list[tuple[LineRow, LineRow]]:
    """(removed, added) lines that stand for each other: the nth of a block of removals and the nth that follows it."""
    pairs: list[tuple[LineRow, LineRow]] = []
    removed: list[LineRow] = []
    added: list[LineRow] = []
    for row in (*hunk, LineRow(KEPT, 0, 0)):
        if (row.sign == REMOVED and added) or row.sign == KEPT:
            pairs.extend(zip(removed, added, strict=False))
            removed, added = [], []
        if row.sign == REMOVED:
            removed.append(row)
        elif row.sign == ADDED:
            added.append(row)
    return pairs


def changed_ranges(old: str, new: str) -> tuple[Ranges, Ranges]:
    """The ranges of characters that differ, of both lines; none if the lines are long or hardly similar."""
    if len(old) > MAX_LINE or len(new) > MAX_LINE or not old.strip() or not new.strip():
        return [], []
    before, after = _TOKEN.findall(old), _TOKEN.findall(new)
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    if _similarity(before, after, matcher) < MIN_SIMILARITY:
        return [], []
    old_ends, new_ends = _ends(before), _ends(after)
    old_ranges: Ranges = []
    new_ranges: Ranges = []
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag != "equal":
            if a < b:
                old_ranges.append((old_ends[a], old_ends[b]))
            if c < d:
                new_ranges.append((new_ends[c], new_ends[d]))
    return old_ranges, new_ranges


def _similarity(before: Sequence[str], after: Sequence[str], matcher: SequenceMatcher[str]) -> float:
    """How much of both lines is the same, from 0 to 1, without white space."""
    common = sum(
        len(t.strip()) for block in matcher.get_matching_blocks() for t in before[block.a : block.a + block.size]
    )
    return 2 * common / sum(len(token.strip()) for token in (*before, *after))


def _ends(tokens: Sequence[str]) -> list[int]:
    ends = [0]
    for token in tokens:
        ends.append(ends[-1] + len(token))
    return ends
