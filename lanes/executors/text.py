"""Edits of any text file, on its bytes: replace a text, add lines, remove lines; line endings are kept."""

from __future__ import annotations

import bisect
import codecs
import difflib
import re

from core.model.edits import AddLine, RemoveLine, ReplaceText
from lanes.executors import markdown
from lanes.executors.errors import EditError
from lanes.executors.occurrences import Occurrence, occurrences

_MARKED_UP = (".md", ".markdown", ".mdx", ".rst")
_ENDING = re.compile(r"\r?\n")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MAX_COMPARED = 2_000


def replace(path: str, content: bytes, edit: ReplaceText) -> bytes | None:
    """The content with every occurrence of the edit's text exchanged, or None when it has none; line endings stay.

    A line break in `old` is any line ending; those in `new` are written like the ones they stand for, else like
    the one of the line in which they are. Raises EditError where the text is part of a longer number or identifier:
    nobody can tell whether that is meant.
    """
    if content.startswith(_UTF_16):
        refuse_binary(path, content)
    encoded(edit.old)
    encoded(edit.new)
    is_other = _is_other_encoding(content)
    text = content.decode("latin-1" if is_other else "utf-8")
    old = _as_bytes_of(edit.old) if is_other else edit.old
    found = list(occurrences(text, old, word=edit.word)) if old else []
    if not found:
        return None
    refuse_binary(path, content)
    new = edit.new
    if is_other and not new.isascii():
        known = None if edit.old.isascii() else _as_bytes_of(new)
        if known is None:
            refuse_other_encoding(path, content, new)
        new = known or ""
    for each in found:
        refuse_inside(path, edit.old, each.inside)
    return _exchanged(text, found, new).encode("latin-1" if is_other else "utf-8")


def _exchanged(text: str, found: list[Occurrence], new: str) -> str:
    """The text with a new one in all these places."""
    lines = new.replace("\r\n", "\n").split("\n")
    feeds = [feed.start() for feed in re.finditer("\n", text)] if len(lines) > 1 else []
    parts: list[str] = []
    at = 0
    for each in found:
        endings = _ENDING.findall(text[each.start : each.end]) or [_ending_of(text, feeds, each.end)]
        parts += [text[at : each.start], lines[0]]
        for number, line in enumerate(lines[1:]):
            parts += [endings[min(number, len(endings) - 1)], line]
        at = each.end
    return "".join(parts) + text[at:]


def _ending_of(text: str, feeds: list[int], at: int) -> str:
    """The line ending of the line that holds `at`, else of the one before it; `feeds` are where lines end."""
    if not feeds:
        return "\n"
    feed = feeds[min(bisect.bisect_left(feeds, at), len(feeds) - 1)]
    return "\r\n" if text[feed - 1 : feed] == "\r" else "\n"


def _as_bytes_of(text: str) -> str | None:
    """A text as the older encoding spells it, a character for each byte; None for letters that it does not have."""
    try:
        return text.encode("cp1252").decode("latin-1")
    except UnicodeError:
        return None


def nearest(content: bytes, old: str) -> str:
    """What the person may have meant by a text that is not there, as a sentence; may be empty."""
    text = content.decode(errors="replace")
    at = text.casefold().find(old.casefold())
    if at >= 0 and len(text.casefold()) == len(text):
        return f"It has “{_clip(text[at : at + len(old)])}” in other letters; say it exactly."
    lines = [line.strip()[:200] for line in text.split("\n")[:_MAX_COMPARED] if line.strip()]
    near = difflib.get_close_matches(old[:200], lines, n=1, cutoff=0.6)
    return f"Did you mean “{_clip(near[0])}”?" if near else ""


def add_line(edit: AddLine, content: bytes) -> bytes:
    """The content with the edit's lines at its end, or at the end of the section under its heading."""
    refuse_binary(edit.path, content)
    encoded(edit.line)
    refuse_other_encoding(edit.path, content, edit.line)
    if edit.heading is not None:
        return _under(edit, edit.heading, content)
    ending = ending_at(content, len(content))
    line = as_item(edit.line, _shown(_lines(content))) if edit.item else edit.line
    block = ending.join(_parts(line))
    if content and not content.endswith(b"\n"):
        return content + ending + block
    return content + block + ending


def as_item(line: str, lines: list[str]) -> str:
    """The line as one more item of the last list in `lines`; as it is when it has a bullet already."""
    if markdown.is_item(line):
        return line
    items = [above for above in lines if markdown.is_item(above)]
    outer = min((len(item) - len(item.lstrip()) for item in items), default=0)
    last = next((item for item in reversed(items) if len(item) - len(item.lstrip()) == outer), "- ")
    mark = last.split()[0]
    if mark[:-1].isascii() and mark[:-1].isdigit() and len(mark) < 10:
        mark = f"{int(mark[:-1]) + 1}{mark[-1]}"
    return f"{last[:outer]}{mark} " + line.replace("\n", "\n" + " " * (outer + len(mark) + 1))


def remove_line(edit: RemoveLine, content: bytes) -> bytes:
    """The content without the line that the edit's text names; EditError when it is none, several or unclear."""
    refuse_binary(edit.path, content)
    encoded(edit.containing)
    lines = _lines(content)
    hits = _hits(edit, _shown(lines))
    shown = _clip(edit.containing)
    if not hits:
        how = "" if edit.whole else "containing the word " if edit.word else "containing "
        message = f"{edit.path} has no line {how}“{shown}”"
        raise EditError("not_found", message, nearest(content, edit.containing))
    if len(hits) > 1 and not edit.every:
        where = ", ".join(str(number + 1) for number in hits[:5])
        message = f"{edit.path} has {len(hits)} lines {'' if edit.whole else 'containing '}“{shown}”: {where}"
        mend = "Quote more of the line that you mean, or say: remove all lines containing …"
        raise EditError("ambiguous", message, mend)
    gone = set(hits)
    return b"".join(line for number, line in enumerate(lines) if number not in gone)


def _hits(edit: RemoveLine, lines: list[str]) -> list[int]:
    """The numbers of the lines that the edit means."""
    if edit.whole:
        hits = [number for number, line in enumerate(lines) if line.strip() == edit.containing.strip()]
        near = [(number, line) for number, line in enumerate(lines) if edit.containing in line]
        if near and not hits:
            number, line = near[0]
            message = f"{edit.path} has no line “{_clip(edit.containing)}”; line {number + 1} is “{_clip(line)}”"
            raise EditError("ambiguous", message, "Quote the whole line, or say: remove the line containing …")
        return hits
    hits = []
    for number, line in enumerate(lines):
        found = list(occurrences(line, edit.containing, word=edit.word))
        if found:
            hits.append(number)
            refuse_inside(edit.path, edit.containing, found[0].inside if all(each.inside for each in found) else "")
    return hits


def refuse_inside(path: str, wanted: str, longer: str) -> None:
    """EditError when a text is only a part of the number, version or identifier `longer`."""
    if longer:
        message = f"{path} has “{_clip(wanted)}” inside “{_clip(longer)}”"
        mend = f'Quote more of the text around the one you mean, or say: the word "{_clip(wanted)}".'
        raise EditError("ambiguous", message, mend)


def ending_at(content: bytes, at: int) -> bytes:
    """The line ending of the line that holds `at`, else of the one before it."""
    feed = content.find(b"\n", at)
    if feed < 0:
        feed = content.rfind(b"\n", 0, at)
    return b"\r\n" if feed > 0 and content[feed - 1 : feed] == b"\r" else b"\n"


def refuse_binary(path: str, content: bytes) -> None:
    """EditError for a file that holds a NUL byte, which no text has that git can show."""
    if content.startswith(_UTF_16):
        message = f"{path} is UTF-16 text, which git shows as a binary, so nobody could read the change"
        raise EditError("unsupported_format", message, "Save it as UTF-8 first.")
    if b"\0" in content:
        raise EditError("unsupported_format", f"{path} is not a text file")


def refuse_other_encoding(path: str, content: bytes, text: str) -> None:
    """EditError when a text with other letters than ASCII would be written into a file that is not UTF-8."""
    if not text.isascii() and _is_other_encoding(content):
        odd = "".join(dict.fromkeys(c for c in text if not c.isascii()))[:10]
        message = f"{path} is not UTF-8, so it is not clear how to write “{odd}” in it"
        raise EditError("unsupported_format", message, "Save it as UTF-8 first.")


def _is_other_encoding(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return True
    return False


def encoded(text: str) -> bytes:
    """The text in UTF-8; EditError for lone surrogates."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise EditError("bad_value", "The text has characters that no file can hold") from None


def _under(edit: AddLine, heading: str, content: bytes) -> bytes:
    lines = _lines(content)
    shown = _shown(lines)
    marked_up = edit.path.lower().endswith(_MARKED_UP)
    found = markdown.sections(shown) if marked_up else markdown.blocks(shown)
    meant = markdown.matching(found, heading)
    if len(meant) != 1:
        where = ", ".join(str(section.line + 1) for section in meant[:5])
        code, how = (
            ("ambiguous", f"{len(meant)} headings (lines {where}) like") if meant else ("not_found", "no heading")
        )
        titles = [section.title.strip() for section in found][:_MAX_COMPARED]
        near = difflib.get_close_matches(heading, titles, n=3, cutoff=0.5)
        mend = f"Did you mean {' or '.join(near)}?" if near and not meant else "Name the heading in full."
        raise EditError(code, f"{edit.path} has {how} “{_clip(heading)}”", mend)
    line = as_item(edit.line, shown[meant[0].first : meant[0].last]) if edit.item else edit.line
    added = _parts(line)
    spot = markdown.spot(shown, meant[0], line) if marked_up else markdown.Spot(meant[0].last)
    before, after = b"".join(lines[: spot.at]), b"".join(lines[spot.at :])
    ending = ending_at(content, max(len(before) - 1, 0))
    block = (ending if spot.gap_before else b"") + ending.join(added)
    if before and not before.endswith(b"\n"):
        return before + ending + block
    return before + block + ending + (ending if spot.gap_after else b"") + after


def _lines(content: bytes) -> list[bytes]:
    """The lines with their endings; only a line feed ends a line."""
    parts = content.split(b"\n")
    lines = [part + b"\n" for part in parts[:-1]]
    return [*lines, parts[-1]] if parts[-1] else lines


def _shown(lines: list[bytes]) -> list[str]:
    return [line.decode(errors="replace").rstrip("\r\n") for line in lines]


def _parts(line: str) -> list[bytes]:
    return encoded(line).replace(b"\r\n", b"\n").split(b"\n")


def _clip(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:79] + "…"
