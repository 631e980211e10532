"""Decides what a requested value becomes in a file (a number, true, false, null or text); keeps existing types."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from core.model.dotted_key import split_key
from core.model.edits import SetKey
from lanes.executors.errors import EditError

NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,99})(?:\.[0-9]{1,99})?(?:[eE][-+]?[0-9]{1,3})?")
_WORDS = {"true": True, "false": False}
_SWITCHES = {"yes": True, "on": True, "no": False, "off": False}
_TRAILING_ZERO = re.compile(r"-?[0-9]+\.[0-9]+0")
_TEMPLATE = ("{{", "{%", "{#")
# Keys whose values look like numbers but are text: a version would lose its trailing zero, a commit its letters.
_IDS: Final = frozenset({"tag", "sha", "sha1", "sha256", "commit", "digest", "revision", "rev", "hash"})
_VERSIONS: Final = frozenset({"version", "versions", "release"})
_LISTS_VERSIONS: Final = frozenset({"dependencies", "engines", "overrides", "resolutions", "packages", "plugins"})
_WORD_OF_A_NAME = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+")


@dataclass(frozen=True, slots=True)
class NewValue:
    """The value to write; `literal` is its spelling if it is not text."""

    value: object
    literal: str | None = None


def new_value(edit: SetKey, old: object, shown: str = "") -> NewValue:
    """The edit's value, given the current value `old` (None when the key is new or empty).

    A quoted value is text, and null empties any key. Otherwise the value has the type of `old`; without one it is read
    as JSON would read it, unless that is ambiguous. `shown` is the current value as the file spells it.

    Raises:
        EditError: The value does not have the type of `old`, or is ambiguous.
    """
    word = edit.value.casefold()
    if edit.quoted:
        return NewValue(edit.value)
    if word == "null":
        return NewValue(None, word)
    if isinstance(old, str):
        return NewValue(edit.value)
    if isinstance(old, bool):
        return _boolean(edit, word, shown or format_scalar(old))
    if isinstance(old, int | float):
        return _number(edit, shown or format_scalar(old))
    if word in _WORDS:
        return NewValue(_WORDS[word], word)
    if NUMBER.fullmatch(edit.value):
        refuse_unclear(edit)
        return NewValue(_number_value(edit.value), edit.value)
    return NewValue(edit.value)


def wrong_type(edit: SetKey, what: str, shown: str) -> EditError:
    """The error for a value that does not have the current value's type."""
    message = f"{edit.key} in {edit.path} is {what} ({shown[:60]}), and {edit.value[:60]} is not"
    return EditError("bad_value", message, _quote_hint(edit, "To make it text, quote it"))


def refuse_unclear(edit: SetKey) -> None:
    """Raise EditError when an unquoted number for a key without a value could also be text."""
    names = [part.text for part in split_key(edit.key)]
    words = {word.casefold() for word in _WORD_OF_A_NAME.findall(names[-1])}
    parent = {word.casefold() for word in _WORD_OF_A_NAME.findall(names[-2])} if len(names) > 1 else set()
    whole = edit.value.lstrip("-").isdigit()
    names_version = words & _IDS or parent & _LISTS_VERSIONS or (words & _VERSIONS and not whole)
    has_power = "e" in edit.value.casefold()
    if not names_version and not has_power and not _TRAILING_ZERO.fullmatch(edit.value):
        return
    either = f'{edit.value} could be a number or the text "{edit.value}"'
    message = f"{edit.key} in {edit.path} has no value yet, and {either}"
    raise EditError("ambiguous", message, _quote_hint(edit, "For text, quote it"))


def is_structure(edit: SetKey) -> bool:
    """True if the value is written as a list or a mapping; a template such as {{name}} is neither."""
    return not edit.quoted and edit.value[:1] in ("[", "{") and not edit.value.startswith(_TEMPLATE)


def check_was(edit: SetKey, old: object, shown: str | None = None) -> None:
    """Raise EditError unless the request names the current value; `shown` is the current value's spelling."""
    if edit.was is None or edit.was in (old, format_scalar(old), shown) or _as_number(edit.was) == old:
        return
    raise EditError("not_found", f"{edit.key} in {edit.path} is {shown or format_scalar(old)}, not {edit.was}")


def refuse_group(edit: SetKey, old: object) -> None:
    """Raise EditError when a single value would replace a whole mapping or list."""
    if isinstance(old, dict | list) and not is_structure(edit):
        what = f"a group of {len(old)} keys" if isinstance(old, dict) else f"a list of {len(old)}"
        first = next(iter(old), "…") if isinstance(old, dict) else 0
        mend = f"Name a key inside it, such as {edit.key}.{first}."
        raise EditError("bad_value", f"{edit.key} in {edit.path} is {what}, not a single value", mend)


def format_scalar(value: object) -> str:
    """A scalar as people write it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)[:60]


def newline_of(text: str) -> str:
    """The line ending that the text uses."""
    first = text.find("\n")
    return "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"


def end_of_line(text: str, at: int) -> int:
    """The end position of the line at `at`, before its line ending."""
    end = text.find("\n", at)
    if end < 0:
        return len(text)
    return end - 1 if end > at and text[end - 1] == "\r" else end


def line_of(text: str, at: int) -> int:
    """The number of the line at `at`, counted from 1."""
    return text.count("\n", 0, at) + 1


def _boolean(edit: SetKey, word: str, shown: str) -> NewValue:
    value = {**_WORDS, **_SWITCHES}.get(word)
    if value is None:
        raise wrong_type(edit, "true or false", shown)
    return NewValue(value, "true" if value else "false")


def _number(edit: SetKey, shown: str) -> NewValue:
    if not NUMBER.fullmatch(edit.value):
        raise wrong_type(edit, "a number", shown)
    if _TRAILING_ZERO.fullmatch(edit.value) and not _TRAILING_ZERO.fullmatch(shown):
        short = format_scalar(float(edit.value))
        message = f"{edit.key} in {edit.path} is a number ({shown}), and the number {edit.value} is {short}"
        raise EditError("ambiguous", message, _quote_hint(edit, f"Say {short}, or make it text with quotes"))
    return NewValue(_number_value(edit.value), edit.value)


def _number_value(number: str) -> int | float:
    return int(number) if number.lstrip("-").isdigit() else float(number)


def _quote_hint(edit: SetKey, how: str) -> str:
    return f'{how}: set {edit.key} to "{edit.value[:60]}" in {edit.path}.'


def _as_number(text: str) -> object:
    return float(text) if NUMBER.fullmatch(text) else None
