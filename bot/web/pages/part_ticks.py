"""Checkboxes beside the files and hunks of a diff, for keeping only some; they need no JavaScript."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence

from markupsafe import Markup

from bot.web.diff.files import DiffFile
from bot.web.diff.hunks import Hunk
from bot.web.diff.view import FileTicks
from core.model.hunk_selection import HunkSpan, SelectedHunks

FORM_ID = "pick"
"""The id of the form that the checkboxes belong to, and its field is `FIELD`."""
FIELD = "part"


class PartTicks:
    """The checkboxes of a diff whose parts are `parts`."""

    def __init__(self, parts: Sequence[SelectedHunks]) -> None:
        self._by_path: dict[bytes, list[SelectedHunks]] = defaultdict(list)
        for part in parts:
            self._by_path[part.path].append(part)

    def of(self, file: DiffFile) -> FileTicks:
        """What stands at a file and above its hunks; a file that was renamed is kept or left out with both names."""
        parts = self._by_path[file.new.path]
        sides = dict.fromkeys([file.new.path, file.old.path])
        names = " ".join(self._by_path[path][0].file_id for path in sides)
        hunks = [(part, part.span) for part in parts if part.span is not None]
        return FileTicks(names, lambda hunk: _row(file, hunks, hunk) if hunks else "")


def _row(file: DiffFile, parts: Sequence[tuple[SelectedHunks, HunkSpan]], hunk: Hunk) -> str:
    """The row above a hunk, or above what one part of a page has of it."""
    first = hunk[0]
    begins = [span.old_begin if first.old else span.new_begin for _, span in parts]
    part, _ = parts[max(0, bisect_right(begins, (first.old or first.new) - 1) - 1)]
    row = Markup(
        '<tr class=hunk><td colspan=4><label class=tick><input type=checkbox form={} name={} value="{}" '
        'aria-label="{}: {}"><span>{}</span></label></td>\n'
    )
    where = part.label.rpartition(", ")[2]
    return str(row.format(FORM_ID, FIELD, part.id, file.path, where, where.capitalize()))
