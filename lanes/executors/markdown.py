"""Finds the sections of a text file, by Markdown or reStructuredText headings, or by plain lines that head a block."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_UNDERLINE = re.compile(r" {0,3}(=+|-+|~+|\^+|\"+)[ \t]*")
_RULE = re.compile(r" {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})")
_DEFINITION = re.compile(r" {0,3}\[[^\]]+\]:|\.\. _[^:]+:|\.\. \[[^\]]+\] ")  # Markdown's, then reStructuredText's
_LINK = re.compile(r"\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])?")


@dataclass(frozen=True, slots=True)
class TextSection:
    """A heading's text, and the lines `[first, last)` of its own body, without sub-sections."""

    title: str
    line: int
    first: int
    last: int


def sections(lines: list[str]) -> list[TextSection]:
    """The sections of a Markdown or reStructuredText file, given its lines without their endings."""
    heads: list[tuple[str, int, int]] = []
    hidden = _non_heading_lines(lines)
    for number, line in enumerate(lines):
        if number in hidden:
            continue
        if (title := _title(line)) is not None:
            heads.append((title, number, number + 1))
        elif number and number - 1 not in hidden and _is_underline(line) and _can_be_title(lines[number - 1]):
            heads.append((lines[number - 1], number - 1, number + 1))
    ends = [*(at for _, at, _ in heads[1:]), len(lines)][: len(heads)]
    return [TextSection(title, at, first, end) for (title, at, first), end in zip(heads, ends, strict=True)]


def _non_heading_lines(lines: list[str]) -> set[int]:
    """The lines that cannot be headings: front matter, fenced code and comments."""
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


def blocks(lines: list[str]) -> list[TextSection]:
    """The blocks of any other text file: a line `# Name`, `[Name]`, `Name:` or `Name`, up to the next blank line."""
    reversed_blocks: list[TextSection] = []
    end = len(lines)
    for number in range(len(lines) - 1, -1, -1):
        if lines[number].strip():
            reversed_blocks.append(TextSection(lines[number].strip().strip("#;[]:/*- \t"), number, number + 1, end))
        else:
            end = number
    return reversed_blocks[::-1]


def matching_sections(candidates: list[TextSection], heading: str) -> list[TextSection]:
    """The sections whose title matches `heading`: exactly if there is one, else by its beginning."""
    normalized = _normalized(heading)
    exact = [section for section in candidates if _normalized(section.title) == normalized]
    return exact or [section for section in candidates if _normalized(section.title).startswith(normalized + " ")]


@dataclass(frozen=True, slots=True)
class InsertPoint:
    """The line before which to insert, and whether blank lines belong before and after the inserted text."""

    line: int
    gap_before: bool = False
    gap_after: bool = False


def insert_point(lines: list[str], section: TextSection, added: str) -> InsertPoint:
    """Where to insert a line at the end of a Markdown section's own body.

    Link definitions, footnotes and a closing horizontal rule stay behind it.
    """
    last = _body_end(lines, section)
    if last > section.first:
        continues, separated = _joining(lines[section.first : last], added)
        return InsertPoint(
            last, gap_before=separated or not continues, gap_after=last < section.last and bool(lines[last].strip())
        )
    following = section.first
    while following < section.last and not lines[following].strip():
        following += 1
    if last < section.last and following == section.last:
        return InsertPoint(last + 1, gap_after=last + 1 == section.last < len(lines))
    uses_blank_lines = any(not line.strip() for line in lines)
    if following < section.last:  # the section has only definitions
        return InsertPoint(following, gap_before=uses_blank_lines and following == section.first, gap_after=True)
    return InsertPoint(last, gap_before=uses_blank_lines, gap_after=uses_blank_lines and last < len(lines))


def _body_end(lines: list[str], section: TextSection) -> int:
    """The line after the last line of the section's own text."""
    hidden = _non_heading_lines(lines)
    end = section.last
    while end > section.first:
        start = end - 1
        while start > section.first and lines[start].strip() and lines[start][0] in " \t":
            start -= 1  # a definition may continue on indented lines
        if start not in hidden and _DEFINITION.match(lines[start]):
            end = start
        elif not lines[end - 1].strip() or (end - 1 not in hidden and _is_rule(lines, end - 1)):
            end -= 1
        else:
            break
    return end


def _is_rule(lines: list[str], at: int) -> bool:
    return _RULE.fullmatch(lines[at]) is not None and (at == 0 or not lines[at - 1].strip())


def _joining(body: list[str], added: str) -> tuple[bool, bool]:
    """Whether an added line continues the last block of a body, and whether a blank line separates the two."""
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
    return _block_kind(added) == _block_kind(above) != "fence", False


def _in_list(body: list[str], begin: int) -> bool:
    """True if the indented block that begins there belongs to a list item above it."""
    if body[begin][:1] not in (" ", "\t"):
        return False
    return any(is_item(line) for line in body[:begin])


def _block_kind(line: str) -> str:
    """The kind of block a line belongs to, as far as a following line could join it."""
    bare = line.lstrip()
    if _FENCE.match(line):
        return "fence"
    return bare[:1] if bare[:1] in ("|", ">") else "words"


def is_item(line: str) -> bool:
    """True if the line is a list item."""
    word, _, rest = line.lstrip().partition(" ")
    return bool(rest) and (word in ("-", "*", "+") or (word[:-1].isdigit() and word[-1:] in ".)"))


def _title(line: str) -> str | None:
    """The text of a `## heading` without its closing marks; None for another line."""
    bare = line.lstrip(" ")
    rest = bare.lstrip("#")
    if len(line) - len(bare) > 3 or not 1 <= len(bare) - len(rest) <= 6 or (rest and rest[0] not in " \t"):
        return None
    title = rest.strip()
    opened = title.rstrip("#")
    return opened.rstrip() if not opened or opened[-1] in " \t" else title


def _is_underline(line: str) -> bool:
    return _UNDERLINE.fullmatch(line) is not None and len(line.strip()) > 2


def _can_be_title(line: str) -> bool:
    """True if the line can be a title above an underline."""
    return bool(line.strip()) and not is_item(line) and not line.startswith((">", "#", "|", "    "))


def _normalized(title: str) -> str:
    plain = _LINK.sub(r"\1", title[:300]).strip().strip("#*_`: ")
    return " ".join(plain.casefold().split())
