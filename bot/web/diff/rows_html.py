"""The lines of a file's hunks as rows of an HTML table, unified or in two columns, with gaps that can be expanded."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bot.web.diff.changed_text import changed_ranges, replaced_pairs
from bot.web.diff.highlight import Span
from bot.web.diff.hunks import ADDED, KEPT, REMOVED, Hunk, LineRow
from bot.web.diff.line_html import line_html, text_of

LineKey = tuple[str, int]
"""A line by its side, ``-`` for the file before the change and ``+`` for the one after it, and its number."""

_MINUS: Final = "\N{MINUS SIGN}"
_CLASSES: Final = {ADDED: "add", REMOVED: "del"}


@dataclass(frozen=True, slots=True)
class Gap:
    """Unchanged lines that are not shown: from line `old` and `new`, `count` of them."""

    old: int
    new: int
    count: int


@dataclass(frozen=True, slots=True)
class Margin:
    """What stands beside and below the lines of a file, all of it safe HTML.

    `link` is the start of the address for commenting on a line, which ends with the side's letter and the number;
    without one the numbers are plain. `before` are table rows above a line, `after` table rows below it, by the line's
    side (the sign of a removed line, else that of an added one) and number. `moved` are the lines that stand elsewhere
    in the same change.
    """

    link: str = ""
    before: Mapping[LineKey, str] = field(default_factory=dict)
    after: Mapping[LineKey, str] = field(default_factory=dict)
    moved: Container[LineKey] = ()


PLAIN_MARGIN: Final = Margin()


@dataclass(slots=True)
class FileLines:
    """The lines of both sides of a file, with their colours; `is_crlf` hides the CR where every line ends with it."""

    old: Sequence[bytes]
    new: Sequence[bytes]
    old_spans: Sequence[Sequence[Span]] | None = None
    new_spans: Sequence[Sequence[Span]] | None = None
    is_crlf: bool = False
    margin: Margin = PLAIN_MARGIN
    _marks: dict[tuple[str, int], list[tuple[int, int]]] = field(default_factory=dict)

    def text(self, row: LineRow) -> str:
        """The text of a row."""
        line = self.old[row.old - 1] if row.sign == REMOVED else self.new[row.new - 1]
        text = text_of(line)
        return text.removesuffix("\r") if self.is_crlf else text

    def mark_changes(self, hunks: Sequence[Hunk]) -> None:
        """Find which words changed in the lines of these hunks."""
        for hunk in hunks:
            for removed, added in replaced_pairs(hunk):
                old, new = changed_ranges(self.text(removed), self.text(added))
                self._marks[REMOVED, removed.old], self._marks[ADDED, added.new] = old, new

    def html(self, row: LineRow) -> str:
        """The text of a row as HTML, with a remark if the file ends there without a newline."""
        spans, number = (self.old_spans, row.old) if row.sign == REMOVED else (self.new_spans, row.new)
        marks = self._marks.get((row.sign, number), ())
        shown = line_html(self.text(row), spans[number - 1] if spans else (), marks)
        line = self.old[row.old - 1] if row.sign == REMOVED else self.new[row.new - 1]
        return shown if line.endswith(b"\n") else f"{shown}<i class=eof>no newline at the end</i>"

    def number(self, row: LineRow, side: str) -> str:
        """The number of a row on one side as HTML; where the row can be commented on that side, as a link."""
        number = row.old if side == REMOVED else row.new
        if not self.margin.link or key_of(row) != (side, number):
            return str(number or "")
        letter = "o" if side == REMOVED else "n"
        return f'<a href="{self.margin.link}{letter}{number}" tabindex=-1>{number}</a>'

    def css(self, row: LineRow) -> str:
        """The class of a row: kept, added or removed, and whether it was moved."""
        css = _CLASSES.get(row.sign, "ctx")
        return f'"{css} moved"' if row.sign != KEPT and key_of(row) in self.margin.moved else css


def gaps_of(hunks: Sequence[Hunk], old_lines: int, begins: bool, ends: bool) -> list[Gap | None]:
    """The gap before each hunk and one after the last; None where there is none, or where the slice is cut.

    `begins` and `ends` say whether the hunks are the first and the last of the file.
    """
    gaps: list[Gap | None] = []
    old_at, new_at = 1, 1
    for n, hunk in enumerate(hunks):
        old, new = _start(hunk)
        if old and new and (n or begins):
            count = old - old_at
            gaps.append(Gap(old_at, new_at, count) if count > 0 else None)
        else:
            gaps.append(None)
        old_at, new_at = _end(hunk, old, new)
    count = old_lines - old_at + 1
    gaps.append(Gap(old_at, new_at, count) if ends and hunks and count > 0 else None)
    return gaps


def _start(hunk: Hunk) -> tuple[int, int]:
    """The first line of both sides; a side without lines in the hunk is 0."""
    return next((r.old for r in hunk if r.old), 0), next((r.new for r in hunk if r.new), 0)


def _end(hunk: Hunk, old: int, new: int) -> tuple[int, int]:
    """The lines after a hunk that begins at `old` and `new`."""
    last_old = max((row.old for row in hunk if row.old), default=old - 1)
    last_new = max((row.new for row in hunk if row.new), default=new - 1)
    return last_old + 1, last_new + 1


def key_of(row: LineRow) -> LineKey:
    """The side and the number by which a row is commented on: a kept line is one of the file after the change."""
    return (REMOVED, row.old) if row.sign == REMOVED else (ADDED, row.new)


def unified_rows(lines: FileLines, hunk: Hunk) -> str:
    """The rows of a hunk in three columns: both numbers in one, the sign, the text."""
    margin = lines.margin
    if not (margin.before or margin.after):
        return "".join(_unified_row(lines, row) for row in hunk)
    keys = [key_of(row) for row in hunk]
    rows = zip(keys, hunk, strict=True)
    return "".join(f"{margin.before.get(k, '')}{_unified_row(lines, row)}{margin.after.get(k, '')}" for k, row in rows)


def _unified_row(lines: FileLines, row: LineRow) -> str:
    sign = _MINUS if row.sign == REMOVED else row.sign
    return (
        f"<tr class={lines.css(row)}><td class=n>{lines.number(row, REMOVED)}<td class=n>{lines.number(row, ADDED)}"
        f"<td class=g>{sign}<td class=t>{lines.html(row)}</td>\n"
    )


def split_rows(lines: FileLines, hunk: Hunk) -> str:
    """The rows of a hunk in two columns: a removed line beside the added one that replaces it."""
    pairs = {id(removed): added for removed, added in replaced_pairs(hunk)}
    placed = {id(added) for added in pairs.values()}
    out = []
    for row in hunk:
        if row.sign == KEPT:
            out.append(_split_row(lines, row, row))
        elif row.sign == REMOVED:
            out.append(_split_row(lines, row, pairs.get(id(row))))
        elif id(row) not in placed:
            out.append(_split_row(lines, None, row))
    return "".join(out)


def _split_row(lines: FileLines, left: LineRow | None, right: LineRow | None) -> str:
    css = "ctx" if left is right else "chg"
    keys = [key_of(row) for row in dict.fromkeys((left, right)) if row is not None]
    before = "".join(lines.margin.before.get(key, "") for key in keys)
    after = "".join(lines.margin.after.get(key, "") for key in keys)
    halves = f"{_half(lines, left, REMOVED)}{_half(lines, right, ADDED)}"
    return f"{before}<tr class={css}>{halves}</td>\n{after}"


def _half(lines: FileLines, row: LineRow | None, side: str) -> str:
    if row is None:
        return "<td class=n><td class=none>"
    kind = f"t {lines.css(row).strip(chr(34))}" if row.sign != KEPT else "t"
    return f'<td class=n>{lines.number(row, side)}<td class="{kind}">{lines.html(row)}'
