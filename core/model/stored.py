"""Stored JSON: reads values that any earlier version of Countersign stored as JSON.

A stored object has its version under "v"; without it, the version is 1. Each kind of value has one reader, which names
the keys that it reads, gives keys that older versions lacked a default, and refuses what a newer version wrote. A
renamed key therefore needs a new version and a branch in the reader, and never breaks an old row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class StoredValueError(ValueError):
    """A stored value that this program cannot read; its message is a sentence that says which and why."""


class StoredObject:
    """The keys of one stored object of a version that this program can read."""

    __slots__ = ("_kind", "_value", "version")

    def __init__(self, value: Mapping[str, Any], kind: str, newest: int = 1, version_key: str = "v") -> None:
        """Raises `StoredValueError` if `value`, a `kind` such as "an intent", has a newer version than `newest`."""
        self._kind, self._value = kind, value
        self.version = value.get(version_key, 1)
        if not isinstance(self.version, int) or not 1 <= self.version <= newest:
            raise StoredValueError(
                f"a newer Countersign wrote {kind} of version {self.version!r}; this one reads them up to {newest}"
            )

    def __getitem__(self, key: str) -> Any:
        """The value of a key that every version wrote; raises `StoredValueError` if it is missing."""
        try:
            return self._value[key]
        except KeyError as error:
            raise StoredValueError(f"{self._kind} in the database has no {key!r}") from error

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key that some versions did not write, or `default`."""
        return self._value.get(key, default)
