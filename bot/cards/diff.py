"""The diff for display: its files, hunks and lines. No decision is based on it; the guard reads trees.

`unidiff` only reads the hunks: file names, which it gets wrong (security.md 72-75), are read here from git's own
header, and what it cannot parse is shown unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Final

from bot.cards.reordering import count_reordered, reordering_warning
from bot.cards.safe import count_hidden, visible
from core.model.change import show_path

MAX_LINES: Final = 60
MAX_COLUMNS: Final = 500
_TAB: Final = 4
_SECTION: Final = re.compile(rb"^diff --git ", re.MULTILINE)
_HUNK: Final = re.compile(rb"^@@ ", re.MULTILINE)
_HUNK_RANGES: Final = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
_LONG_SECTION: Final = 2000
"""Lines of one file from which on only the shown lines are parsed."""
_ESCAPE: Final = re.compile(rb'\\([abtnvfr"\\]|[0-7]{3})')
_ESCAPED_BYTES: Final = {b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r"}
_MODES: Final = {"100644": "file", "100755": "executable", "120000": "symlink", "160000": "submodule"}


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line: `sign` is ``+``, ``-``, a space, ``@`` (a hunk heading) or a backslash (git's remark).

    `number` is the line number in the new file, for a removed line in the old one; `omitted_chars` counts cut
    characters.
    """

    sign: str
    number: int | None
    text: str
    omitted_chars: int = 0


@dataclass(frozen=True, slots=True)
class FileDiff:
    """One file's part of the diff.

    `paths` is its path, or the old and new path of a rename. `notes` are git's remarks about the file; `escaped_count`
    is the number of characters shown as code points.
    """

    paths: tuple[str, ...]
    notes: tuple[str, ...]
    lines: tuple[DiffLine, ...]
    escaped_count: int


@dataclass(frozen=True, slots=True)
class DiffView:
    """The shown part of a diff, and how much of it is omitted.

    `omitted_lines` includes those of the `omitted_files`; `cut_lines` are shown in part. `reordered_lines` counts the
    added lines of the whole diff, shown or not, that change the direction of text.
    """

    files: tuple[FileDiff, ...]
    omitted_files: int
    omitted_lines: int
    cut_lines: int
    escaped_count: int
    reordered_lines: int = 0

    @property
    def warning(self) -> str:
        """The warning to read first, about lines that reorder text; empty if there is none."""
        return reordering_warning(self.reordered_lines)

    @property
    def escaped_note(self) -> str:
        """A sentence that characters are shown as code points; empty if none is."""
        is_plural = self.escaped_count != 1
        text = f"{self.escaped_count} invisible or control character{'s are' if is_plural else ' is'} spelled out"
        return text if self.escaped_count else ""

    def count_hidden_lines(self, paths: Iterable[str]) -> int:
        """How many lines a reader does not see in full; at least one for each missing path of `paths`."""
        missing = set(paths).difference(*(file.paths for file in self.files))
        return max(self.omitted_lines, self.omitted_files, len(missing)) + self.cut_lines


def read_diff(
    diff: bytes,
    *,
    first: Sequence[str] = (),
    max_lines: int | None = MAX_LINES,
    max_columns: int | None = MAX_COLUMNS,
) -> DiffView:
    """Parse git's `diff`; the files named in `first` (as in a card's rows) come first, in that order.

    `max_lines` bounds the lines of all files together and `max_columns` each line; None shows everything. Time and
    memory depend on what is shown, not on the whole diff.
    """
    rank = {path: position for position, path in enumerate(first)}
    sections = sorted(diff_sections(diff), key=lambda section: min(rank.get(path, len(rank)) for path in section.paths))
    files: list[FileDiff] = []
    budget = max_lines
    for section in sections:
        if budget is not None and budget <= 0:
            break
        file = _file(section, budget, max_columns)
        files.append(file)
        budget = None if budget is None else budget - len(file.lines) - 1
    line_count = sum(1 for file in files for line in file.lines if line.sign != "@")
    return DiffView(
        files=tuple(files),
        omitted_files=len(sections) - len(files),
        omitted_lines=sum(section.line_count for section in sections) - line_count,
        cut_lines=sum(1 for file in files for line in file.lines if line.omitted_chars),
        escaped_count=sum(file.escaped_count for file in files),
        reordered_lines=count_reordered(diff),
    )


@dataclass(frozen=True, slots=True)
class DiffSection:
    """One file's part of git's text: the header lines, and the hunks as bytes."""

    paths: tuple[str, ...]
    header: tuple[bytes, ...]
    body: bytes

    @property
    def line_count(self) -> int:
        """Lines of content in the hunks, without headings."""
        return (
            self.body.count(b"\n") + (not self.body.endswith(b"\n") and bool(self.body)) - len(_HUNK.findall(self.body))
        )


def diff_sections(diff: bytes) -> list[DiffSection]:
    """The files of git's text, in its order."""
    starts = [match.start() for match in _SECTION.finditer(diff)]
    sections = []
    for start, end in pairwise([*starts, len(diff)]):
        hunk = _HUNK.search(diff, start, end)
        body_start = hunk.start() if hunk else end
        header = tuple(diff[start:body_start].split(b"\n"))
        sections.append(DiffSection(_paths(header), header, diff[body_start:end]))
    return sections


def _paths(header: Sequence[bytes]) -> tuple[str, ...]:
    """The path, or the old and new path of a rename, from lines that name only one path if possible."""
    marked_paths = {
        line.partition(b" ")[0]: line.partition(b" ")[2] for line in header[1:] if line[:4] in (b"--- ", b"+++ ")
    }
    for old, new in ((b"rename from ", b"rename to "), (b"copy from ", b"copy to ")):
        both = [_unquoted(line[len(prefix) :]) for prefix in (old, new) for line in header if line.startswith(prefix)]
        if len(both) == 2:
            return _display_path(both[0]), _display_path(both[1])
    for prefix in (b"+++", b"---"):
        path = _unquoted(marked_paths.get(prefix, b"/dev/null").removesuffix(b"\t"))
        if path != b"/dev/null":
            return (_display_path(path[2:]),)
    both_sides = header[0].removeprefix(b"diff --git ")  # "a/P b/P": the same path twice, of equal length
    half = both_sides[: (len(both_sides) - 1) // 2]
    return (_display_path(_unquoted(half)[2:]),)


def _display_path(path: bytes) -> str:
    """A path as a card's file rows show it."""
    return visible(show_path(path))


def _unquoted(name: bytes) -> bytes:
    """A name as git prints it: C-quoted if it has unusual bytes."""
    if not (len(name) > 1 and name.startswith(b'"') and name.endswith(b'"')):
        return name
    return _ESCAPE.sub(
        lambda m: _ESCAPED_BYTES.get(m[1]) or (m[1] if len(m[1]) == 1 else bytes([int(m[1], 8) & 255])), name[1:-1]
    )


def _file(section: DiffSection, budget: int | None, max_columns: int | None) -> FileDiff:
    is_crlf = _all_crlf(section.body)
    notes = [*_notes(section)]
    if is_crlf:
        notes.append("CRLF line ends")
    lines: list[DiffLine] = []
    strange = 0
    for sign, number, text in islice(_lines(section, budget), budget):
        content = text.removesuffix("\r") if is_crlf else text
        strange += count_hidden(content.replace("\t", ""))
        lines.append(_line(sign, number, content, max_columns))
    return FileDiff(section.paths, tuple(notes), tuple(lines), strange)


def _notes(section: DiffSection) -> Iterator[str]:
    """What the header says, in plain words."""
    facts = {}
    for line in section.header[1:]:
        text = line.decode("ascii", "replace")
        for prefix in ("new file mode ", "deleted file mode ", "old mode ", "new mode "):
            if text.startswith(prefix):
                facts[prefix] = text[len(prefix) :].strip()
        if text.startswith(("Binary files ", "GIT binary patch")):
            facts["binary"] = ""
    if len(section.paths) == 2:
        yield f"renamed from {section.paths[0]}"
    if "new file mode " in facts:
        yield f"new {_MODES.get(facts['new file mode '], facts['new file mode '])}"
    if "deleted file mode " in facts:
        yield "deleted"
    if "old mode " in facts and "new mode " in facts:
        yield f"mode {facts['old mode ']} to {facts['new mode ']}"
    if "binary" in facts:
        yield "binary, its bytes are not shown"
    elif not section.body and "old mode " not in facts and len(section.paths) == 1:
        yield "empty"


def _lines(section: DiffSection, budget: int | None) -> Iterator[tuple[str, int | None, str]]:
    """(sign, number, text) of each line, parsed by unidiff, or unchanged if unidiff cannot or would be slow."""
    from unidiff.errors import UnidiffParseError
    from unidiff.patch import PatchSet

    if budget is not None and section.line_count > _LONG_SECTION:
        head = section.body[: _end_of_line(section.body, budget + 1)]
        yield from _unparsed_lines(_text_lines(head))
        return
    raw = _text_lines(section.body)
    try:
        files = list(PatchSet(["--- a\n", "+++ b\n", *raw]))
    except (UnidiffParseError, AssertionError, ValueError):
        yield from _unparsed_lines(raw)
        return
    for hunk in (hunk for file in files for hunk in file):
        yield "@", None, hunk.section_header.strip()
        for line in hunk:
            number = line.source_line_no if line.is_removed else line.target_line_no
            yield line.line_type or " ", number, line.value.removesuffix("\n")


def _text_lines(body: bytes) -> list[str]:
    """The lines of a hunk, separated by LF alone: CR and form feed do not end a line (security.md 76-77)."""
    lines = [line + "\n" for line in body.decode("utf-8", "surrogateescape").split("\n")]
    return lines[:-1] if lines[-1] == "\n" else lines


def _end_of_line(body: bytes, lines: int) -> int:
    at = -1
    for _ in range(lines):
        at = body.find(b"\n", at + 1)
        if at < 0:
            return len(body)
    return at + 1


def _unparsed_lines(raw: Sequence[str]) -> Iterator[tuple[str, int | None, str]]:
    """The lines with their numbers, if the hunk's heading has them."""
    old = new = None
    for line in raw:
        sign, text = line[0], line[1:].removesuffix("\n")
        heading = _HUNK_RANGES.match(line) if sign == "@" else None
        if sign == "@":
            old, new = (int(heading[1]), int(heading[2])) if heading else (None, None)
            yield sign, None, text.rpartition("@@")[2].strip()
            continue
        sign = sign if sign in "+-\\" else " "
        yield sign, None if sign == "\\" else (old if sign == "-" else new), text
        old = old + 1 if old is not None and sign in "- " else old
        new = new + 1 if new is not None and sign in "+ " else new


def _line(sign: str, number: int | None, text: str, max_columns: int | None) -> DiffLine:
    omitted = 0
    if max_columns is not None and len(text) > max_columns:
        text, omitted = text[:max_columns], len(text) - max_columns
    return DiffLine(sign, number, visible(text.expandtabs(_TAB)), omitted)


def _all_crlf(body: bytes) -> bool:
    """Whether every line of content ends with CR LF, so that the CRs need not be shown."""
    ends, crlf = body.count(b"\n"), body.count(b"\r\n")
    remarks = len(_HUNK.findall(body)) + body.count(b"\n\\ ")
    return crlf > 0 and crlf >= ends - remarks
