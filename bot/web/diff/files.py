"""The files of a staged diff in the order of reading, with their hunks, and how they are divided into parts.

One page with a diff of 5 MB would be slow and would be approved unread. So a diff is divided into parts of bounded
size; each is a page, and only a reader who was sent all of them may approve.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from bot.cards.diff import DiffSection, diff_sections
from bot.cards.parts import FileRow
from bot.cards.safe import visible
from bot.web.diff.hunks import ADDED, REMOVED, Hunk, UnreadableHunkError, read_hunks, split_lines, whole_file
from bot.web.diff.moved import MovedLines, find_moved
from core.model.change import ABSENT, GITLINK, FileChange
from core.model.errors import PermanentError
from core.services.staged_diffs import StagedContent

MAX_ROWS: Final = 1200
"""Lines of one part; a longer file goes on in the next one."""
MAX_PART_BYTES: Final = 400_000
"""Bytes of changed lines in one part, about; the division of a part is by lines."""
MAX_CACHED_ROWS: Final = 20_000
_HEADING: Final = re.compile(rb"^@@ ", re.MULTILINE)


@dataclass(frozen=True)
class DiffFile:
    """One changed file, a rename as one: `old` and `new` are its sides, which differ only for a rename.

    `body` are git's hunks, read when a part shows them. Where git has none, all `whole` lines, (before, after), are
    removed and added. Both are empty for a file without lines: a binary, a submodule, an empty file, a mode change.
    """

    index: int
    path: str
    old: FileChange
    new: FileChange
    body: bytes = b""
    whole: tuple[int, int] = (0, 0)

    @cached_property
    def hunks(self) -> tuple[Hunk, ...]:
        """The hunks of the file; raises `PermanentError` if git's cannot be read."""
        if not self.body:
            return whole_file(*self.whole)
        try:
            return read_hunks(self.body)
        except UnreadableHunkError as error:
            mend = "See it with another program: git diff in a clone, or the attached patch."
            raise PermanentError(
                "diff_unreadable", f"git's diff of {self.path} cannot be read: {error}", mend
            ) from error

    @property
    def has_lines(self) -> bool:
        """Whether there are lines to show."""
        return bool(self.body or any(self.whole))

    @property
    def is_rename(self) -> bool:
        """Whether the file had another path before."""
        return self.old is not self.new

    @property
    def old_blob(self) -> str | None:
        """The id of the blob before the change."""
        return None if self.old.old_mode == GITLINK else self.old.old_blob

    @property
    def new_blob(self) -> str | None:
        """The id of the blob after the change."""
        return None if self.new.mode == GITLINK else self.new.new_blob

    @property
    def is_binary(self) -> bool:
        """Whether it has bytes but no lines to show."""
        return not self.has_lines and self.new.added is None and self.new.mode != GITLINK

    def shown_row(self, row: FileRow | None) -> FileRow | None:
        """The facts of the file as a card has them; for a rename with the lines that changed, not all of the file's."""
        if row is None or not self.is_rename:
            return row
        signs = [one.sign for hunk in self.hunks for one in hunk]
        return replace(row, added=signs.count(ADDED), removed=signs.count(REMOVED))

    @cached_property
    def row_count(self) -> int:
        """Lines of all hunks, at least one for the file itself."""
        if not self.body:
            return max(1, sum(self.whole))
        remarks = self.body.count(b"\n\\ ")  # git's, such as that the file has no newline at its end
        return max(1, self.body.count(b"\n") - remarks - len(_HEADING.findall(self.body)))


@dataclass(frozen=True, slots=True)
class Slice:
    """The lines `first` to `last` (exclusive) of a file's hunks."""

    file: DiffFile
    first: int
    last: int

    @property
    def is_whole(self) -> bool:
        """Whether it has the whole file."""
        return self.first == 0 and self.last >= self.file.row_count

    def hunks(self) -> list[Hunk]:
        """The hunks of the slice, cut where it begins and ends."""
        cut, at = [], 0
        for hunk in self.file.hunks:
            part = hunk[max(0, self.first - at) : max(0, self.last - at)]
            at += len(hunk)
            if part:
                cut.append(part)
        return cut


@dataclass(frozen=True, slots=True)
class DividedDiff:
    """All files of a diff, the riskiest first, and its parts; there is always at least one part."""

    digest: str
    files: tuple[DiffFile, ...]
    parts: tuple[tuple[Slice, ...], ...]
    moved: MovedLines


@dataclass(slots=True)
class DiffDivider:
    """Divides diffs; the most recent small ones are cached by their digest."""

    _cache: OrderedDict[str, DividedDiff] = field(default_factory=OrderedDict)

    async def divide(self, digest: str, content: StagedContent, order: Sequence[str]) -> DividedDiff:
        """The divided diff of `content`; the paths in `order` come first, in that order."""
        if digest in self._cache:
            self._cache.move_to_end(digest)
            return self._cache[digest]
        files = await _files(content, order)
        divided = DividedDiff(digest, tuple(files), tuple(_parts(files)), find_moved(files))
        if sum(file.row_count for file in files) <= MAX_CACHED_ROWS:
            self._cache[digest] = divided
            if len(self._cache) > 4:
                self._cache.popitem(last=False)
        return divided


async def _files(content: StagedContent, order: Sequence[str]) -> list[DiffFile]:
    sections = {section.paths[-1]: section for section in diff_sections(content.diff)}
    changes = {visible(change.shown_path): change for change in content.change.files}
    if len(changes) < len(content.change.files):
        mend = "Ask for the change with other file names."
        raise PermanentError("same_name", "two files of the change have names that look the same", mend)
    renamed = {section.paths[0] for section in sections.values() if len(section.paths) == 2}
    rank = {visible(path): position for position, path in enumerate(order)}
    shown = [path for path in changes if not (path in renamed and _is_whole_rename(path, sections, changes))]
    files = []
    for index, path in enumerate(sorted(shown, key=lambda path: rank.get(path, len(rank)))):
        new, section = changes[path], sections.get(path)
        old = new
        if section is not None and len(section.paths) == 2 and _is_whole_rename(section.paths[0], sections, changes):
            old = changes[section.paths[0]]
        elif section is not None and len(section.paths) == 2:
            section = None  # its hunks compare with a file that is shown by itself
        files.append(await _file(content, section, DiffFile(index, path, old, new)))
    return files


def _is_whole_rename(old_path: str, sections: Mapping[str, DiffSection], changes: Mapping[str, FileChange]) -> bool:
    """Whether exactly one file came from a path that is gone, so that both can be shown as one."""
    targets = [s.paths[1] for s in sections.values() if len(s.paths) == 2 and s.paths[0] == old_path]
    old = changes.get(old_path)
    return (
        len(targets) == 1
        and old is not None
        and old.mode == ABSENT
        and targets[0] in changes
        and changes[targets[0]].old_mode == ABSENT
    )


async def _file(content: StagedContent, section: DiffSection | None, file: DiffFile) -> DiffFile:
    """A file with its lines: git's hunks, or all lines of both sides where git has none or two changes for one path."""
    is_other_type = file.new.status == "T"
    has_submodule = GITLINK in (file.old.old_mode, file.new.mode)
    if section is not None and section.body and not is_other_type and not has_submodule:
        return replace(file, body=section.body)
    if not is_other_type and (has_submodule or file.new.added is None or file.old.old_sha256 == file.new.new_sha256):
        return file
    before, after = await content.blob(file.old_blob), await content.blob(file.new_blob)
    if b"\0" in before + after:
        return file
    return replace(file, whole=(len(split_lines(before)), len(split_lines(after))))


def _parts(files: Sequence[DiffFile]) -> list[tuple[Slice, ...]]:
    parts: list[tuple[Slice, ...]] = []
    current: list[Slice] = []
    room = MAX_ROWS
    for file in files:
        first = 0
        limit = _rows_at_once(file)
        while first < file.row_count:
            if room <= 0 or (current and min(file.row_count - first, limit) > room):
                parts.append(tuple(current))
                current, room = [], MAX_ROWS
            last = min(file.row_count, first + min(room, limit))
            current.append(Slice(file, first, last))
            room -= (last - first) * MAX_ROWS // limit
            first = last
    return [*parts, tuple(current)]


def _rows_at_once(file: DiffFile) -> int:
    """How many lines of a file fit into one part, fewer for long lines."""
    average = max(1, len(file.body) // file.row_count)
    return max(1, min(MAX_ROWS, MAX_PART_BYTES // average))
