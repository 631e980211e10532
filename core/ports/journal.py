"""Journals: what a piece of work has finished, so that it need not be done again after a crash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Journal(Protocol):
    """What a piece of work has finished so far, so that the next worker that continues it need not do it again."""

    async def recall(self) -> tuple[Mapping[str, Any], ...]:
        """Every entry so far, in order. An entry has the version that its writer gave it under ``v``."""

    async def add(self, entry: Mapping[str, Any]) -> None:
        """Append one entry (JSON), durable on return; raises `LostClaimError` if another worker has the work."""

    def part(self, name: str) -> Journal:
        """The separate journal of one part of the work."""


class MemoryJournal:
    """A `Journal` in memory, for work that no other worker continues."""

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
        """The separate journal of one part; the same one for the same name."""
        return self._parts.setdefault(name, MemoryJournal())
