"""Setting a variable in a .env file by changing only that value's characters."""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.model.dotted_key import split_key
from core.model.edits import SetKey
from lanes.executors.errors import EditError
from lanes.executors.formats.place import Group, near
from lanes.executors.formats.values import check_was, line_of, newline_of

_ASSIGNMENT = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_BARE = re.compile(r"[A-Za-z0-9_./:@%+,=-]+")
_EXPANSION = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*(?::?[-+?][^{}\"'\\`$]*)?\}")  # as compose and dotenv write it
_REMARK = re.compile(r"[ \t]#")


@dataclass(frozen=True, slots=True)
class _Variable:
    """One variable: `[start, end)` is its value with its quotes, if any."""

    name: str
    start: int
    end: int
    quote: str
    value: str


def set_key(text: str, edit: SetKey) -> str:
    """The .env text with one variable set, `export`, quotes and comments kept; EditError when that cannot be."""
    parts = split_key(edit.key)
    name = ".".join(part.text for part in parts)
    before = _scan(text, edit.path)
    there = [variable for variable in before if variable.name == name]
    _check(edit, name, before, there)
    if there:
        variable = there[0]
        check_was(edit, variable.value)
        spelling = variable.quote + edit.value + variable.quote
        if not _holds(variable.quote, edit.value, variable):
            spelling = _quoted(edit, literal=variable.quote == "'")
        after = text[: variable.start] + spelling + text[variable.end :]
    else:
        line_end = newline_of(text)
        gap = line_end if text and not text.endswith("\n") else ""
        line = f"{name}={edit.value if _holds('', edit.value) else _quoted(edit)}"
        after = text + (gap + line if gap else line + line_end)
    expected = [(v.name, edit.value if v in there else v.value) for v in before]
    if not there:
        expected.append((name, edit.value))
    if [(v.name, v.value) for v in _scan(after, edit.path)] != expected:
        raise EditError("bad_value", f"{edit.value[:60]!r} cannot be the value of {name} in {edit.path}")
    return after


def _check(edit: SetKey, name: str, before: list[_Variable], there: list[_Variable]) -> None:
    if not _NAME.fullmatch(name):
        raise EditError("bad_value", f"{name} is no name for a variable in {edit.path}")
    if len(there) > 1:
        raise EditError("ambiguous", f"{edit.path} sets {name} {len(there)} times", "Remove one first.")
    if there and edit.new:
        raise EditError("exists", f"{edit.path} already has {name}", f"Say: set {name} to … in {edit.path}.")
    if there:
        return
    hint = near(Group((variable.name, variable.value) for variable in before), split_key(edit.key))
    if edit.was is not None:
        raise EditError("not_found", f"{edit.path} has no {name}, so it is not {edit.was}", hint)
    if hint and not edit.new:
        mend = f"{hint} To add it all the same, say: set new key {name} to … in {edit.path}."
        raise EditError("no_such_key", f"{edit.path} has no {name}", mend)


def _scan(text: str, path: str) -> list[_Variable]:
    """The variables in order; EditError names the line that is no assignment."""
    found: list[_Variable] = []
    at = 0
    while at < len(text):
        stop = end if (end := text.find("\n", at)) >= 0 else len(text)
        bare = text[at:stop].strip()
        if bare and not bare.startswith("#"):
            assignment = _ASSIGNMENT.match(text, at, stop)
            if assignment is None:
                line = line_of(text, at)
                raise EditError("unparsable_file", f"{path}:{line} is not NAME=value", "Mend the file first.")
            variable = _variable(text, assignment[1], assignment.end(), stop)
            found.append(variable)
            stop = end if (end := text.find("\n", max(stop, variable.end))) >= 0 else len(text)
        at = stop + 1
    return found


def _variable(text: str, name: str, start: int, stop: int) -> _Variable:
    quote = text[start : start + 1]
    if quote in ("'", '"') and (close := _closing(text, quote, start + 1)) >= 0:
        return _Variable(name, start, close + 1, quote, text[start + 1 : close])
    remark = _REMARK.search(text, start - 1, stop)
    value = text[start : max(remark.start(), start) if remark else stop].rstrip()
    return _Variable(name, start, start + len(value), "", value)


def _closing(text: str, quote: str, at: int) -> int:
    """The position of the quote that closes, a backslash guarding one inside double quotes; -1 for none."""
    close = text.find(quote, at)
    while quote == '"' and close > 0 and text[close - 1] == "\\":
        close = text.find(quote, close + 1)
    return close


def _holds(quote: str, value: str, old: _Variable | None = None) -> bool:
    """Whether the value can be written in these quotes without any escape, and means there what it says.

    `${NAME}` is put in by whoever reads the file, in double quotes and without quotes: so it stays as written there.
    Any other `$` is only safe in single quotes, unless the old value relies on it too.
    """
    if quote == "'":
        return not any(c in value for c in "'\\\n")
    plain = _EXPANSION.sub("", value)
    if old is not None and "$" in old.value.replace("${", "") and quote != "'":
        plain = plain.replace("$", "")
    if not quote:
        return plain == "" or _BARE.fullmatch(plain) is not None
    return not any(c in plain for c in '"\\\n$`')


def _quoted(edit: SetKey, *, literal: bool = False) -> str:
    """The value in the quotes that can hold it; `literal` when nothing in it may be put in by a reader."""
    for quote in ('"', "'"):
        if _holds(quote, edit.value) and not (literal and quote == '"' and "$" in edit.value):
            return quote + edit.value + quote
    raise EditError("bad_value", f"{edit.value[:60]!r} cannot be written in {edit.path} without escapes")
