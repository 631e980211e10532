"""Selecting parts of a staged change: what the parts are, how people name them, and the resulting file contents.

A part is a hunk of a text file whose mode and type stay the same, or else a whole file. Hunks are ranges of lines, read
from git's headings alone; their contents come from the files' own bytes, never from diff text, and headings that do not
fit those bytes are refused (security.md 80).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from core.model.change import ABSENT, FileChange, show_path
from core.model.errors import NotFoundError, PermanentError, UsageError

MAX_WORDS: Final = 1000
_INDEX: Final = re.compile(rb"^index ([0-9a-f]{40})\.\.([0-9a-f]{40})(?: [0-7]{6})?$")
_HEADING: Final = re.compile(rb"^@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@")
_RANGE: Final = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", re.ASCII)
_WORD: Final = re.compile(r'"([^"]*)"|“([^”]*)”|([^\s,"“”][^\s,]*)')

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
    """

    number: int
    path: bytes
    span: HunkSpan | None

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


def parts_of(files: Iterable[FileChange], spans: Spans) -> tuple[SelectedHunks, ...]:
    """The parts of a change, numbered; the same change and diff always give the same numbers."""
    parts: list[SelectedHunks] = []
    for file in sorted(files, key=lambda f: f.path):
        hunks = spans.get((file.old_blob or "", file.new_blob or ""), ()) if _differs_in_lines_only(file) else ()
        before = len(parts)
        selectable = hunks if len(hunks) > 1 else (None,)
        parts += [SelectedHunks(before + n, file.path, span) for n, span in enumerate(selectable, 1)]
    return tuple(parts)


def _differs_in_lines_only(file: FileChange) -> bool:
    """Whether only lines differ: no mode, no type, nothing added or deleted, nothing binary."""
    return ABSENT not in (file.old_mode, file.mode) and file.old_mode == file.mode and file.added is not None


def read_selection(what: str, parts: Sequence[SelectedHunks]) -> frozenset[int]:
    """The numbers of the parts that people selected.

    `what` is ``1,3-5``, ``docs/a.md``, ``docs/`` (everything in it) or ``all``; after ``not`` the same for parts to
    leave out, and with nothing before it, all others. Raises `UsageError` or `NotFoundError` that list the parts.
    """
    words = [next(filter(None, groups), "") for groups in _WORD.findall(what)]
    if not words or len(words) > MAX_WORDS:
        raise UsageError("bad_pick", "nothing is selected", "Write for example 1,3-5 or a file's path.")
    at = next((n for n, word in enumerate(words) if word.lower() in ("not", "without", "except", "but")), len(words))
    included, excluded = words[:at], [word for word in words[at:] if word.lower() not in ("not", "except", "without")]
    if at < len(words) and not excluded:
        raise UsageError("bad_pick", "nothing follows `not`", "Write for example 1-5 not 3.")
    all_numbers = frozenset(part.number for part in parts)
    chosen = _numbers(included, parts) if included else all_numbers
    chosen -= _numbers(excluded, parts)
    if not chosen:
        raise UsageError("bad_pick", "nothing would be left", "Pick at least one hunk, or reject the change.")
    return chosen


def _numbers(words: Sequence[str], parts: Sequence[SelectedHunks]) -> frozenset[int]:
    chosen: set[int] = set()
    for word in words:
        if word.lower() in ("and", "but"):
            continue
        chosen |= _named(word, parts)
    return frozenset(chosen)


def _named(word: str, parts: Sequence[SelectedHunks]) -> set[int]:
    """The parts that one word names; paths win over numbers, because a file may be called 12."""
    paths = {part.number for part in parts if show_path(part.path) == word}
    if not paths and word.endswith("/"):
        paths = {part.number for part in parts if show_path(part.path).startswith(word)}
    if paths:
        return paths
    if word.lower() == "all":
        return {part.number for part in parts}
    match = _RANGE.fullmatch(word)
    if match is None:
        names = ", ".join(dict.fromkeys(show_path(part.path) for part in parts[:20]))
        raise NotFoundError(
            "no_such_part", f"{word[:100]!r} is neither a hunk nor a file of this change", f"Files: {names}."
        )
    first, last = int(match[1]), int(match[2] or match[1])
    if not 1 <= first <= last <= len(parts):
        raise NotFoundError("no_such_part", f"{word} is not among the hunks", f"They are 1 to {len(parts)}.")
    return set(range(first, last + 1))


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
