"""Setting a key in an INI file by changing only that value's characters."""

from __future__ import annotations

import configparser
import re
from dataclasses import dataclass, replace

from core.model.edits import SetKey
from lanes.executors.errors import EditError
from lanes.executors.formats.place import Group, KeyPosition, locate
from lanes.executors.formats.values import check_was, end_of_line, newline_of, refuse_group

_TOP = "\x00"  # the name given to what stands before the first section
_REMARK = re.compile(r"[ \t][;#]")


@dataclass(frozen=True, slots=True)
class _Entry:
    """One key: its value is `[start, end)` on its line, further lines of it reach to `stop`."""

    section: str
    key: str
    line: int
    indent: str
    between: str  # what stands between key and value
    start: int
    end: int
    stop: int
    value: str
    remarks: bool = False  # comment lines inside the value


def set_key(text: str, edit: SetKey) -> str:
    """The INI text with one key set, every other character kept; EditError when that cannot be."""
    headers, entries = _scan(text)
    before = _parsed(text, edit.path)
    place = locate(_shape(headers, entries), edit)
    if any(c in edit.value for c in "\r\n"):
        raise EditError("bad_value", f"The value for {edit.key} has a line break, which {edit.path} cannot hold")
    if place.missing:
        section, key = _new_home(edit, place, headers, entries)
        _refuse_unreadable(edit, "", "")
        after, value = _inserted(text, section, key, edit.value, headers, entries), edit.value
        before.setdefault(section, {})[key] = value
    else:
        names = place.path if len(place.path) > 1 else (_TOP, *place.path)
        entry = next((e for e in entries if (e.section, e.key) == names), None)
        if entry is None:
            refuse_group(edit, before.get(str(place.path[0]), {}))
            raise EditError("bad_value", f"{edit.key} in {edit.path} is a section, not a key")
        check_was(edit, _bare(entry.value))
        after, before[entry.section][entry.key] = _replaced(text, edit, entry)
    if _parsed(after, edit.path) != before:
        message = f"{edit.value[:60]!r} cannot be the value of {edit.key} in {edit.path}"
        raise EditError("bad_value", message, f'Say: replace "old text" with "new text" in {edit.path}.')
    return after


def _scan(text: str) -> tuple[dict[str, int], list[_Entry]]:
    """The sections with the position where each header's line ends, and the keys in order."""
    headers: dict[str, int] = {}
    entries: list[_Entry] = []
    section, remarked, position = _TOP, False, 0
    open_entry = False
    for number, line in enumerate(text.split("\n"), 1):
        start, position = position, position + len(line) + 1
        bare = line.strip()
        indent = line[: len(line) - len(line.lstrip())]
        if not bare:
            continue
        if bare[0] in "#;":
            remarked = True
        elif open_entry and len(indent) > len(entries[-1].indent):
            stop = start + len(line.rstrip())
            entries[-1] = replace(entries[-1], stop=stop, remarks=entries[-1].remarks or remarked)
        elif bare[0] == "[" and "]" in bare:
            section, open_entry = bare[1 : bare.rindex("]")], False
            headers.setdefault(section, start + len(line.rstrip("\r")))
        else:
            entries.append(_entry(line, start, number, section, indent))
            open_entry, remarked = True, False
    return headers, entries


def _entry(line: str, start: int, number: int, section: str, indent: str) -> _Entry:
    places = [place for place in (line.find("="), line.find(":")) if place >= 0]
    if not places:
        end = start + len(line.rstrip())
        return _Entry(section, line.strip(), number, indent, "", end, end, end, "")
    delimiter = min(places)
    key = line[:delimiter].strip()
    rest = line[delimiter + 1 :]
    value = rest.strip()
    begins = delimiter + 1 + (len(rest) - len(rest.lstrip(" \t")) if value else 0)
    if value and value[0] in "\"'" and (close := value.find(value[0], 1)) > 0:
        remark = _REMARK.search(value, close)
    else:
        remark = _REMARK.search(value)
    kept = value[: remark.start()].rstrip() if remark else value
    between = line[len(indent) + len(key) : begins]
    begins, stop = start + begins, start + len(line.rstrip())
    return _Entry(section, key, number, indent, between, begins, begins + len(kept), stop, kept)


def _shape(headers: dict[str, int], entries: list[_Entry]) -> Group:
    sections: dict[str, list[tuple[str, object]]] = {name: [] for name in headers}
    top: list[tuple[str, object]] = []
    for entry in entries:
        (top if entry.section == _TOP else sections[entry.section]).append((entry.key, entry.value))
    return Group([*top, *((name, Group(pairs)) for name, pairs in sections.items())])


def _parsed(text: str, path: str) -> dict[str, dict[str, str | None]]:
    """What Python's own reader sees; EditError names the line that it cannot read."""
    reader = configparser.RawConfigParser(
        strict=False, allow_no_value=True, default_section="\x01", empty_lines_in_values=False
    )
    reader.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        reader.read_string(f"[{_TOP}]\n{text}")
    except configparser.Error as error:
        lines = getattr(error, "errors", None)
        line = lines[0][0] - 1 if lines else max((getattr(error, "lineno", None) or 2) - 1, 1)
        raise EditError("unparsable_file", f"{path}:{line} is not INI", "Mend the file first.") from None
    return {section: dict(reader.items(section)) for section in reader.sections()}


def _new_home(edit: SetKey, place: KeyPosition, headers: dict[str, int], entries: list[_Entry]) -> tuple[str, str]:
    """The section and the name of a key that is to be added."""
    if place.path:
        return str(place.path[0]), ".".join(place.missing)
    if len(place.missing) == 2:
        return place.missing[0], place.missing[1]
    if len(place.missing) == 1 and (not headers or any(entry.section == _TOP for entry in entries)):
        return _TOP, place.missing[0]
    sections = ", ".join(list(headers)[:5])
    message = f"{edit.path} has no {edit.key}"
    raise EditError("no_such_key", message, f"Name its section too, one of {sections}, such as section.key.")


def _replaced(text: str, edit: SetKey, entry: _Entry) -> tuple[str, str]:
    """The text with the entry's value exchanged, and what a reader sees as its value then."""
    if entry.remarks:
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
        message = f"{edit.key} cannot be empty in {edit.path}: the comment behind it would read as its value"
        raise EditError("bad_value", message, f'Say: replace "old" with "new" in {edit.path}.')
    tail = text[line_end:] if entry.stop <= line_end else text[entry.stop :]
    return text[: entry.start] + between + value + rest + tail, (value + rest).strip()


def _refuse_unreadable(edit: SetKey, quote: str, old: str) -> None:
    """EditError for a value that a reader would cut, trim or take for a comment, in these quotes or without any."""
    value, why = edit.value, ""
    if quote:
        why = "its quotes cannot hold" if quote in value else ""
    elif value != value.strip():
        why = "readers drop spaces at the ends of"
    elif _REMARK.search(value) or (value[:1] in ("#", ";") and value[:1] != old[:1]):
        why = "many readers see a comment in"
    if why:
        message = f"{edit.key} cannot be set in {edit.path}: {why} {value[:60]!r}"
        raise EditError("bad_value", message, f'To write it anyway, say: replace "old" with "new" in {edit.path}.')


def _inserted(text: str, section: str, key: str, value: str, headers: dict[str, int], entries: list[_Entry]) -> str:
    line_end = newline_of(text)
    siblings = [entry for entry in entries if entry.section == section]
    spaced = next((e.between for e in reversed(entries) if e.between and e.start < e.end), " = ")
    if siblings:
        stop = end_of_line(text, siblings[-1].stop)
        return text[:stop] + line_end + siblings[-1].indent + key + spaced + value + text[stop:]
    if section in headers:
        stop = headers[section]
        return text[:stop] + line_end + key + spaced + value + text[stop:]
    gap = "" if not text or text.endswith("\n") else line_end
    if section == _TOP:
        return f"{text}{gap}{key}{spaced}{value}{line_end}"
    blank = line_end if text.strip() else ""
    return f"{text}{gap}{blank}[{section}]{line_end}{key}{spaced}{value}{line_end}"


def _is_quoted(value: str) -> bool:
    return len(value) > 1 and value[0] in "\"'" and value[-1] == value[0]


def _bare(value: str) -> str:
    """A value without its quotes."""
    return value[1:-1] if _is_quoted(value) else value
