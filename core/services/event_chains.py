"""Chains of events: which tasks have events in a time, and the whole chain of each, for exports."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from core.model.event import Event, broken_link
from core.store import events, pull_requests
from core.store.database import Database, to_ms
from core.store.unit_of_work import Tx, reads


@dataclass(frozen=True, slots=True)
class EventChain:
    """All events of one task, and the first fault in their chain, if it has one; number 0 is the home itself."""

    number: int
    events: tuple[Event, ...]
    fault: str | None

    def happened(self, since: datetime, until: datetime) -> tuple[Event, ...]:
        """Its events from `since` on and before `until`."""
        return tuple(event for event in self.events if since <= event.at < until)


@dataclass(frozen=True, slots=True)
class EventChains:
    """Reads events for the operator of the home; nothing is masked and nothing is left out."""

    database: Database

    @reads
    async def numbers(self, tx: Tx, since: datetime, until: datetime) -> tuple[int, ...]:
        """The numbers of the tasks that have an event in this time, in order."""
        return await events.numbers_between(tx, to_ms(since), to_ms(until))

    @reads
    async def numbers_of_heads(self, tx: Tx, heads: Collection[str]) -> tuple[int, ...]:
        """The numbers of the tasks whose pull request has one of these commits as its head, whenever that was."""
        return await pull_requests.numbers_of_heads(tx, heads)

    @reads
    async def of_task(self, tx: Tx, number: int) -> EventChain:
        """The whole chain of a task, checked link by link."""
        chain = await events.chain_of(tx, number)
        return EventChain(number, tuple(chain), broken_link(chain))
