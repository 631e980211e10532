"""Finds lines that a change removes in one place and adds, byte for byte the same, in another.

It marks lines and hides none. The lines come from git's hunks, which `check_complete` compares with the blobs before
they are shown. The rule is that of git's ``--color-moved=blocks``: a block counts from 20 letters and digits on
(https://git-scm.com/docs/git-diff#Documentation/git-diff.txt---color-movedmode).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from bot.web.diff.hunks import ADDED, KEPT, REMOVED, Hunk

MIN_ALPHANUMERIC: Final = 20
"""Letters and digits that a moved block has at least."""
MAX_ROWS: Final = 20_000
"""Lines of a diff in which moved ones are searched for."""
_MAX_CANDIDATES: Final = 32
"""Places at which a line is looked for; one that is removed more often says little."""


class FileHunks(Protocol):
    """A changed file, as far as its lines matter here."""

    @property
    def index(self) -> int:
        """Its place in the diff."""

    @property
    def path(self) -> str:
        """Its path as people see it."""

    @property
    def body(self) -> bytes:
        """Git's hunks; empty if git has none."""

    @property
    def hunks(self) -> tuple[Hunk, ...]:
        """The same as line numbers."""

    @property
    def row_count(self) -> int:
        """Lines of all hunks."""


@dataclass(frozen=True, slots=True)
class MovedBlock:
    """Lines `first` to `first + count - 1` on side `sign` of a file, and the file and first line of the other place."""

    sign: str
    first: int
    count: int
    other_index: int
    other_path: str
    other_first: int


@dataclass(frozen=True, slots=True)
class MovedLines:
    """The moved blocks of each file, by its index; `was_searched` is false if the diff is too long for that."""

    blocks: Mapping[int, Sequence[MovedBlock]] = field(default_factory=dict)
    was_searched: bool = True


@dataclass(frozen=True, slots=True)
class _Run:
    """Lines that follow each other on one side of a file, all of them removed or all added."""

    file: FileHunks
    first: int
    lines: list[bytes]


def find_moved(files: Sequence[FileHunks]) -> MovedLines:
    """The moved blocks of a diff; each removed line is found in at most one place."""
    if sum(file.row_count for file in files) > MAX_ROWS:
        return MovedLines(was_searched=False)
    runs = [(sign, run) for file in files for sign, run in _runs(file)]
    places: dict[bytes, list[tuple[_Run, int]]] = defaultdict(list)
    for sign, run in runs:
        if sign == REMOVED:
            for at, line in enumerate(run.lines):
                places[line].append((run, at))
    found: dict[int, list[MovedBlock]] = defaultdict(list)
    used: set[tuple[int, int]] = set()
    for sign, run in runs:
        if sign == ADDED:
            for at, source, source_at, count in _blocks(run, places, used):
                old, new = (source.file, source.first + source_at), (run.file, run.first + at)
                found[old[0].index].append(_block(REMOVED, old, count, new))
                found[new[0].index].append(_block(ADDED, new, count, old))
    return MovedLines(dict(found))


def _block(sign: str, here: tuple[FileHunks, int], count: int, there: tuple[FileHunks, int]) -> MovedBlock:
    return MovedBlock(sign, here[1], count, there[0].index, there[0].path, there[1])


def _blocks(
    run: _Run, places: Mapping[bytes, Sequence[tuple[_Run, int]]], used: set[tuple[int, int]]
) -> Iterator[tuple[int, _Run, int, int]]:
    """The blocks of an added run: where it begins, the removed run and where in that, and its number of lines."""
    at = 0
    while at < len(run.lines):
        best: tuple[int, _Run, int] | None = None
        if _alphanumeric(run.lines[at]):
            for source, source_at in places.get(run.lines[at], ())[:_MAX_CANDIDATES]:
                count = _common(run, at, source, source_at, used)
                if best is None or count > best[0]:
                    best = (count, source, source_at)
        if best is None or sum(map(_alphanumeric, run.lines[at : at + best[0]])) < MIN_ALPHANUMERIC:
            at += 1
            continue
        count, source, source_at = best
        used.update((id(source), n) for n in range(source_at, source_at + count))
        yield at, source, source_at, count
        at += count


def _common(run: _Run, at: int, source: _Run, source_at: int, used: set[tuple[int, int]]) -> int:
    """How many lines are the same from `at` and `source_at` on, without those that were found elsewhere."""
    count = 0
    for new, old in zip(run.lines[at:], source.lines[source_at:], strict=False):
        if new != old or (id(source), source_at + count) in used:
            break
        count += 1
    return count


def _alphanumeric(line: bytes) -> int:
    return sum(1 for byte in line if byte >= 0x80 or chr(byte).isalnum())


def _runs(file: FileHunks) -> Iterator[tuple[str, _Run]]:
    """The runs of removed and added lines of a file, with git's bytes of each line."""
    if not file.body:
        return
    contents = (line[1:] for line in file.body.split(b"\n") if line[:1] not in (b"@", b"\\"))
    sign, run = KEPT, _Run(file, 0, [])
    for hunk in file.hunks:
        for row in hunk:
            content = next(contents)
            if row.sign != sign:
                if run.lines:
                    yield sign, run
                sign, run = row.sign, _Run(file, row.old if row.sign == REMOVED else row.new, [])
            if row.sign != KEPT:
                run.lines.append(content)
        if run.lines:
            yield sign, run
        sign, run = KEPT, _Run(file, 0, [])
