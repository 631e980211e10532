"""Sets a key in a TOML file by changing only the characters of its value."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from datetime import date, time
from typing import Any

import tomlkit
from tomlkit.exceptions import ParseError, TOMLKitError
from tomlkit.items import InlineTable, Table

from core.model.edits import SetKey
from lanes.executors.errors import EditError
from lanes.executors.formats.locate import KeyLocation, KeyPath, is_same, locate, value_at, with_value
from lanes.executors.formats.values import (
    NUMBER,
    check_was,
    end_of_line,
    is_structure,
    line_of,
    new_value,
    newline_of,
    refuse_group,
    refuse_unclear,
    wrong_type,
)

Loader = Callable[[str], dict[str, Any]]

_MARK = "countersign mark"
_MAX_DOTS = 100
_LINE = re.compile(r"at line (\d+)")


def set_key(text: str, edit: SetKey) -> str:
    """The text with one key set and every other character unchanged; EditError when that is not possible."""
    shape = read(text, edit.path)
    load = _reader_of(text)
    location = locate(shape, edit)
    old = value_at(shape, location.path) if not location.missing else None
    if not location.missing:
        refuse_group(edit, old)
        start, end = span(text, location.path, edit.path)
        check_was(edit, old, text[start:end])
        if "\n" in text[start:end] and not isinstance(old, str):
            message = f"{edit.key} in {edit.path} is written over several lines"
            raise EditError("bad_value", message, f"Name one of its items, such as {edit.key}[0].")
        spelling = _spelling(edit, old, text[start:end], load)
        if is_same(_value(spelling), old):
            return text
        candidates: Iterator[str] = iter((text[:start] + spelling + text[end:],))
    else:
        spelling = _spelling(edit, None, "", load)
        candidates = _insertions(text, location, spelling, edit.path)
    expected = with_value(shape, location, _value(spelling))
    for candidate in candidates:
        if is_same(_read_or_none(candidate, load), expected):
            return candidate
    message = f"{edit.key} cannot be set in {edit.path} without changing other values"
    raise EditError("unsupported_format", message, f'Say: replace "old text" with "new text" in {edit.path}.')


def set_text(text: str, path: KeyPath, value: str, file: str) -> str:
    """The text with the string at an existing path replaced and every other character unchanged."""
    start, end = span(text, path, file)
    after = text[:start] + _quoted(value, text[start:end]) + text[end:]
    if not is_same(_read_or_none(after, _reader_of(text)), with_value(read(text, file), KeyLocation(path), value)):
        raise EditError("unsupported_format", f"{file} cannot be edited without changing other values")
    return after


def read(text: str, path: str) -> dict[str, Any]:
    """The parsed TOML text; EditError names the line that cannot be read."""
    if any(line.count(".") > _MAX_DOTS for line in text.split("\n")):
        _document(text, path)  # refuses keys so deep that tomllib would exhaust memory
    try:
        return _load(text)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a plain ValueError
        sentence = f"{path} is not TOML: {' '.join(str(error).split())[:120]}"
        raise EditError("unparsable_file", sentence, "Fix the file first.") from None


def span(text: str, path: KeyPath, file: str) -> tuple[int, int]:
    """The span of the value at an existing path, found by replacing it with a mark and comparing the texts."""
    mark = _MARK
    while mark in text:
        mark += "."
    try:
        document: Any = tomlkit.parse(text)
        parent = document
        for step in path[:-1]:
            parent = parent[step]
        parent[path[-1]] = mark
        marked = tomlkit.dumps(document)
    except (TOMLKitError, KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        problem = f"{file} is written in a way that cannot be edited in place ({type(error).__name__})"
        raise EditError("unsupported_format", problem, f'Say: replace "old" with "new" in {file}.') from None
    before, quoted_mark, after = marked.partition(f'"{mark}"')
    start, end = len(before), len(text) - len(after)
    if not quoted_mark or start >= end or not (text.startswith(before) and text.endswith(after)):
        line = line_of(text, min(start, len(text)))
        problem = f"{file}:{line} is written in a way that cannot be edited in place"
        raise EditError("unsupported_format", problem, f'Say: replace "old" with "new" in {file}.')
    return start, end


def _document(text: str, file: str) -> Any:
    """The text as parsed by tomlkit, which preserves layout."""
    try:
        return tomlkit.parse(text)
    except (TOMLKitError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:100]
        raise EditError("unparsable_file", f"{file} cannot be read: {reason}", "Fix the file first.") from None


def _load(text: str) -> dict[str, Any]:
    """The values of a TOML text, also of version 1.1 (tomllib reads 1.0); ValueError names the line."""
    try:
        return tomllib.loads(text)
    except ValueError as error:
        try:
            return tomlkit.parse(text).unwrap()
        except ParseError as other:  # the parser that gets further shows the real error; TOML 1.1 stops only tomllib
            position = _LINE.search(str(error))
            raise (other if position and other.line > int(position[1]) else error) from None
        except (TOMLKitError, RecursionError):
            raise error from None


def _reader_of(text: str) -> Loader:
    """The strictest reader for the file: a file that TOML 1.0 readers can read must stay readable for them."""
    try:
        tomllib.loads(text)
    except (ValueError, RecursionError):
        return _load
    return tomllib.loads


def _read_or_none(text: str, load: Loader) -> dict[str, Any] | None:
    try:
        return load(text)
    except (ValueError, RecursionError):
        return None


def _value(spelling: str) -> object:
    return _load(f"x = {spelling}")["x"]


def _typed(text: str, load: Loader) -> object:
    """What the file's readers see in an unquoted word, or None."""
    if "#" in text or "\n" in text or "\r" in text or text.count(".") > _MAX_DOTS:
        return None
    read_as = _read_or_none(f"x = {text}", load)
    return read_as["x"] if read_as is not None and read_as.keys() == {"x"} else None


def _spelling(edit: SetKey, old: object, old_spelling: str, load: Loader) -> str:
    """The new value in TOML, with the current value's type; without one, TOML's own syntax decides."""
    typed = None if edit.quoted else _typed(edit.value, load)
    if is_structure(edit):
        if typed is None:
            raise EditError("bad_value", f"{edit.value[:60]} is not TOML", "Quote it to make it text.")
        return edit.value
    is_date = isinstance(old, date | time)
    if typed is not None and not isinstance(typed, str | bool) and not isinstance(old, str | bool):
        if (old is None and not edit.value.isalpha()) or (is_date and type(typed) is type(old)):
            if isinstance(typed, int | float):
                refuse_unclear(edit)
            return edit.value
        if _is_number(old) and _is_number(typed) and not (edit.value.isalpha() and isinstance(old, int)):
            return edit.value if not NUMBER.fullmatch(edit.value) else str(new_value(edit, old, old_spelling).literal)
    if is_date and not edit.quoted:
        raise wrong_type(edit, "a date or a time", old_spelling)
    value = new_value(edit, old, old_spelling)
    if value.literal == "null":
        message = f"TOML has no null, so {edit.key} cannot be null in {edit.path}"
        raise EditError("bad_value", message, f'For the word, quote it: set {edit.key} to "null" in {edit.path}.')
    return value.literal if value.literal is not None else _quoted(str(value.value), old_spelling)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _quoted(text: str, old_spelling: str) -> str:
    """The text in the quotes of the current value if they can hold it."""
    if old_spelling.startswith("'") and "'" not in text and text.isprintable():
        return f"'{text}'"
    return tomlkit.string(text).as_string()


def _insertions(text: str, location: KeyLocation, spelling: str, file: str) -> Iterator[str]:
    """The text with the new key after its last sibling, else first in its table, else in a new table."""
    line_end = newline_of(text)
    parent: Any = _document(text, file)
    for step in location.path:
        parent = parent[step]
    name = ".".join(_key(part) for part in location.missing)
    siblings = [key for key, value in parent.items() if not isinstance(value, Table) and _is_plain(value)]
    if isinstance(parent, InlineTable):
        yield from _into_inline(text, location.path, list(parent), f"{name} = {spelling}", file)
        return
    if len(location.missing) == 1:
        for key in reversed(siblings[-5:]):
            start, end = span(text, (*location.path, key), file)
            line = text.rfind("\n", 0, start) + 1
            indent = text[line : len(text) - len(text[line:].lstrip(" \t"))]
            stop = end_of_line(text, end)
            yield text[:stop] + line_end + indent + f"{name} = {spelling}" + text[stop:]
        yield from _after_header(text, location.path, f"{name} = {spelling}", line_end)
        if not location.path:
            yield f"{name} = {spelling}{line_end}{line_end if text.strip() else ''}{text}"
    if all(isinstance(step, str) for step in location.path) and len(location.path) + len(location.missing) > 1:
        header = ".".join(_key(str(part)) for part in (*location.path, *location.missing[:-1]))
        gap = "" if not text else line_end if text.endswith("\n") else line_end * 2
        yield f"{text}{gap}[{header}]{line_end}{_key(location.missing[-1])} = {spelling}{line_end}"


def _is_plain(value: object) -> bool:
    return not (isinstance(value, list) and any(isinstance(item, Table) for item in value))


def _into_inline(text: str, path: KeyPath, keys: list[str], member: str, file: str) -> Iterator[str]:
    if keys:
        _, end = span(text, (*path, keys[-1]), file)
        yield text[:end] + ", " + member + text[end:]
    else:
        start, end = span(text, path, file)
        yield text[:start] + "{ " + member + " }" + text[end:]


def _after_header(text: str, path: KeyPath, line: str, line_end: str) -> Iterator[str]:
    """The text with the line after each header that ends in the table's name; the caller checks which one fits."""
    if not path or not isinstance(path[-1], str):
        return
    at_place = 0
    for _ in range(50):
        at_place = text.find(path[-1], at_place)
        if at_place < 0:
            return
        start, stop = text.rfind("\n", 0, at_place) + 1, end_of_line(text, at_place)
        if text[start:stop].lstrip().startswith("["):
            yield text[:stop] + line_end + line + text[stop:]
        at_place = stop + 1


def _key(name: str) -> str:
    return tomlkit.key(name).as_string()
