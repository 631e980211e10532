"""Sets a variable in a .env file by changing only the characters of its value."""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.model.dotted_key import split_key
from core.model.edits import SetKey
from lanes.executors.errors import EditError
from lanes.executors.formats.locate import ParsedMapping, suggest_key
from lanes.executors.formats.values import check_was, line_of, newline_of

_ASSIGNMENT = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_BARE = re.compile(r"[A-Za-z0-9_./:@%+,=-]+")
_EXPANSION = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*(?::?[-+?][^{}\"'\\`$]*)?\}")  # as compose and dotenv write it
_COMMENT = re.compile(r"[ \t]#")


@dataclass(frozen=True, slots=True)
class _Variable:
    """One variable; `[start, end)` is its value, quotes included."""

    name: str
    start: int
    end: int
    quote: str
    value: str


def set_key(text: str, edit: SetKey) -> str:
    """The text with one variable set; keeps `export`, quotes and comments. EditError when that is not possible."""
    parts = split_key(edit.key)
    name = ".".join(part.text for part in parts)
    variables = _scan(text, edit.path)
    existing = [variable for variable in variables if variable.name == name]
    _check(edit, name, variables, existing)
    if existing:
        variable = existing[0]
        check_was(edit, variable.value)
        spelling = variable.quote + edit.value + variable.quote
        if not _can_hold(variable.quote, edit.value, variable):
            spelling = _quoted(edit, literal=variable.quote == "'")
        after = text[: variable.start] + spelling + text[variable.end :]
    else:
        line_end = newline_of(text)
        gap = line_end if text and not text.endswith("\n") else ""
        line = f"{name}={edit.value if _can_hold('', edit.value) else _quoted(edit)}"
        after = text + (gap + line if gap else line + line_end)
    expected = [(v.name, edit.value if v in existing else v.value) for v in variables]
    if not existing:
        expected.append((name, edit.value))
    if [(v.name, v.value) for v in _scan(after, edit.path)] != expected:
        raise EditError("bad_value", f"{edit.value[:60]!r} cannot be the value of {name} in {edit.path}")
    return after


def _check(edit: SetKey, name: str, variables: list[_Variable], existing: list[_Variable]) -> None:
    if not _NAME.fullmatch(name):
        raise EditError("bad_value", f"{name} is not a valid variable name in {edit.path}")
    if len(existing) > 1:
        raise EditError("ambiguous", f"{edit.path} sets {name} {len(existing)} times", "Remove one first.")
    if existing and edit.new:
        raise EditError("exists", f"{edit.path} already has {name}", f"Say: set {name} to … in {edit.path}.")
    if existing:
        return
    hint = suggest_key(ParsedMapping((variable.name, variable.value) for variable in variables), split_key(edit.key))
    if edit.was is not None:
        raise EditError("not_found", f"{edit.path} has no {name}, so it is not {edit.was}", hint)
    if hint and not edit.new:
        mend = f"{hint} To add it anyway, say: set new key {name} to … in {edit.path}."
        raise EditError("no_such_key", f"{edit.path} has no {name}", mend)


def _scan(text: str, path: str) -> list[_Variable]:
    """The variables in order; EditError names a line that is not an assignment."""
    variables: list[_Variable] = []
    at = 0
    while at < len(text):
        stop = end if (end := text.find("\n", at)) >= 0 else len(text)
        bare = text[at:stop].strip()
        if bare and not bare.startswith("#"):
            assignment = _ASSIGNMENT.match(text, at, stop)
            if assignment is None:
                line = line_of(text, at)
                raise EditError("unparsable_file", f"{path}:{line} is not NAME=value", "Fix the file first.")
            variable = _variable(text, assignment[1], assignment.end(), stop)
            variables.append(variable)
            stop = end if (end := text.find("\n", max(stop, variable.end))) >= 0 else len(text)
        at = stop + 1
    return variables


def _variable(text: str, name: str, start: int, stop: int) -> _Variable:
    quote = text[start : start + 1]
    if quote in ("'", '"') and (close := _closing(text, quote, start + 1)) >= 0:
        return _Variable(name, start, close + 1, quote, text[start + 1 : close])
    comment = _COMMENT.search(text, start - 1, stop)
    if comment is not None and comment.start() < start:  # an empty value: its place is before the space of the comment
        start = comment.start()
    value = text[start : comment.start() if comment else stop].rstrip()
    return _Variable(name, start, start + len(value), "", value)


def _closing(text: str, quote: str, at: int) -> int:
    """The position of the closing quote, -1 for none; a backslash escapes a double quote."""
    close = text.find(quote, at)
    while quote == '"' and close > 0 and text[close - 1] == "\\":
        close = text.find(quote, close + 1)
    return close


def _can_hold(quote: str, value: str, old: _Variable | None = None) -> bool:
    """True if the value can be written in these quotes without escapes and keeps its meaning.

    Readers expand `${NAME}` in double quotes and without quotes, so it is allowed there. Any other `$` is only safe in
    single quotes, unless the current value already relies on it.
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
    """The value in quotes that can hold it; `literal` when readers must not expand anything in it."""
    for quote in ('"', "'"):
        if _can_hold(quote, edit.value) and not (literal and quote == '"' and "$" in edit.value):
            return quote + edit.value + quote
    raise EditError("bad_value", f"{edit.value[:60]!r} cannot be written in {edit.path} without escapes")
