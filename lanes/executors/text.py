"""Edits of any text file, on its bytes: replace a text, add lines, remove lines; line endings are kept."""

from __future__ import annotations

import codecs
import difflib
import re

from core.edit import AddLine, RemoveLine
from lanes.executors import markdown
from lanes.executors.errors import EditError

_MARKED_UP = (".md", ".markdown", ".mdx", ".rst")
_ENDING = re.compile(rb"\r?\n")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NEVER = re.compile(rb"(?!)")
_MAX_COMPARED = 2_000


def replace(path: str, content: bytes, old: str, new: str) -> bytes | None:
    """The content with every occurrence of `old` exchanged, or None when it has none; line endings stay.

    A line break in `old` is any line ending; those in `new` are written like the ones they stand for, else like
    the one of the line in which they are.
    """
    if content.startswith(_UTF_16):
        refuse_binary(path, content)
    raw = encoded(old).replace(b"\r\n", b"\n")
    pattern = re.compile(b"\r?\n".join(re.escape(part) for part in raw.split(b"\n")))
    raw_new = encoded(new).replace(b"\r\n", b"\n")
    if not pattern.search(content):
        pattern, raw_new = _in_latin_1(content, old, new)
    elif not raw_new.isascii():
        refuse_other_encoding(path, content, new)
    if not pattern.search(content):
        return None
    refuse_binary(path, content)
    if b"\n" not in raw_new and b"\n" not in raw:
        return pattern.sub(lambda _: raw_new, content)
    parts = raw_new.split(b"\n")
    return pattern.sub(lambda match: _with_endings(content, match, parts), content)


def _with_endings(content: bytes, match: re.Match[bytes], parts: list[bytes]) -> bytes:
    """The lines of a new text, each with the ending of the line that it takes the place of."""
    endings = _ENDING.findall(match[0]) or [ending_at(content, match.end())]
    written = parts[0]
    for number, part in enumerate(parts[1:]):
        written += endings[min(number, len(endings) - 1)] + part
    return written


def _in_latin_1(content: bytes, old: str, new: str) -> tuple[re.Pattern[bytes], bytes]:
    """The search for a text in a file of the older encoding, when the text has letters that show that it is one."""
    try:
        if old.isascii() or not _is_other_encoding(content):
            raise UnicodeError
        raw, raw_new = old.encode("cp1252"), new.encode("cp1252")
    except UnicodeError:
        return _NEVER, b""
    return re.compile(re.escape(raw)), raw_new


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
    added = encoded(edit.line).replace(b"\r\n", b"\n").split(b"\n")
    refuse_other_encoding(edit.path, content, edit.line)
    if edit.heading is not None:
        return _under(edit, edit.heading, content, added)
    ending = ending_at(content, len(content))
    block = ending.join(added)
    if content and not content.endswith(b"\n"):
        return content + ending + block
    return content + block + ending


def remove_line(edit: RemoveLine, content: bytes) -> bytes:
    """The content without the line that contains the edit's text; EditError when it is none or several."""
    refuse_binary(edit.path, content)
    wanted = encoded(edit.containing)
    lines = _lines(content)
    hits = [number for number, line in enumerate(lines) if wanted in line]
    if not hits:
        message = f"{edit.path} has no line containing “{_clip(edit.containing)}”"
        raise EditError("not_found", message, nearest(content, edit.containing))
    if len(hits) > 1 and not edit.every:
        where = ", ".join(str(number + 1) for number in hits[:5])
        message = f"{edit.path} has {len(hits)} lines containing “{_clip(edit.containing)}”: {where}"
        mend = "Quote more of the line that you mean, or say: remove all lines containing …"
        raise EditError("ambiguous", message, mend)
    gone = set(hits)
    return b"".join(line for number, line in enumerate(lines) if number not in gone)


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


def _under(edit: AddLine, heading: str, content: bytes, added: list[bytes]) -> bytes:
    lines = _lines(content)
    shown = [line.decode(errors="replace").rstrip("\r\n") for line in lines]
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
    spot = markdown.spot(shown, meant[0], edit.line) if marked_up else markdown.Spot(meant[0].last)
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


def _clip(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:79] + "…"
