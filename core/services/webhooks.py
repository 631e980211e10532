"""Webhook deliveries: every event is owed to the receivers that want it, and delivered at least once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol

from core.model.errors import NotFoundError
from core.model.event import Event
from core.model.task import Task
from core.model.turn import Turn
from core.model.webhook_delivery import WebhookDelivery
from core.services.lease_renewal import kept_leased
from core.store import deliveries, tasks
from core.store.database import Database
from core.store.outbox import LEASE_MS
from core.store.unit_of_work import Tx, reads, writes

BATCH: Final = 200
"""Events that are handed out in one transaction."""


class EventReceivers(Protocol):
    """Decides who receives an event, and what the message says. It is called within a transaction, so it only computes.

    `task` is the task as it is now, which may be further than the event; None for events of the whole system.
    """

    def wants(self, event: Event) -> bool:
        """Whether any receiver may want this event: if not, nothing is read for it."""

    def messages(self, event: Event, task: Task | None, turns: Sequence[Turn]) -> Mapping[str, str]:
        """The body for each receiver, by the receiver's name."""


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Hands events out as deliveries, and leases the deliveries that are due."""

    database: Database

    async def hand_out(self, receivers: EventReceivers) -> int:
        """Owe the next events to whoever wants them, in one transaction with the cursor; how many events those were.

        The first call only sets the cursor: receivers get what happens from then on.
        """
        return await self._hand_out(receivers) if await self._has_new_events() else 0

    @reads
    async def _has_new_events(self, tx: Tx) -> bool:
        cursor = await deliveries.cursor(tx)
        return cursor is None or await deliveries.last_event(tx) > cursor

    @writes
    async def _hand_out(self, tx: Tx, receivers: EventReceivers) -> int:
        cursor = await deliveries.cursor(tx, lock=True)
        if cursor is None:
            await deliveries.set_cursor(tx, await deliveries.last_event(tx))
            return 0
        page = await deliveries.settled_since(tx, cursor, BATCH)
        for event in page:
            if receivers.wants(event):
                task, turns = await _subject(tx, event)
                bodies = receivers.messages(event, task, turns)
                owed = [(tx.new_id("delivery"), name, event.id, body) for name, body in bodies.items()]
                await deliveries.add(tx, owed)
        if page:
            await deliveries.set_cursor(tx, page[-1].id)
        return len(page)

    async def take_due(
        self, limit: int, known: Collection[str], prefixes: tuple[str, ...]
    ) -> tuple[WebhookDelivery, ...]:
        """Lease what is due, at most one delivery of each receiver (see `core.store.outbox`).

        What is owed to a receiver that is neither `known` nor has a name with one of `prefixes` is given up.
        """
        return await self._take_due(limit, known, prefixes) if await self._any_due() else ()

    @reads
    async def _any_due(self, tx: Tx) -> bool:
        return await deliveries.any_due(tx)

    @writes
    async def _take_due(
        self, tx: Tx, limit: int, known: Collection[str], prefixes: tuple[str, ...]
    ) -> tuple[WebhookDelivery, ...]:
        await deliveries.drop(tx, known, prefixes)
        return tuple(await deliveries.begin(tx, limit))

    def held(self, leased: Sequence[WebhookDelivery]) -> AbstractAsyncContextManager[None]:
        """Keep the leases of deliveries while they are tried: the block that this opens."""
        return kept_leased(lambda: self._renew(leased), lambda: self._release(leased), LEASE_MS)

    @writes
    async def _renew(self, tx: Tx, leased: Sequence[WebhookDelivery]) -> None:
        for delivery in leased:
            await deliveries.hold(tx, delivery)

    @writes
    async def _release(self, tx: Tx, leased: Sequence[WebhookDelivery]) -> None:
        for delivery in leased:
            await deliveries.release(tx, delivery)

    @writes
    async def conclude(self, tx: Tx, delivery: WebhookDelivery, state: str, problem: str | None) -> bool:
        """Record that a delivery was ``sent``, or ``failed`` for good; False when another attempt is under way."""
        return await deliveries.conclude(tx, delivery, state, problem)

    @writes
    async def put_off(self, tx: Tx, delivery: WebhookDelivery, wait_s: float, problem: str) -> bool:
        """Have a delivery tried again in `wait_s` seconds; False when another attempt is under way."""
        return await deliveries.put_off(tx, delivery, tx.now_ms + round(wait_s * 1000), problem)

    @writes
    async def prune(self, tx: Tx, older_than_s: int) -> None:
        """Delete concluded deliveries that are older than `older_than_s` seconds."""
        await deliveries.prune(tx, tx.now_ms - older_than_s * 1000)


async def _subject(tx: Tx, event: Event) -> tuple[Task | None, tuple[Turn, ...]]:
    """The task that an event is about, and what was said in it."""
    if not event.number:
        return None, ()
    try:
        return await tasks.load(tx, event.number), await tasks.turns_of(tx, event.number)
    except NotFoundError:
        return None, ()
