"""Reads which lines a diff keeps, removes and adds, as line numbers; the text of each line comes from git's blobs.

`check_complete` compares the numbers with the blobs: applied to the old file they must give exactly the new one. So a
diff that leaves something out, or says something else than the blobs, is never shown (security.md 72-80).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from core.model.errors import PermanentError

_HEADING: Final = re.compile(rb"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@")

KEPT: Final = " "
REMOVED: Final = "-"
ADDED: Final = "+"


@dataclass(frozen=True, slots=True)
class LineRow:
    """One line of a hunk: `sign` is ``+``, ``-`` or a space; `old` and `new` are its numbers from 1, 0 for neither."""

    sign: str
    old: int
    new: int


Hunk = tuple[LineRow, ...]


class UnreadableHunkError(ValueError):
    """The text is not a sequence of hunks."""


def read_hunks(body: bytes) -> tuple[Hunk, ...]:
    """The hunks of one file in git's text; raises `UnreadableHunkError`.

    The counts of each heading decide where the hunk ends, so that no content can look like a heading.
    """
    lines = body.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    hunks, at = [], 0
    while at < len(lines):
        heading = _HEADING.match(lines[at])
        if heading is None:
            raise UnreadableHunkError(f"not a heading: {lines[at][:40]!r}")
        old, removes, new, adds = (1 if group is None else int(group) for group in heading.groups())
        # with a count of 0, git names the line before
        rows, at = _rows(lines, at + 1, (old + (removes == 0), removes), (new + (adds == 0), adds))
        hunks.append(tuple(rows))
    return tuple(hunks)


def _rows(
    lines: Sequence[bytes], at: int, old_side: tuple[int, int], new_side: tuple[int, int]
) -> tuple[list[LineRow], int]:
    """The rows of a hunk whose sides are (first line, number of lines), and where the next one begins."""
    old, old_end = old_side[0], sum(old_side)
    new, new_end = new_side[0], sum(new_side)
    rows: list[LineRow] = []
    while at < len(lines) and (old < old_end or new < new_end or lines[at][:1] == b"\\"):
        sign = lines[at][:1] or b" "
        at += 1
        if sign == b"\\":  # git's remark that the last line has no newline; the blobs show that
            continue
        if sign not in (b" ", b"-", b"+"):
            raise UnreadableHunkError("a line has no sign")
        rows.append(LineRow(sign.decode("ascii"), old if sign != b"+" else 0, new if sign != b"-" else 0))
        old += sign != b"+"
        new += sign != b"-"
    if (old, new) != (old_end, new_end):
        raise UnreadableHunkError("a hunk is shorter or longer than its heading says")
    return rows, at


def whole_file(old_lines: int, new_lines: int) -> tuple[Hunk, ...]:
    """A file as one hunk that removes every old line and adds every new one."""
    removed = (LineRow(REMOVED, n, 0) for n in range(1, old_lines + 1))
    rows = [*removed, *(LineRow(ADDED, 0, n) for n in range(1, new_lines + 1))]
    return (tuple(rows),) if rows else ()


def split_lines(blob: bytes) -> list[bytes]:
    """The lines of a blob, each with its newline; only LF ends a line (security.md 77)."""
    lines = [line + b"\n" for line in blob.split(b"\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def check_complete(hunks: Sequence[Hunk], old: Sequence[bytes], new: Sequence[bytes], path: str) -> None:
    """Check that the hunks, applied to the lines `old`, give exactly `new`; raises `PermanentError`."""
    old_at = new_at = 0
    for row in _with_end(hunks, len(old) + 1, len(new) + 1):
        old_next, new_next = row.old or 0, row.new or 0
        gap = (old_next - 1 if old_next else old_at + (new_next - 1 - new_at)) - old_at
        is_same = gap >= 0 and old[old_at : old_at + gap] == new[new_at : new_at + gap]
        old_at, new_at = old_at + gap, new_at + gap
        is_next = old_next in (0, old_at + 1) and new_next in (0, new_at + 1)
        if row.sign == KEPT and old_at < len(old) and new_at < len(new):
            is_same = is_same and old[old_at] == new[new_at]
        if not (is_same and is_next):
            raise _mismatch(path)
        old_at += bool(old_next)
        new_at += bool(new_next)
    if (old_at, new_at) != (len(old) + 1, len(new) + 1):
        raise _mismatch(path)


def _with_end(hunks: Sequence[Hunk], old: int, new: int) -> Iterator[LineRow]:
    """The rows, and one behind the end of both files."""
    for hunk in hunks:
        yield from hunk
    yield LineRow(KEPT, old, new)


def _mismatch(path: str) -> PermanentError:
    mend = "See it with another program: git diff in a clone, or the attached patch."
    return PermanentError("diff_differs", f"git's diff of {path} does not give the staged bytes", mend)
