"""Where a section of a text file ends: Markdown headings, and plain lines that head a block."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_UNDERLINE = re.compile(r" {0,3}(=+|-+|~+|\^+|\"+)[ \t]*")
_RULE = re.compile(r" {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})")
_DEFINITION = re.compile(r" {0,3}\[[^\]]+\]:|\.\. _[^:]+:|\.\. \[[^\]]+\] ")  # Markdown's, then reStructuredText's
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
    hidden = _hidden(lines)
    for number, line in enumerate(lines):
        if number in hidden:
            continue
        if (title := _title(line)) is not None:
            heads.append((title, number, number + 1))
        elif number and number - 1 not in hidden and _is_underline(line) and _heads(lines[number - 1]):
            heads.append((lines[number - 1], number - 1, number + 1))
    ends = [*(at for _, at, _ in heads[1:]), len(lines)][: len(heads)]
    return [Section(title, at, first, end) for (title, at, first), end in zip(heads, ends, strict=True)]


def _hidden(lines: list[str]) -> set[int]:
    """The lines in which nothing is a heading: front matter, fenced code and comments."""
    hidden: set[int] = set()
    fence, comment, matter = "", False, bool(lines) and lines[0].rstrip() == "---" and "---" in lines[1:]
    for number, line in enumerate(lines):
        mark = _FENCE.match(line)
        if matter or comment or fence or mark:
            hidden.add(number)
        if matter:
            matter = number == 0 or line.rstrip() not in ("---", "...")
        elif fence:
            fence = "" if mark and mark[1].startswith(fence) and not line.strip().strip(fence[0]) else fence
        elif mark and not comment:
            fence = mark[1]
        elif comment or line.lstrip().startswith("<!--"):
            comment = "-->" not in line
    return hidden


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
    """Where a line belongs at the end of a Markdown section's own body.

    What closes a section stays behind it: link definitions, footnotes and a rule across the page.
    """
    last = _body_end(lines, section)
    if last > section.first:
        joins, apart = _joins(lines[section.first : last], added)
        return Spot(last, gap_before=apart or not joins, gap_after=last < section.last and bool(lines[last].strip()))
    following = section.first
    while following < section.last and not lines[following].strip():
        following += 1
    if last < section.last and following == section.last:
        return Spot(last + 1, gap_after=last + 1 == section.last < len(lines))
    airy = any(not line.strip() for line in lines)
    if following < section.last:  # only definitions stand here
        return Spot(following, gap_before=airy and following == section.first, gap_after=True)
    return Spot(last, gap_before=airy, gap_after=airy and last < len(lines))


def _body_end(lines: list[str], section: Section) -> int:
    """The line after the last one of the section's own words."""
    hidden = _hidden(lines)
    end = section.last
    while end > section.first:
        start = end - 1
        while start > section.first and lines[start].strip() and lines[start][0] in " \t":
            start -= 1  # a definition may go on in lines that are indented
        if start not in hidden and _DEFINITION.match(lines[start]):
            end = start
        elif not lines[end - 1].strip() or (end - 1 not in hidden and _is_rule(lines, end - 1)):
            end -= 1
        else:
            break
    return end


def _is_rule(lines: list[str], at: int) -> bool:
    return _RULE.fullmatch(lines[at]) is not None and (at == 0 or not lines[at - 1].strip())


def _joins(body: list[str], added: str) -> tuple[bool, bool]:
    """Whether an added line goes on with the last block of a body, and whether a blank line parts the two."""
    begin = len(body)
    while begin and body[begin - 1].strip():
        begin -= 1
    block = body[begin:]
    first, above = block[0], block[-1]
    in_list = _in_list(body, begin)
    if is_item(added):
        items = [n for n in range(len(body)) if is_item(body[n]) and body[n][:1] not in " \t"]
        loose = len(items) > 1 and all(not body[n - 1].strip() for n in items[1:])
        return in_list or is_item(first), loose
    if in_list or is_item(first) or is_item(above):
        return added[:1] in " \t", False
    return _sort(added) == _sort(above) != "fence", False


def _in_list(body: list[str], begin: int) -> bool:
    """Whether the block that begins there, indented, belongs to an item above it."""
    if body[begin][:1] not in (" ", "\t"):
        return False
    return any(is_item(line) for line in body[:begin])


def _sort(line: str) -> str:
    """What a line is part of, as far as a line below could become part of it."""
    bare = line.lstrip()
    if _FENCE.match(line):
        return "fence"
    return bare[:1] if bare[:1] in ("|", ">") else "words"


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


def _is_underline(line: str) -> bool:
    return _UNDERLINE.fullmatch(line) is not None and len(line.strip()) > 2


def _heads(line: str) -> bool:
    """Whether a line can be the words over an underline."""
    return bool(line.strip()) and not is_item(line) and not line.startswith((">", "#", "|", "    "))


def _words(title: str) -> str:
    shown = _LINK.sub(r"\1", title[:300]).strip().strip("#*_`: ")
    return " ".join(shown.casefold().split())
