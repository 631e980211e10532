"""Where a section of a text file ends: Markdown headings, and plain lines that head a block."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_UNDERLINE = re.compile(r" {0,3}(=+|-+|~+|\^+|\"+)[ \t]*")
_LINK = re.compile(r"\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])?")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading's words, and the lines of its own body `[first, last)`, sub-sections not counted."""

    title: str
    line: int
    first: int
    last: int


def sections(lines: list[str]) -> list[Section]:
    """The sections of a Markdown or reStructuredText file, given its lines without their endings."""
    heads: list[tuple[str, int, int]] = []
    fence = ""
    for number, line in enumerate(lines):
        mark = _FENCE.match(line)
        if fence:
            fence = "" if mark and mark[1].startswith(fence) and not line.strip().strip(fence[0]) else fence
        elif mark:
            fence = mark[1]
        elif (title := _title(line)) is not None:
            heads.append((title, number, number + 1))
        elif number and _UNDERLINE.fullmatch(line) and _heads(lines[number - 1]) and len(line.strip()) > 2:
            heads.append((lines[number - 1], number - 1, number + 1))
    ends = [*(at for _, at, _ in heads[1:]), len(lines)][: len(heads)]
    return [Section(title, at, first, end) for (title, at, first), end in zip(heads, ends, strict=True)]


def blocks(lines: list[str]) -> list[Section]:
    """The blocks of any other text file: a line `# Name`, `[Name]`, `Name:` or `Name`, up to the next blank line."""
    found: list[Section] = []
    end = len(lines)
    for number in range(len(lines) - 1, -1, -1):
        if lines[number].strip():
            found.append(Section(lines[number].strip().strip("#;[]:/*- \t"), number, number + 1, end))
        else:
            end = number
    return found[::-1]


def matching(found: list[Section], heading: str) -> list[Section]:
    """The sections that a person means by `heading`: the same words, else the same beginning."""
    wanted = _words(heading)
    exact = [section for section in found if _words(section.title) == wanted]
    return exact or [section for section in found if _words(section.title).startswith(wanted + " ")]


@dataclass(frozen=True, slots=True)
class Spot:
    """The line before which to add, and whether a blank line belongs before and after what is added."""

    at: int
    gap_before: bool = False
    gap_after: bool = False


def spot(lines: list[str], section: Section, added: str) -> Spot:
    """Where a line belongs at the end of a Markdown section's own body."""
    last = section.last
    while last > section.first and not lines[last - 1].strip():
        last -= 1
    if last > section.first:
        above = lines[last - 1]
        return Spot(last, gap_before=is_item(added) != is_item(above) and not above.startswith((" ", "\t")))
    if last < section.last:
        return Spot(last + 1, gap_after=last + 1 == section.last < len(lines))
    airy = any(not line.strip() for line in lines)
    return Spot(last, gap_before=airy, gap_after=airy and last < len(lines))


def is_item(line: str) -> bool:
    """Whether a line is an item of a list."""
    word, _, rest = line.lstrip().partition(" ")
    return bool(rest) and (word in ("-", "*", "+") or (word[:-1].isdigit() and word[-1:] in ".)"))


def _title(line: str) -> str | None:
    """The words of a `## heading`, its closing marks taken off, or None for another line."""
    bare = line.lstrip(" ")
    rest = bare.lstrip("#")
    if len(line) - len(bare) > 3 or not 1 <= len(bare) - len(rest) <= 6 or (rest and rest[0] not in " \t"):
        return None
    title = rest.strip()
    opened = title.rstrip("#")
    return opened.rstrip() if not opened or opened[-1] in " \t" else title


def _heads(line: str) -> bool:
    """Whether a line can be the words over an underline."""
    return bool(line.strip()) and not is_item(line) and not line.startswith((">", "#", "|", "    "))


def _words(title: str) -> str:
    shown = _LINK.sub(r"\1", title[:300]).strip().strip("#*_`: ")
    return " ".join(shown.casefold().split())
