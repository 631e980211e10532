"""The journal of a piece of work: what it has finished, so that it need not be done again after a crash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Journal(Protocol):
    """What a piece of work has finished so far, so that whoever takes the work over need not do it again."""

    async def recall(self) -> tuple[Mapping[str, Any], ...]:
        """Every entry so far, in order."""

    async def add(self, entry: Mapping[str, Any]) -> None:
        """Append one entry (JSON), durable on return. Raises `LostClaimError` when the work belongs to another now."""

    def part(self, name: str) -> Journal:
        """The journal of one part of the work, apart from the rest."""


class MemoryJournal:
    """A `Journal` that lasts as long as the process: for work that nobody takes over."""

    def __init__(self) -> None:
        self._entries: list[Mapping[str, Any]] = []
        self._parts: dict[str, MemoryJournal] = {}

    async def recall(self) -> tuple[Mapping[str, Any], ...]:
        """Every entry so far."""
        return tuple(self._entries)

    async def add(self, entry: Mapping[str, Any]) -> None:
        """Append one entry."""
        self._entries.append(entry)

    def part(self, name: str) -> MemoryJournal:
        """The journal of one part, the same one each time."""
        return self._parts.setdefault(name, MemoryJournal())
