"""Reading an update's JSON: only the parts we use, each held to its type; nothing else can make an update unreadable.

An update is data from outside. A library that reads all of it fails at parts that do not concern us, and a batch fails
with it. `UnreadableUpdateError` names the part that is not as Telegram documents it, never its content, so that it
can be logged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

Json = Mapping[str, Any]

_LARGEST: Final = 2**63


class UnreadableUpdateError(ValueError):
    """A part of an update has another type than Telegram documents; the message is the part's name alone."""


def optional_object(of: Json, key: str) -> Json | None:
    """The object at `key`, or None where there is none."""
    value = of.get(key)
    if value is not None and not isinstance(value, Mapping):
        raise UnreadableUpdateError(key)
    return value


def required_object(of: Json, key: str) -> Json:
    """The object at `key`; raises `UnreadableUpdateError` where there is none."""
    found = optional_object(of, key)
    if found is None:
        raise UnreadableUpdateError(key)
    return found


def optional_int(of: Json, key: str) -> int | None:
    """The whole number at `key`, of at most 64 bits, or None where there is none."""
    value = of.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not -_LARGEST < value < _LARGEST:
        raise UnreadableUpdateError(key)
    return value


def required_int(of: Json, key: str) -> int:
    """The whole number at `key`; raises `UnreadableUpdateError` where there is none."""
    found = optional_int(of, key)
    if found is None:
        raise UnreadableUpdateError(key)
    return found


def text_at(of: Json, key: str) -> str:
    """The text at `key`, empty where there is none."""
    value = of.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UnreadableUpdateError(key)
    return value


def bool_at(of: Json, key: str) -> bool:
    """The truth value at `key`, false where there is none."""
    value = of.get(key)
    if value is not None and not isinstance(value, bool):
        raise UnreadableUpdateError(key)
    return bool(value)


def objects_at(of: Json, key: str) -> Sequence[Json]:
    """The objects in the list at `key`; none where there is no list."""
    value = of.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
        raise UnreadableUpdateError(key)
    return value


def full_name(user: Json) -> str:
    """A person's first and last name."""
    return " ".join(filter(None, (text_at(user, "first_name"), text_at(user, "last_name"))))


def utf16_bytes(text: str) -> bytes:
    """The text as Telegram counts it: two bytes a unit."""
    return text.encode("utf-16-le", "surrogatepass")


def utf16_length(text: str) -> int:
    """The length of a text as Telegram counts it, in UTF-16 units."""
    return len(utf16_bytes(text)) // 2


def update_id(update: object) -> int | None:
    """The number of an update, or None for what has none."""
    found = update.get("update_id") if isinstance(update, Mapping) else None
    whole = isinstance(found, int) and not isinstance(found, bool) and 0 <= found < _LARGEST
    return found if whole else None
