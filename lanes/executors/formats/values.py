"""What a person's word becomes in a file: a number, true, false, null or text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.edit import SetKey
from lanes.executors.errors import EditError

NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,99})(?:\.[0-9]{1,99})?(?:[eE][-+]?[0-9]{1,3})?")
_WORDS = {"true": True, "false": False}
_SWITCHES = {"yes": True, "on": True, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class Wanted:
    """The value meant; `literal` is its spelling when it is no text."""

    value: object
    literal: str | None = None


def wanted(edit: SetKey, old: object) -> Wanted:
    """What the edit's value means over `old` (None when the key is new or empty); EditError when it cannot be.

    A quoted value is text. So is one over a text that holds digits or reads like another type: whoever
    wrote "1.0" in quotes wants "2.0" in quotes.
    """
    text, word = edit.value, edit.value.casefold()
    if edit.quoted or (isinstance(old, str) and _written_as_text(old)):
        return Wanted(text)
    if isinstance(old, bool) and word in _SWITCHES:
        word = "true" if _SWITCHES[word] else "false"
    if word in _WORDS:
        return Wanted(_WORDS[word], word)
    if word == "null":
        return Wanted(None, word)
    if NUMBER.fullmatch(text):
        return Wanted(int(text) if text.lstrip("-").isdigit() else float(text), text)
    if isinstance(old, bool | int | float) and text.isalpha():
        what = "true or false" if isinstance(old, bool) else "a number"
        message = f"{edit.key} in {edit.path} is {what} ({spelled(old)}), not a word such as {text}"
        raise EditError("bad_value", message, f'To make it text, quote it: set {edit.key} to "{text}" in {edit.path}.')
    return Wanted(text)


def is_structure(edit: SetKey) -> bool:
    """Whether the value is written as a list or a mapping."""
    return not edit.quoted and edit.value[:1] in ("[", "{")


def check_was(edit: SetKey, old: object) -> None:
    """EditError unless the value there is the one the person said it is."""
    if edit.was is None or edit.was in (old, spelled(old)) or _as_number(edit.was) == old:
        return
    raise EditError("not_found", f"{edit.key} in {edit.path} is {spelled(old)}, not {edit.was}")


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


def _written_as_text(old: str) -> bool:
    return any(c.isdigit() for c in old) or old.casefold() in (*_WORDS, *_SWITCHES, "null")


def _as_number(text: str) -> object:
    return float(text) if NUMBER.fullmatch(text) else None
