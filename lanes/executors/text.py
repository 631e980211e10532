"""Edits of any text file on its bytes: replace text, add lines, remove lines; line endings are preserved."""

from __future__ import annotations

import bisect
import codecs
import difflib
import re

from core.model.edits import AddLine, RemoveLine, ReplaceText
from lanes.executors import markdown
from lanes.executors.errors import EditError
from lanes.executors.occurrences import Occurrence, find_occurrences

_MARKED_UP = (".md", ".markdown", ".mdx", ".rst")
_ENDING = re.compile(r"\r?\n")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MAX_COMPARED = 2_000


def replace(path: str, content: bytes, edit: ReplaceText) -> bytes | None:
    """The content with every occurrence of the edit's text replaced, or None when it has none.

    A line break in `old` matches any line ending. Line breaks in `new` use the endings that they replace, else the
    ending of the line they are in.

    Raises:
        EditError: The text is part of a longer number or identifier, so the meaning is unclear.
    """
    if content.startswith(_UTF_16):
        refuse_binary(path, content)
    encoded(edit.old)
    encoded(edit.new)
    is_other = _is_other_encoding(content)
    text = content.decode("latin-1" if is_other else "utf-8")
    old = _as_windows_1252(edit.old) if is_other else edit.old
    matches = list(find_occurrences(text, old, word=edit.word)) if old else []
    if not matches:
        return None
    refuse_binary(path, content)
    new = edit.new
    if is_other and not new.isascii():
        converted = None if edit.old.isascii() else _as_windows_1252(new)
        if converted is None:
            refuse_other_encoding(path, content, new)
        new = converted or ""
    for match in matches:
        refuse_inside(path, edit.old, match.inside)
    return _replace_all(text, matches, new).encode("latin-1" if is_other else "utf-8")


def _replace_all(text: str, matches: list[Occurrence], new: str) -> str:
    """The text with `new` at all these places."""
    lines = new.replace("\r\n", "\n").split("\n")
    feeds = [feed.start() for feed in re.finditer("\n", text)] if len(lines) > 1 else []
    parts: list[str] = []
    at = 0
    for match in matches:
        endings = _ENDING.findall(text[match.start : match.end]) or [_ending_of(text, feeds, match.end)]
        parts += [text[at : match.start], lines[0]]
        for number, line in enumerate(lines[1:]):
            parts += [endings[min(number, len(endings) - 1)], line]
        at = match.end
    return "".join(parts) + text[at:]


def _ending_of(text: str, feeds: list[int], at: int) -> str:
    """The line ending of the line at `at`, else of the one before it; `feeds` are the positions of line feeds."""
    if not feeds:
        return "\n"
    feed = feeds[min(bisect.bisect_left(feeds, at), len(feeds) - 1)]
    return "\r\n" if text[feed - 1 : feed] == "\r" else "\n"


def _as_windows_1252(text: str) -> str | None:
    """The text as Windows-1252 bytes, one character per byte; None if it has other letters."""
    try:
        return text.encode("cp1252").decode("latin-1")
    except UnicodeError:
        return None


def suggest_text(content: bytes, old: str) -> str:
    """A sentence that suggests what was meant by a text that does not occur; may be empty."""
    text = content.decode(errors="replace")
    at = text.casefold().find(old.casefold())
    if at >= 0 and len(text.casefold()) == len(text):
        return f"It has “{_clip(text[at : at + len(old)])}” in different case; write it exactly."
    lines = [line.strip()[:200] for line in text.split("\n")[:_MAX_COMPARED] if line.strip()]
    near = difflib.get_close_matches(old[:200], lines, n=1, cutoff=0.6)
    return f"Did you mean “{_clip(near[0])}”?" if near else ""


def add_line(edit: AddLine, content: bytes) -> bytes:
    """The content with the edit's lines added at its end, or at the end of the section under the heading."""
    refuse_binary(edit.path, content)
    encoded(edit.line)
    refuse_other_encoding(edit.path, content, edit.line)
    if edit.heading is not None:
        return _add_under_heading(edit, edit.heading, content)
    ending = ending_at(content, len(content))
    line = as_item(edit.line, _decoded(_lines(content))) if edit.item else edit.line
    block = ending.join(_parts(line))
    if content and not content.endswith(b"\n"):
        return content + ending + block
    return content + block + ending


def as_item(line: str, lines: list[str]) -> str:
    """The line as a further item of the last list in `lines`; unchanged if it has a bullet already."""
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
    """The content without the line that the edit means; EditError when there is none, or several."""
    refuse_binary(edit.path, content)
    encoded(edit.containing)
    lines = _lines(content)
    hits = _hits(edit, _decoded(lines))
    quoted_text = _clip(edit.containing)
    if not hits:
        how = "" if edit.whole else "containing the word " if edit.word else "containing "
        message = f"{edit.path} has no line {how}“{quoted_text}”"
        raise EditError("not_found", message, suggest_text(content, edit.containing))
    if len(hits) > 1 and not edit.every:
        where = ", ".join(str(number + 1) for number in hits[:5])
        message = f"{edit.path} has {len(hits)} lines {'' if edit.whole else 'containing '}“{quoted_text}”: {where}"
        mend = "Quote more of the line that you mean, or say: remove all lines containing …"
        raise EditError("ambiguous", message, mend)
    removed = set(hits)
    return b"".join(line for number, line in enumerate(lines) if number not in removed)


def _hits(edit: RemoveLine, lines: list[str]) -> list[int]:
    """The indexes of the lines that the edit means."""
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
        matches = list(find_occurrences(line, edit.containing, word=edit.word))
        if matches:
            hits.append(number)
            refuse_inside(
                edit.path, edit.containing, matches[0].inside if all(match.inside for match in matches) else ""
            )
    return hits


def refuse_inside(path: str, searched: str, longer: str) -> None:
    """Raise EditError when a text is only a part of the number, version or identifier `longer`."""
    if longer:
        message = f"{path} has “{_clip(searched)}” inside “{_clip(longer)}”"
        mend = f'Quote more of the text around the one you mean, or say: the word "{_clip(searched)}".'
        raise EditError("ambiguous", message, mend)


def ending_at(content: bytes, at: int) -> bytes:
    """The line ending of the line at `at`, else of the one before it."""
    feed = content.find(b"\n", at)
    if feed < 0:
        feed = content.rfind(b"\n", 0, at)
    return b"\r\n" if feed > 0 and content[feed - 1 : feed] == b"\r" else b"\n"


def refuse_binary(path: str, content: bytes) -> None:
    """Raise EditError for a file with a NUL byte, which git shows as binary."""
    if content.startswith(_UTF_16):
        message = f"{path} is UTF-16 text, which git shows as binary, so the change could not be reviewed"
        raise EditError("unsupported_format", message, "Save it as UTF-8 first.")
    if b"\0" in content:
        raise EditError("unsupported_format", f"{path} is not a text file")


def refuse_other_encoding(path: str, content: bytes, text: str) -> None:
    """Raise EditError when text that is not ASCII would be written into a file that is not UTF-8."""
    if not text.isascii() and _is_other_encoding(content):
        letters = "".join(dict.fromkeys(c for c in text if not c.isascii()))[:10]
        message = f"{path} is not UTF-8, so it is not clear how to write “{letters}” in it"
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
        raise EditError("bad_value", "The text has characters that cannot be stored in a file") from None


def _add_under_heading(edit: AddLine, heading: str, content: bytes) -> bytes:
    lines = _lines(content)
    text_lines = _decoded(lines)
    marked_up = edit.path.lower().endswith(_MARKED_UP)
    sections = markdown.sections(text_lines) if marked_up else markdown.blocks(text_lines)
    matching = markdown.matching_sections(sections, heading)
    if len(matching) != 1:
        where = ", ".join(str(section.line + 1) for section in matching[:5])
        code, how = (
            ("ambiguous", f"{len(matching)} headings (lines {where}) like") if matching else ("not_found", "no heading")
        )
        titles = [section.title.strip() for section in sections][:_MAX_COMPARED]
        near = difflib.get_close_matches(heading, titles, n=3, cutoff=0.5)
        mend = f"Did you mean {' or '.join(near)}?" if near and not matching else "Name the heading in full."
        raise EditError(code, f"{edit.path} has {how} “{_clip(heading)}”", mend)
    line = as_item(edit.line, text_lines[matching[0].first : matching[0].last]) if edit.item else edit.line
    added = _parts(line)
    point = (
        markdown.insert_point(text_lines, matching[0], line) if marked_up else markdown.InsertPoint(matching[0].last)
    )
    before, after = b"".join(lines[: point.line]), b"".join(lines[point.line :])
    ending = ending_at(content, max(len(before) - 1, 0))
    block = (ending if point.gap_before else b"") + ending.join(added)
    if before and not before.endswith(b"\n"):
        return before + ending + block
    return before + block + ending + (ending if point.gap_after else b"") + after


def _lines(content: bytes) -> list[bytes]:
    """The lines with their endings; only a line feed ends a line."""
    parts = content.split(b"\n")
    lines = [part + b"\n" for part in parts[:-1]]
    return [*lines, parts[-1]] if parts[-1] else lines


def _decoded(lines: list[bytes]) -> list[str]:
    return [line.decode(errors="replace").rstrip("\r\n") for line in lines]


def _parts(line: str) -> list[bytes]:
    return encoded(line).replace(b"\r\n", b"\n").split(b"\n")


def _clip(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:79] + "…"
