"""Sets a key in a JSON file (comments and trailing commas allowed) by changing only the characters of its value."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from core.model.edits import SetKey
from lanes.executors.errors import EditError
from lanes.executors.formats.locate import KeyPath, ParsedMapping, is_same, locate, value_at, with_value
from lanes.executors.formats.values import (
    check_was,
    end_of_line,
    is_structure,
    line_of,
    new_value,
    newline_of,
    refuse_group,
)

_MAX_DEPTH = 100
_STRINGS = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class JsonNode:
    """A JSON value at `[start, end)` in the text; keys and members are in file order."""

    start: int
    end: int
    value: object
    keys: tuple[JsonNode, ...] = ()
    members: tuple[JsonNode, ...] = field(default=())


class JsonSyntaxError(ValueError):
    """The text is not JSON; `value_at` is the position of the error."""

    def __init__(self, at: int) -> None:
        super().__init__(f"not JSON at {at}")
        self.at = at


def set_key(text: str, edit: SetKey) -> str:
    """The text with one key set and every other character unchanged; EditError when that is not possible."""
    root = read(text, edit.path)
    location = locate(root.value, edit)
    old = value_at(root.value, location.path) if not location.missing else None
    refuse_group(edit, old)
    current = "" if location.missing else _source(text, find(root, location.path))
    if not location.missing:
        check_was(edit, old, current)
    spelling, value = _spelling(edit, old, current, escaped="\\u" in text and text.isascii())
    if not location.missing:
        node = find(root, location.path)
        after = (
            text[: node.start] + (text[node.start : node.end] if is_same(old, value) else spelling) + text[node.end :]
        )
    else:
        after = _insert(text, find(root, location.path), location.missing, spelling)
    if not is_same(read(after, edit.path).value, with_value(root.value, location, value)):
        raise EditError("unsupported_format", f"{edit.key} cannot be set in {edit.path} without other changes")
    return after


def read(text: str, path: str) -> JsonNode:
    """The root value of a JSON text; EditError names the line that cannot be read."""
    try:
        start = _skip(text, 0)
        root = _value(text, start, 0)
        if (end := _skip(text, root.end)) < len(text):
            raise JsonSyntaxError(end)
    except JsonSyntaxError as error:
        line = line_of(text, error.at)
        raise EditError("unparsable_file", f"{path}:{line} is not JSON", "Fix the file first.") from None
    return root


def find(root: JsonNode, path: KeyPath) -> JsonNode:
    """The node at an existing path."""
    for step in path:
        index = step if isinstance(step, int) else next(i for i, k in enumerate(root.keys) if k.value == step)
        root = root.members[index]
    return root


def _source(text: str, node: JsonNode) -> str:
    return text[node.start : node.end]


def _spelling(edit: SetKey, old: object, current: str, *, escaped: bool) -> tuple[str, object]:
    """The new value as text and as a value; `escaped` for a file that escapes everything but ASCII."""
    if is_structure(edit):
        try:
            return edit.value, json.loads(edit.value, parse_constant=_reject_constant)
        except (ValueError, RecursionError):
            raise EditError("bad_value", f"{edit.value[:60]} is not JSON", "Quote it to make it text.") from None
    value = new_value(edit, old, current)
    return value.literal or json.dumps(value.value, ensure_ascii=escaped), value.value


def _reject_constant(word: str) -> object:
    raise ValueError(word)


def _insert(text: str, parent: JsonNode, names: tuple[str, ...], spelling: str) -> str:
    """The text with a new last member in `parent`, formatted like its neighbours."""
    line_end = newline_of(text)
    base = _indent(text, parent.start)
    step = _indent_step(text)
    if parent.members:
        key, last = parent.keys[-1], parent.members[-1]
        first = parent.keys[0]
        opened = text[parent.start + 1 : first.start]
        lead = line_end + _indent(text, first.start) if "\n" in opened else " "
        colon = text[key.end : last.start] if "\n" not in text[key.end : last.start] else ": "
        member = _member(names, spelling, colon, _indent(text, first.start), step, line_end, flat="\n" not in opened)
        after = _skip(text, last.end)
        stop = after + 1 if text[after] == "," else last.end
        end = end_of_line(text, stop)
        if "\n" in lead and text[stop:end].strip().startswith("/"):
            stop = end  # keep a comment on the line of the previous member
        comma, trailing = ("", ",") if text[after] == "," else (",", "")
        return text[: last.end] + comma + text[last.end : stop] + lead + member + trailing + text[stop:]
    inner = base + step
    member = _member(names, spelling, ": ", inner, step, line_end, flat=False)
    return text[: parent.start] + "{" + line_end + inner + member + line_end + base + "}" + text[parent.end :]


def _member(
    names: tuple[str, ...], spelling: str, colon: str, indent: str, step: str, line_end: str, *, flat: bool
) -> str:
    key = json.dumps(names[0], ensure_ascii=False)
    if len(names) == 1:
        return key + colon + spelling
    inner = _member(names[1:], spelling, colon, indent + step, step, line_end, flat=flat)
    if flat:
        return key + colon + "{" + inner + "}"
    return f"{key}{colon}{{{line_end}{indent}{step}{inner}{line_end}{indent}}}"


def _indent(text: str, at: int) -> str:
    """The indentation of the line at `value_at`."""
    start = text.rfind("\n", 0, at) + 1
    line = text[start:at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _indent_step(text: str) -> str:
    """One level of indentation: that of the first indented line, else two spaces."""
    match = re.search(r"\n([ \t]+)[^\s]", text)
    return match[1] if match else "  "


def _skip(text: str, at: int) -> int:
    """The position after whitespace and comments."""
    while True:
        at = _SPACE.match(text, at).end()  # type: ignore[union-attr]  # the pattern matches nothing too
        if text.startswith("//", at):
            at = end if (end := text.find("\n", at)) >= 0 else len(text)
        elif text.startswith("/*", at):
            if (end := text.find("*/", at + 2)) < 0:
                raise JsonSyntaxError(at)
            at = end + 2
        else:
            return at


def _value(text: str, at: int, depth: int) -> JsonNode:
    char = text[at : at + 1]
    if depth > _MAX_DEPTH:
        raise JsonSyntaxError(at)
    if char == '"':
        return _string(text, at)
    if char == "{":
        return _object(text, at, depth)
    if char == "[":
        return _array(text, at, depth)
    for word, value in _WORDS.items():
        if text.startswith(word, at):
            return JsonNode(at, at + len(word), value)
    number = _NUMBER.match(text, at)
    if number is None:
        raise JsonSyntaxError(at)
    digits = number[0]
    whole = digits.lstrip("-").isdigit() and len(digits) < 1000
    return JsonNode(at, number.end(), int(digits) if whole else float(digits))


def _string(text: str, at: int) -> JsonNode:
    if text[at : at + 1] != '"':
        raise JsonSyntaxError(at)
    try:
        value, end = _STRINGS.raw_decode(text, at)
    except ValueError:
        raise JsonSyntaxError(at) from None
    return JsonNode(at, end, value)


def _object(text: str, start: int, depth: int) -> JsonNode:
    keys: list[JsonNode] = []
    members: list[JsonNode] = []
    at = _skip(text, start + 1)
    while text[at : at + 1] != "}":
        key = _string(text, at)
        at = _skip(text, key.end)
        if text[at : at + 1] != ":":
            raise JsonSyntaxError(at)
        member = _value(text, _skip(text, at + 1), depth + 1)
        keys.append(key)
        members.append(member)
        at = _after_member(text, member.end, "}")
    value = ParsedMapping((str(key.value), member.value) for key, member in zip(keys, members, strict=True))
    return JsonNode(start, at + 1, value, tuple(keys), tuple(members))


def _array(text: str, start: int, depth: int) -> JsonNode:
    members: list[JsonNode] = []
    at = _skip(text, start + 1)
    while text[at : at + 1] != "]":
        members.append(_value(text, at, depth + 1))
        at = _after_member(text, members[-1].end, "]")
    return JsonNode(start, at + 1, [member.value for member in members], members=tuple(members))


def _after_member(text: str, at: int, closing: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] == ",":
        return _skip(text, at + 1)
    if text[at : at + 1] != closing:
        raise JsonSyntaxError(at)
    return at
