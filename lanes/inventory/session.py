"""Requests of one look at an endpoint, and strict readers of what it answers: sizes, types and lengths are bounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from core.model.errors import PermanentError
from lanes.models.endpoint import Endpoint
from lanes.models.endpoint_session import read_json, read_text
from lanes.models.faults import FaultOrigin, invalid_answer_error

MAX_BYTES: Final = 4 * 1024 * 1024
"""The longest answer that is read."""
MAX_ITEMS: Final = 2000
_MAX_TEXT: Final = 300
_MAX_COUNT: Final = 2**60


@dataclass(frozen=True, slots=True)
class ProbeSession:
    """Asks one endpoint, about `model` if that is named; every request must be answered within `limit_s`."""

    endpoint: Endpoint
    limit_s: float
    model: str = ""

    @property
    def origin(self) -> FaultOrigin:
        """What errors are about."""
        return FaultOrigin(self.endpoint, self.model)

    async def ask(self, path: str, body: dict[str, Any] | None = None) -> ServerAnswer:
        """The JSON object that the server answers; raises `TransientError` or `PermanentError`."""
        value = await read_json(self.origin, path, body, limit_s=self.limit_s, max_bytes=MAX_BYTES)
        return ServerAnswer(self.origin, path, value)

    async def ask_list(self, path: str) -> list[ServerAnswer]:
        """The JSON array of objects that the server answers."""
        value = await read_json(self.origin, path, limit_s=self.limit_s, max_bytes=MAX_BYTES)
        return ServerAnswer(self.origin, path, {"items": value}).items("items")

    async def ask_text(self, path: str) -> str:
        """The text that the server answers."""
        return await read_text(self.origin, path, limit_s=self.limit_s, max_bytes=MAX_BYTES)


class ServerAnswer:
    """A JSON object of a server, read key by key; what is there must be of the right type and of a sane size.

    Every reader raises `PermanentError` ``model_babbled`` for a value of another type.
    """

    __slots__ = ("_origin", "_path", "_value")

    def __init__(self, origin: FaultOrigin, path: str, value: object) -> None:
        self._origin, self._path = origin, path
        if not isinstance(value, Mapping):
            raise self._fault("a JSON object")
        self._value = value

    def text(self, key: str) -> str:
        """The text of `key`; empty when it is missing."""
        value = self._value.get(key)
        if value is None:
            return ""
        if not isinstance(value, str) or len(value) > _MAX_TEXT or "\0" in value:
            raise self._fault(f"a short text in {key!r}")
        return value.encode("utf-8", "replace").decode()

    def required_text(self, key: str) -> str:
        """The text of `key`; one that is missing or empty is an error."""
        text = self.text(key)
        if not text:
            raise self._fault(f"a text in {key!r}")
        return text

    def count(self, key: str) -> int | None:
        """The number of `key`, a whole one from 0; None when it is missing."""
        value = self._value.get(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_COUNT:
            raise self._fault(f"a count in {key!r}")
        return value

    def flag(self, key: str) -> bool | None:
        """The truth of `key`; None when it is missing."""
        value = self._value.get(key)
        if value is not None and not isinstance(value, bool):
            raise self._fault(f"true or false in {key!r}")
        return value

    def time(self, key: str) -> datetime | None:
        """The RFC 3339 time of `key` in UTC; None when it is missing or before 1970, which is Go's zero time."""
        text = self.text(key)
        if not text:
            return None
        try:
            time = datetime.fromisoformat(_microseconds(text))
            utc = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            if text.startswith("0001-"):
                return None
            raise self._fault(f"a time in {key!r}") from None
        return utc if utc.year >= 1970 else None

    def part(self, key: str) -> ServerAnswer:
        """The object of `key`; an empty one when it is missing."""
        return ServerAnswer(self._origin, self._path, self._value.get(key) or {})

    def items(self, key: str) -> list[ServerAnswer]:
        """The objects of the array `key`; none when it is missing."""
        return [ServerAnswer(self._origin, self._path, item) for item in self.values(key)]

    def required_items(self, key: str) -> list[ServerAnswer]:
        """The objects of the array `key`; a missing one is an error."""
        if not isinstance(self._value.get(key), list):
            raise self._fault(f"a list in {key!r}")
        return self.items(key)

    def values(self, key: str) -> list[Any]:
        """The values of the array `key`; none when it is missing."""
        value = self._value.get(key)
        if value is None:
            return []
        if not isinstance(value, list) or len(value) > MAX_ITEMS:
            raise self._fault(f"a list in {key!r}")
        return value

    def texts(self, key: str) -> list[str]:
        """The short texts of the array `key`; none when it is missing."""
        return [ServerAnswer(self._origin, self._path, {key: value}).text(key) for value in self.values(key)]

    def counts(self, key: str) -> int | tuple[int, ...] | None:
        """The number of `key`, or its list of numbers; None when it is missing."""
        value = self._value.get(key)
        if not isinstance(value, list):
            return self.count(key)
        numbers = tuple(self.values(key))
        if not all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n <= _MAX_COUNT for n in numbers):
            raise self._fault(f"counts in {key!r}")
        return numbers

    def _fault(self, expected: str) -> PermanentError:
        return invalid_answer_error(self._origin, f"{self._path} did not give {expected}")


def _microseconds(text: str) -> str:
    """Go writes nanoseconds, Python reads microseconds: cut the digits that are too many."""
    head, dot, tail = text.partition(".")
    digits = len(tail) - len(tail.lstrip("0123456789"))
    return f"{head}{dot}{tail[: min(digits, 6)]}{tail[digits:]}" if dot else text
