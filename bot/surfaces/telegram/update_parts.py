"""Reads parts of an update's JSON with type checks; other parts of the update are never looked at.

Updates are external data. A library that reads all of an update fails at parts that do not matter, and the whole batch
with it. `UnreadableUpdateError` names the part that differs from Telegram's documentation, never its content, so that
it can be logged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

Json = Mapping[str, Any]

_INT64: Final = 2**63


class UnreadableUpdateError(ValueError):
    """A part of an update has another type than documented; the message is the part's name alone."""


def optional_object(of: Json, key: str) -> Json | None:
    """The object at `key`, or None if there is none."""
    value = of.get(key)
    if value is not None and not isinstance(value, Mapping):
        raise UnreadableUpdateError(key)
    return value


def required_object(of: Json, key: str) -> Json:
    """The object at `key`; raises `UnreadableUpdateError` if there is none."""
    value = optional_object(of, key)
    if value is None:
        raise UnreadableUpdateError(key)
    return value


def optional_int(of: Json, key: str) -> int | None:
    """The integer of at most 64 bits at `key`, or None if there is none."""
    value = of.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not -_INT64 < value < _INT64:
        raise UnreadableUpdateError(key)
    return value


def required_int(of: Json, key: str) -> int:
    """The integer at `key`; raises `UnreadableUpdateError` if there is none."""
    value = optional_int(of, key)
    if value is None:
        raise UnreadableUpdateError(key)
    return value


def text_at(of: Json, key: str) -> str:
    """The text at `key`, empty if there is none."""
    value = of.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UnreadableUpdateError(key)
    return value


def bool_at(of: Json, key: str) -> bool:
    """The boolean at `key`, false if there is none."""
    value = of.get(key)
    if value is not None and not isinstance(value, bool):
        raise UnreadableUpdateError(key)
    return bool(value)


def objects_at(of: Json, key: str) -> Sequence[Json]:
    """The objects in the list at `key`; empty if there is no list."""
    value = of.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise UnreadableUpdateError(key)
    return value


def full_name(user: Json) -> str:
    """A person's first and last name."""
    return " ".join(filter(None, (text_at(user, "first_name"), text_at(user, "last_name"))))


def update_id(update: object) -> int | None:
    """The id of an update, or None if it has no valid one."""
    value = update.get("update_id") if isinstance(update, Mapping) else None
    is_valid = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _INT64
    return value if is_valid else None
