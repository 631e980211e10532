"""A part of a diff as the page shows it: reads the blobs, checks them against the hunks, and renders the rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bot.cards.parts import FileRow
from bot.cards.safe import visible
from bot.web.diff.files import DiffFile, Slice
from bot.web.diff.highlight import spans_of
from bot.web.diff.hunks import KEPT, Hunk, LineRow, check_complete, split_lines
from bot.web.diff.line_html import has_odd
from bot.web.diff.rows_html import PLAIN_MARGIN, FileLines, Gap, Margin, gaps_of, split_rows, unified_rows
from core.model.change import ABSENT, GITLINK, is_lfs_pointer
from core.model.risk import RiskLevel
from core.services.staged_diffs import StagedContent

UNIFIED: Final = "unified"
SPLIT: Final = "split"
VIEWS: Final = (UNIFIED, SPLIT)
EXPANDED: Final = 20
"""Lines that one click expands."""
_MODES: Final = {"100644": "file", "100755": "executable", "120000": "symlink", "160000": "submodule"}

GapLink = Callable[[DiffFile, Gap], str]
"""The HTML inside the row of a gap: a link that expands it."""


def no_margin(_file: DiffFile) -> Margin:
    """Nothing beside the lines."""
    return PLAIN_MARGIN


@dataclass(frozen=True, slots=True)
class FileTicks:
    """The checkboxes of a file: the value of its own, empty for none, and the table row above each of its hunks."""

    value: str = ""
    row_above: Callable[[Hunk], str] = lambda _hunk: ""


NO_TICKS: Final = FileTicks()


def no_ticks(_file: DiffFile) -> FileTicks:
    """No checkboxes."""
    return NO_TICKS


@dataclass(frozen=True, slots=True)
class DiffFrame:
    """What surrounds the lines of a diff on a page.

    The view, how gaps are expanded, and the margin and the checkboxes of each file.
    """

    view: str
    gap_link: GapLink
    margin_of: Callable[[DiffFile], Margin] = no_margin
    ticks_of: Callable[[DiffFile], FileTicks] = no_ticks


@dataclass(frozen=True, slots=True)
class FileView:
    """A file of a part: its facts, and its rows as safe HTML; `odd_lines` counts lines with odd characters.

    `tick` is the value of its checkbox; without one there is none.
    """

    file: DiffFile
    row: FileRow | None
    notes: tuple[str, ...]
    html: str
    is_cut: bool
    odd_lines: int
    tick: str = ""

    @property
    def level(self) -> str:
        """How risky it is."""
        return self.row.level.value if self.row else RiskLevel.LOW.value


async def view_part(
    content: StagedContent, part: Sequence[Slice], rows: Mapping[str, FileRow], frame: DiffFrame
) -> list[FileView]:
    """The files of a part; raises `PermanentError` if git's diff does not give the staged bytes."""
    return [await _view(content, one, one.file.shown_row(rows.get(one.file.path)), frame) for one in part]


async def read_lines(content: StagedContent, file: DiffFile) -> FileLines:
    """The lines of a file, checked against its hunks and coloured."""
    before, after = await content.blob(file.old_blob), await content.blob(file.new_blob)
    old, new = split_lines(before), split_lines(after)
    check_complete(file.hunks, old, new, file.path)
    is_crlf = all(line.endswith(b"\r\n") for line in (*old, *new)) and bool(old or new)
    return FileLines(old, new, _spans(file.path, before), _spans(file.path, after), is_crlf)


def _spans(path: str, blob: bytes) -> Sequence[Sequence[tuple[int, int, str]]] | None:
    return spans_of(path, blob.decode("utf-8", "surrogateescape")) if blob else None


async def _view(content: StagedContent, part: Slice, row: FileRow | None, frame: DiffFrame) -> FileView:
    file, ticks = part.file, frame.ticks_of(part.file)
    if not file.has_lines:
        return FileView(file, row, await _notes(content, file, is_crlf=False), "", not part.is_whole, 0, ticks.value)
    lines = await read_lines(content, file)
    lines.margin = frame.margin_of(file)
    hunks = part.hunks()
    gaps = [_gap_row(file, gap, frame.gap_link) for gap in _gaps(part, hunks, len(lines.old))]
    gaps = [*map(str.__add__, gaps, map(ticks.row_above, hunks)), *gaps[len(hunks) :]]
    html = rendered(lines, hunks, frame.view, gaps)
    odd = sum(1 for hunk in hunks for one in hunk if one.sign != KEPT and has_odd(lines.text(one)))
    notes = await _notes(content, file, is_crlf=lines.is_crlf)
    return FileView(file, row, notes, html, not part.is_whole, odd, ticks.value)


def rendered(lines: FileLines, hunks: Sequence[Hunk], view: str, gap_rows: Sequence[str]) -> str:
    """The hunks as table rows, with the rows of gaps before, between and after them."""
    lines.mark_changes(hunks)
    render = split_rows if view == SPLIT else unified_rows
    out = []
    for n, hunk in enumerate(hunks):
        out += [gap_rows[n], render(lines, hunk)]
    return "".join([*out, *gap_rows[len(hunks) :]])


def context_hunk(old: int, new: int, count: int, lines: FileLines) -> Hunk:
    """`count` unchanged lines from `old` and `new` on, as far as both sides have them and are equal there."""
    rows = []
    for n in range(count):
        if not (0 < old + n <= len(lines.old) and 0 < new + n <= len(lines.new)):
            break
        if lines.old[old + n - 1] != lines.new[new + n - 1]:
            break
        rows.append(LineRow(KEPT, old + n, new + n))
    return tuple(rows)


def whole_hunk(file: DiffFile, lines: FileLines) -> Hunk:
    """All lines of a file, changed or not, as one hunk."""
    rows: list[LineRow] = []
    old = new = 1
    for hunk in file.hunks:
        for row in hunk:
            while (row.old and old < row.old) or (row.new and new < row.new):
                rows.append(LineRow(KEPT, old, new))
                old, new = old + 1, new + 1
            rows.append(row)
            old, new = old + bool(row.old), new + bool(row.new)
    rest = len(lines.new) - new + 1
    return (*rows, *(LineRow(KEPT, old + n, new + n) for n in range(rest)))


def _gaps(part: Slice, hunks: Sequence[Hunk], old_lines: int) -> list[Gap | None]:
    file = part.file
    if ABSENT in (file.old.old_mode, file.new.mode):
        return [None] * (len(hunks) + 1)
    return gaps_of(hunks, old_lines, begins=part.first == 0, ends=part.last >= file.row_count)


def _gap_row(file: DiffFile, gap: Gap | None, gap_link: GapLink) -> str:
    return "" if gap is None else f"<tr class=gap><td colspan=4>{gap_link(file, gap)}</td>\n"


async def _notes(content: StagedContent, file: DiffFile, *, is_crlf: bool) -> tuple[str, ...]:
    """What is to say of a file beside its lines."""
    old_mode, mode = file.old.old_mode, file.new.mode
    notes = [f"renamed from {visible(file.old.shown_path)}"] if file.is_rename else []
    if old_mode == ABSENT and not file.is_rename:
        notes.append(f"new {_MODES.get(mode, mode)}")
    elif mode == ABSENT:
        notes.append("deleted")
    elif old_mode != mode:
        notes.append(f"{_MODES.get(old_mode, old_mode)} becomes {_MODES.get(mode, mode)}")
    if GITLINK in (old_mode, mode):
        commits = [file.old.old_blob, file.new.new_blob]
        notes.append(f"submodule, commit {' to '.join(commit for commit in commits if commit)}")
    elif not file.has_lines:
        notes.append(_no_lines(file))
    elif await _is_lfs_pointer(content, file):
        notes.append("a Git LFS pointer: the content is not in git")
    return (*notes, "CRLF line ends") if is_crlf else tuple(notes)


async def _is_lfs_pointer(content: StagedContent, file: DiffFile) -> bool:
    return any([is_lfs_pointer(await content.blob(oid)) for oid in (file.old_blob, file.new_blob)])


def _no_lines(file: DiffFile) -> str:
    """Why a file has no lines to show."""
    if file.old.old_sha256 == file.new.new_sha256:
        return "its content does not change"
    if not (file.old.old_size or file.new.new_size):
        return "empty"
    return f"binary, {file.old.old_size:,} to {file.new.new_size:,} bytes; download it to look at it"
