"""Sets a key in an INI file by changing only the characters of its value."""

from __future__ import annotations

import configparser
import re
from dataclasses import dataclass, replace

from core.model.edits import SetKey
from lanes.executors.errors import EditError
from lanes.executors.formats.locate import KeyLocation, ParsedMapping, locate
from lanes.executors.formats.values import check_was, end_of_line, newline_of, refuse_group

_TOP = "\x00"  # the section name of entries before the first header
_COMMENT = re.compile(r"[ \t][;#]")


@dataclass(frozen=True, slots=True)
class _Entry:
    """One key; its value is `[start, end)` on its line, and continuation lines reach to `stop`."""

    section: str
    key: str
    line: int
    indent: str
    between: str  # the text between key and value
    start: int
    end: int
    stop: int
    value: str
    has_comments: bool = False  # comment lines inside the value


def set_key(text: str, edit: SetKey) -> str:
    """The text with one key set and every other character unchanged; EditError when that is not possible."""
    headers, entries = _scan(text)
    before = _parsed(text, edit.path)
    location = locate(_shape(headers, entries), edit)
    if any(c in edit.value for c in "\r\n"):
        raise EditError("bad_value", f"The value for {edit.key} has a line break, which {edit.path} cannot hold")
    if location.missing:
        section, key = _new_section_and_key(edit, location, headers, entries)
        _refuse_unreadable(edit, "", "")
        after, value = _insert(text, section, key, edit.value, headers, entries), edit.value
        before.setdefault(section, {})[key] = value
    else:
        names = location.path if len(location.path) > 1 else (_TOP, *location.path)
        entry = next((e for e in entries if (e.section, e.key) == names), None)
        if entry is None:
            refuse_group(edit, before.get(str(location.path[0]), {}))
            raise EditError("bad_value", f"{edit.key} in {edit.path} is a section, not a key")
        check_was(edit, _bare(entry.value))
        after, before[entry.section][entry.key] = _replace(text, edit, entry)
    if _parsed(after, edit.path) != before:
        message = f"{edit.value[:60]!r} cannot be the value of {edit.key} in {edit.path}"
        raise EditError("bad_value", message, f'Say: replace "old text" with "new text" in {edit.path}.')
    return after


def _scan(text: str) -> tuple[dict[str, int], list[_Entry]]:
    """The sections with the end position of each header line, and the keys in order."""
    headers: dict[str, int] = {}
    entries: list[_Entry] = []
    section, saw_comment, position = _TOP, False, 0
    open_entry = False
    for number, line in enumerate(text.split("\n"), 1):
        start, position = position, position + len(line) + 1
        bare = line.strip()
        indent = line[: len(line) - len(line.lstrip())]
        if not bare:
            continue
        if bare[0] in "#;":
            saw_comment = True
        elif open_entry and len(indent) > len(entries[-1].indent):
            stop = start + len(line.rstrip())
            entries[-1] = replace(entries[-1], stop=stop, has_comments=entries[-1].has_comments or saw_comment)
        elif bare[0] == "[" and "]" in bare:
            section, open_entry = bare[1 : bare.rindex("]")], False
            headers.setdefault(section, start + len(line.rstrip("\r")))
        else:
            entries.append(_entry(line, start, number, section, indent))
            open_entry, saw_comment = True, False
    return headers, entries


def _entry(line: str, start: int, number: int, section: str, indent: str) -> _Entry:
    positions = [position for position in (line.find("="), line.find(":")) if position >= 0]
    if not positions:
        end = start + len(line.rstrip())
        return _Entry(section, line.strip(), number, indent, "", end, end, end, "")
    delimiter = min(positions)
    key = line[:delimiter].strip()
    rest = line[delimiter + 1 :]
    value = rest.strip()
    value_start = delimiter + 1 + (len(rest) - len(rest.lstrip(" \t")) if value else 0)
    if value and value[0] in "\"'" and (close := value.find(value[0], 1)) > 0:
        comment = _COMMENT.search(value, close)
    else:
        comment = _COMMENT.search(value)
    bare_value = value[: comment.start()].rstrip() if comment else value
    between = line[len(indent) + len(key) : value_start]
    value_start, stop = start + value_start, start + len(line.rstrip())
    return _Entry(section, key, number, indent, between, value_start, value_start + len(bare_value), stop, bare_value)


def _shape(headers: dict[str, int], entries: list[_Entry]) -> ParsedMapping:
    sections: dict[str, list[tuple[str, object]]] = {name: [] for name in headers}
    top: list[tuple[str, object]] = []
    for entry in entries:
        (top if entry.section == _TOP else sections[entry.section]).append((entry.key, entry.value))
    return ParsedMapping([*top, *((name, ParsedMapping(pairs)) for name, pairs in sections.items())])


def _parsed(text: str, path: str) -> dict[str, dict[str, str | None]]:
    """What Python's configparser reads; EditError names the line that it cannot read."""
    reader = configparser.RawConfigParser(
        strict=False, allow_no_value=True, default_section="\x01", empty_lines_in_values=False
    )
    reader.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        reader.read_string(f"[{_TOP}]\n{text}")
    except configparser.Error as error:
        lines = getattr(error, "errors", None)
        line = lines[0][0] - 1 if lines else max((getattr(error, "lineno", None) or 2) - 1, 1)
        raise EditError("unparsable_file", f"{path}:{line} is not INI", "Fix the file first.") from None
    return {section: dict(reader.items(section)) for section in reader.sections()}


def _new_section_and_key(
    edit: SetKey, location: KeyLocation, headers: dict[str, int], entries: list[_Entry]
) -> tuple[str, str]:
    """The section and name for a new key."""
    if location.path:
        return str(location.path[0]), ".".join(location.missing)
    if len(location.missing) == 2:
        return location.missing[0], location.missing[1]
    if len(location.missing) == 1 and (not headers or any(entry.section == _TOP for entry in entries)):
        return _TOP, location.missing[0]
    sections = ", ".join(list(headers)[:5])
    message = f"{edit.path} has no {edit.key}"
    raise EditError("no_such_key", message, f"Name its section too, one of {sections}, such as section.key.")


def _replace(text: str, edit: SetKey, entry: _Entry) -> tuple[str, str]:
    """The text with the entry's value replaced, and the value that a reader then sees."""
    if entry.has_comments:
        message = f"{edit.key} in {edit.path}:{entry.line} has comments between the lines of its value"
        raise EditError("unsupported_format", message, f'Say: replace "old" with "new" in {edit.path}.')
    if entry.value == edit.value and entry.between and entry.stop <= end_of_line(text, entry.end):
        return text, (entry.value + text[entry.end : end_of_line(text, entry.end)]).strip()
    quote = entry.value[0] if _is_quoted(entry.value) else ""
    _refuse_unreadable(edit, quote, entry.value)
    value = quote + edit.value + quote
    between = ""
    if entry.start == entry.end:
        between = " = " if not entry.between else " " if entry.between == " =" else ""
    line_end = end_of_line(text, entry.end)
    rest = text[entry.end : line_end]
    if not value and rest.strip():
        message = f"{edit.key} cannot be empty in {edit.path}: the comment after it would become its value"
        raise EditError("bad_value", message, f'Say: replace "old" with "new" in {edit.path}.')
    tail = text[line_end:] if entry.stop <= line_end else text[entry.stop :]
    return text[: entry.start] + between + value + rest + tail, (value + rest).strip()


def _refuse_unreadable(edit: SetKey, quote: str, old: str) -> None:
    """Raise EditError for a value that readers would cut, trim or treat as a comment when written in `quote`."""
    value, reason = edit.value, ""
    if quote:
        reason = "its quotes cannot hold" if quote in value else ""
    elif value != value.strip():
        reason = "readers drop spaces at the ends of"
    elif _COMMENT.search(value) or (value[:1] in ("#", ";") and value[:1] != old[:1]):
        reason = "many readers see a comment in"
    if reason:
        message = f"{edit.key} cannot be set in {edit.path}: {reason} {value[:60]!r}"
        raise EditError("bad_value", message, f'To write it anyway, say: replace "old" with "new" in {edit.path}.')


def _insert(text: str, section: str, key: str, value: str, headers: dict[str, int], entries: list[_Entry]) -> str:
    line_end = newline_of(text)
    siblings = [entry for entry in entries if entry.section == section]
    separator = next((e.between for e in reversed(entries) if e.between and e.start < e.end), " = ")
    if siblings:
        stop = end_of_line(text, siblings[-1].stop)
        return text[:stop] + line_end + siblings[-1].indent + key + separator + value + text[stop:]
    if section in headers:
        stop = headers[section]
        return text[:stop] + line_end + key + separator + value + text[stop:]
    gap = "" if not text or text.endswith("\n") else line_end
    if section == _TOP:
        return f"{text}{gap}{key}{separator}{value}{line_end}"
    blank = line_end if text.strip() else ""
    return f"{text}{gap}{blank}[{section}]{line_end}{key}{separator}{value}{line_end}"


def _is_quoted(value: str) -> bool:
    return len(value) > 1 and value[0] in "\"'" and value[-1] == value[0]


def _bare(value: str) -> str:
    """A value without its quotes."""
    return value[1:-1] if _is_quoted(value) else value
