"""What a person's word becomes in a file: a number, true, false, null or text. A value keeps the type it has."""

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
_LOSES_A_ZERO = re.compile(r"-?[0-9]+\.[0-9]+0")
_TEMPLATE = ("{{", "{%", "{#")
# Keys whose value is often spelt like a number and read as text: a version loses its zero, a commit its letters.
_IDS: Final = frozenset({"tag", "sha", "sha1", "sha256", "commit", "digest", "revision", "rev", "hash"})
_VERSIONS: Final = frozenset({"version", "versions", "release"})
_LISTS_VERSIONS: Final = frozenset({"dependencies", "engines", "overrides", "resolutions", "packages", "plugins"})
_WORD_OF_A_NAME = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The value meant; `literal` is its spelling when it is no text."""

    value: object
    literal: str | None = None


def wanted(edit: SetKey, old: object, shown: str = "") -> Wanted:
    """What the edit's value means over `old` (None when the key is new or empty); EditError when it cannot be.

    A quoted value is text, and null empties any key. Else the value has the type of the old one: text stays text,
    a number a number. Where there is none to keep it is read as JSON would, unless that is not clear.
    `shown` is the old value as the file spells it.
    """
    word = edit.value.casefold()
    if edit.quoted:
        return Wanted(edit.value)
    if word == "null":
        return Wanted(None, word)
    if isinstance(old, str):
        return Wanted(edit.value)
    if isinstance(old, bool):
        return _switch(edit, word, shown or spelled(old))
    if isinstance(old, int | float):
        return _number(edit, shown or spelled(old))
    if word in _WORDS:
        return Wanted(_WORDS[word], word)
    if NUMBER.fullmatch(edit.value):
        refuse_unclear(edit)
        return Wanted(_value_of(edit.value), edit.value)
    return Wanted(edit.value)


def wrong_type(edit: SetKey, what: str, shown: str) -> EditError:
    """The refusal of a value that is not of the old one's type."""
    message = f"{edit.key} in {edit.path} is {what} ({shown[:60]}), and {edit.value[:60]} is not"
    return EditError("bad_value", message, _quote_it(edit, "To make it text, quote it"))


def refuse_unclear(edit: SetKey) -> None:
    """EditError when a bare number for a key that has no value yet could as well be text."""
    names = [part.text for part in split_key(edit.key)]
    words = {word.casefold() for word in _WORD_OF_A_NAME.findall(names[-1])}
    parent = {word.casefold() for word in _WORD_OF_A_NAME.findall(names[-2])} if len(names) > 1 else set()
    whole = edit.value.lstrip("-").isdigit()
    names_version = words & _IDS or parent & _LISTS_VERSIONS or (words & _VERSIONS and not whole)
    has_power = "e" in edit.value.casefold()
    if not names_version and not has_power and not _LOSES_A_ZERO.fullmatch(edit.value):
        return
    either = f'{edit.value} could be a number or the text "{edit.value}"'
    message = f"{edit.key} in {edit.path} has no value yet, and {either}"
    raise EditError("ambiguous", message, _quote_it(edit, "For text, quote it"))


def is_structure(edit: SetKey) -> bool:
    """Whether the value is written as a list or a mapping; a template such as {{name}} is neither."""
    return not edit.quoted and edit.value[:1] in ("[", "{") and not edit.value.startswith(_TEMPLATE)


def check_was(edit: SetKey, old: object, shown: str | None = None) -> None:
    """EditError unless the value there is the one the person said it is; `shown` is how the file spells it."""
    if edit.was is None or edit.was in (old, spelled(old), shown) or _as_number(edit.was) == old:
        return
    raise EditError("not_found", f"{edit.key} in {edit.path} is {shown or spelled(old)}, not {edit.was}")


def refuse_group(edit: SetKey, old: object) -> None:
    """EditError when a whole mapping or list would be lost to a single value."""
    if isinstance(old, dict | list) and not is_structure(edit):
        what = f"a group of {len(old)} keys" if isinstance(old, dict) else f"a list of {len(old)}"
        first = next(iter(old), "…") if isinstance(old, dict) else 0
        mend = f"Name a key inside it, such as {edit.key}.{first}."
        raise EditError("bad_value", f"{edit.key} in {edit.path} is {what}, not a single value", mend)


def spelled(value: object) -> str:
    """A scalar as a person would say it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)[:60]


def newline_of(text: str) -> str:
    """The line ending that the text uses."""
    first = text.find("\n")
    return "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"


def end_of_line(text: str, at: int) -> int:
    """The position where the line that holds `at` ends, before its line ending."""
    end = text.find("\n", at)
    if end < 0:
        return len(text)
    return end - 1 if end > at and text[end - 1] == "\r" else end


def line_of(text: str, at: int) -> int:
    """The number of the line that holds `at`, from 1."""
    return text.count("\n", 0, at) + 1


def _switch(edit: SetKey, word: str, shown: str) -> Wanted:
    meant = {**_WORDS, **_SWITCHES}.get(word)
    if meant is None:
        raise wrong_type(edit, "true or false", shown)
    return Wanted(meant, "true" if meant else "false")


def _number(edit: SetKey, shown: str) -> Wanted:
    if not NUMBER.fullmatch(edit.value):
        raise wrong_type(edit, "a number", shown)
    if _LOSES_A_ZERO.fullmatch(edit.value) and not _LOSES_A_ZERO.fullmatch(shown):
        short = spelled(float(edit.value))
        message = f"{edit.key} in {edit.path} is a number ({shown}), and the number {edit.value} is {short}"
        raise EditError("ambiguous", message, _quote_it(edit, f"Say {short}, or make it text with quotes"))
    return Wanted(_value_of(edit.value), edit.value)


def _value_of(number: str) -> int | float:
    return int(number) if number.lstrip("-").isdigit() else float(number)


def _quote_it(edit: SetKey, how: str) -> str:
    return f'{how}: set {edit.key} to "{edit.value[:60]}" in {edit.path}.'


def _as_number(text: str) -> object:
    return float(text) if NUMBER.fullmatch(text) else None
