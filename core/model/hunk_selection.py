"""Selecting parts of a staged change: what the parts are, and the resulting file contents.

A part is a hunk of a text file whose mode and type stay the same, or else a whole file. Hunks are ranges of lines, read
from git's headings alone; their contents come from the files' own bytes, never from diff text, and headings that do not
fit those bytes are refused (security.md 80).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from core.model.change import ABSENT, FileChange, show_path
from core.model.errors import PermanentError

_INDEX: Final = re.compile(rb"^index ([0-9a-f]{40})\.\.([0-9a-f]{40})(?: [0-7]{6})?$")
_HEADING: Final = re.compile(rb"^@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@")

ID_DIGITS: Final = 20
"""Hex digits of a part's id: 80 bits, as many as a typed digest needs."""
_DOMAIN: Final = b"countersign-part-v1"

Spans = Mapping[tuple[str, str], tuple["HunkSpan", ...]]
"""The hunks of each pair of blobs (old, new) that a diff compares."""


@dataclass(frozen=True, slots=True)
class HunkSpan:
    """One hunk: the lines ``[old_begin, old_end)`` become the lines ``[new_begin, new_end)``, counted from 0."""

    old_begin: int
    old_end: int
    new_begin: int
    new_end: int


@dataclass(frozen=True, slots=True)
class SelectedHunks:
    """One selectable part: the hunk `span` of a file, or (None) the whole file.

    `number` counts from 1 through the whole change: files in the order of their paths' bytes, hunks in line order.
    `id` and `file_id`, that of all parts of the file together, are those of `part_id`.
    """

    number: int
    path: bytes
    span: HunkSpan | None
    id: str
    file_id: str

    @property
    def label(self) -> str:
        """The part for display: its number, its file and, for a hunk, the lines that it adds or removes."""
        if self.span is None:
            return f"{self.number}: {show_path(self.path)}"
        begin, end = self.span.new_begin + 1, self.span.new_end
        lines = f"lines {begin}-{end}" if end >= begin else f"before line {begin}"
        return f"{self.number}: {show_path(self.path)}, {lines}"


def spans_of(diff: bytes) -> Spans:
    """The hunks in git's diff, by the blobs they compare; needs full object ids (``--full-index``).

    Names are not read, because they can be forged (security.md 72-75). Files with the same two blobs have the same
    hunks.
    """
    hunks: dict[tuple[str, str], list[HunkSpan]] = {}
    current: list[HunkSpan] | None = None
    old_remaining = new_remaining = 0
    for line in diff.split(b"\n"):
        if old_remaining > 0 or new_remaining > 0:  # content, which may look like a header
            old_remaining -= line[:1] in (b" ", b"-", b"")
            new_remaining -= line[:1] in (b" ", b"+", b"")
            continue
        if line.startswith(b"diff --git "):
            current = None
        elif (index := _INDEX.match(line)) is not None:
            current = hunks.setdefault((index[1].decode(), index[2].decode()), [])
            current.clear()
        elif (heading := _HEADING.match(line)) is not None and current is not None:
            span = _span(heading)
            old_remaining, new_remaining = span.old_end - span.old_begin, span.new_end - span.new_begin
            current.append(span)
    return {blobs: tuple(spans) for blobs, spans in hunks.items()}


def _span(heading: re.Match[bytes]) -> HunkSpan:
    """The ranges of a heading; a range without lines names the line before it, so it begins one later."""
    old, new = int(heading[1]), int(heading[3])
    old_count = 1 if heading[2] is None else int(heading[2])
    new_count = 1 if heading[4] is None else int(heading[4])
    old_begin = old - (old_count > 0)
    new_begin = new - (new_count > 0)
    return HunkSpan(old_begin, old_begin + old_count, new_begin, new_begin + new_count)


def part_id(file: FileChange, span: HunkSpan | None) -> str:
    """The id of a hunk of `file`, or (None) of the whole file: a hash of its path, modes, contents and positions.

    Another change, or another division into hunks, has other ids. So an id that is not among those of the staged diff
    is refused and never matched to the nearest part. Every field is preceded by its length.
    """
    where = b"whole" if span is None else b"%d %d %d %d" % (span.old_begin, span.old_end, span.new_begin, span.new_end)
    fields = (
        _DOMAIN,
        file.path,
        file.old_mode.encode(),
        file.mode.encode(),
        (file.old_sha256 or "").encode(),
        (file.new_sha256 or "").encode(),
        where,
    )
    hasher = hashlib.sha256()
    for field in fields:
        hasher.update(len(field).to_bytes(8, "big") + field)
    return hasher.hexdigest()[:ID_DIGITS]


def parts_of(files: Iterable[FileChange], spans: Spans) -> tuple[SelectedHunks, ...]:
    """The parts of a change, numbered; the same change and diff always give the same numbers."""
    parts: list[SelectedHunks] = []
    for file in sorted(files, key=lambda f: f.path):
        hunks = spans.get((file.old_blob or "", file.new_blob or ""), ()) if _differs_in_lines_only(file) else ()
        selectable = hunks if len(hunks) > 1 else (None,)
        file_id = part_id(file, None)
        for number, span in enumerate(selectable, len(parts) + 1):
            own = file_id if span is None else part_id(file, span)
            parts.append(SelectedHunks(number, file.path, span, own, file_id))
    return tuple(parts)


def _differs_in_lines_only(file: FileChange) -> bool:
    """Whether only lines differ: no mode, no type, nothing added or deleted, nothing binary."""
    return ABSENT not in (file.old_mode, file.mode) and file.old_mode == file.mode and file.added is not None


def subset(old: bytes, new: bytes, spans: Sequence[HunkSpan], picked: Iterable[HunkSpan]) -> bytes:
    """`old` with the `picked` ones of all the hunks `spans` that turn it into `new`.

    With all of them it is `new`, with none `old`. Raises `PermanentError` if the hunks are not the difference between
    the two. Lines end with LF alone, so CR, NUL and invalid text stay as they are.
    """
    before, after = lines_of(old), lines_of(new)
    check_spans(before, after, spans)
    chosen = frozenset(picked)
    lines: list[bytes] = []
    position = 0
    for span in spans:
        lines += before[position : span.old_begin]
        lines += after[span.new_begin : span.new_end] if span in chosen else before[span.old_begin : span.old_end]
        position = span.old_end
    return b"".join(lines + before[position:])


def lines_of(content: bytes) -> list[bytes]:
    """The lines of a file with their ends; only the last may lack one."""
    lines = content.split(b"\n")
    last = lines.pop()
    return [line + b"\n" for line in lines] + ([last] if last else [])


def check_spans(before: Sequence[bytes], after: Sequence[bytes], spans: Sequence[HunkSpan]) -> None:
    """Raise `PermanentError` unless the hunks are in order, within both files, and cover every difference."""
    old_at = new_at = 0
    for span in (*spans, HunkSpan(len(before), len(before), len(after), len(after))):
        ordered = old_at <= span.old_begin <= span.old_end <= len(before)
        ordered = ordered and new_at <= span.new_begin <= span.new_end <= len(after)
        if not ordered or before[old_at : span.old_begin] != after[new_at : span.new_begin]:
            raise PermanentError(
                "bad_hunks", "the hunks of the diff do not fit the files", "Pick whole files, or make a new request."
            )
        old_at, new_at = span.old_end, span.new_end
