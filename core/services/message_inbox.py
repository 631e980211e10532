"""The message inbox: what platforms deliver is kept once before it is acknowledged, and processed under a lease.

The state that a surface wants remembered, such as how far it has read, is kept here too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final

from core.model.inbox import InboxDelivery, InboxEntry
from core.model.place import Place
from core.services.lease_renewal import kept_leased
from core.store import inbox, messages, notes, switches
from core.store.database import Database
from core.store.unit_of_work import Tx, reads, writes

_VERSION: Final = re.compile(r"[0-9.]+$")
"""The end of an edit's `dedup`, by which platforms tell its versions apart."""


@dataclass(frozen=True, slots=True)
class KeptDelivery:
    """A delivery that is safely kept; `is_new` is false for one that was kept before."""

    id: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class AnswerNote:
    """The answer to a delivery as a message of its own, in answer to `reply_to`.

    `only_to` is the identity of the one person it is for, `number` the task that it is about. `choices` are buttons
    below it as (label, command line), for `identity` alone; `dedup` is that of the message that is answered.
    """

    place: Place
    text: str
    reply_to: str
    only_to: str | None
    number: int | None
    choices: Sequence[tuple[str, str]]
    identity: str
    dedup: str


@dataclass(frozen=True, slots=True)
class MessageInbox:
    """Keeps deliveries, leases them to whoever processes them, and records the answers."""

    database: Database

    @writes
    async def keep(self, tx: Tx, deliveries: Sequence[InboxDelivery]) -> list[KeptDelivery]:
        """Keep all of `deliveries` in one transaction; the same one twice is kept once.

        An edit that leaves the text as it is counts as kept before, and the rest of a text that a client cut is
        appended to its beginning.
        """
        kept: list[KeptDelivery] = []
        for run in _runs(deliveries):
            if _refers_back(run[0]):
                kept.append(await _keep_later_part(tx, run[0]))
            else:
                kept += [KeptDelivery(id_, is_new) for id_, is_new in await inbox.keep(tx, run)]
        return kept

    @reads
    async def answer_to(self, tx: Tx, delivery_id: int) -> dict[str, Any] | None:
        """The recorded answer to a delivery, or None while there is none."""
        return await inbox.answer_to(tx, delivery_id)

    async def begin(self, limit: int) -> Sequence[InboxEntry]:
        """Lease the deliveries that are due, at most `limit`, in the order in which they came."""
        return await self._begin(limit) if await self._any_due() else ()

    @reads
    async def _any_due(self, tx: Tx) -> bool:
        return await inbox.any_due(tx)

    @writes
    async def _begin(self, tx: Tx, limit: int) -> Sequence[InboxEntry]:
        return await inbox.begin(tx, limit)

    def held(self, leased: Sequence[InboxEntry]) -> AbstractAsyncContextManager[None]:
        """Keep the leases of deliveries while they are processed: the block that this opens."""
        return kept_leased(lambda: self._renew(leased), lambda: self._release(leased), inbox.LEASE_MS)

    @writes
    async def _renew(self, tx: Tx, leased: Sequence[InboxEntry]) -> None:
        for entry in leased:
            await inbox.hold(tx, entry)

    @writes
    async def _release(self, tx: Tx, leased: Sequence[InboxEntry]) -> None:
        for entry in leased:
            await inbox.release(tx, entry)

    @writes
    async def conclude(self, tx: Tx, entry: InboxEntry, answer: dict[str, Any], note: AnswerNote | None) -> None:
        """Record the answer to a delivery, and owe it as a message of its own; nothing if the lease is lost."""
        if not await inbox.conclude(tx, entry, answer) or note is None:
            return
        choices = await messages.offer(tx, note.place, note.identity, note.dedup, note.choices)
        await notes.add(
            tx,
            note.place,
            note.text,
            reply_to=note.reply_to,
            only_to=note.only_to,
            number=note.number,
            choices=choices,
        )

    @writes
    async def put_off(self, tx: Tx, entry: InboxEntry, wait_s: float) -> None:
        """Process a delivery again in `wait_s` seconds."""
        await inbox.put_off(tx, entry, tx.now_ms + round(wait_s * 1000))

    @writes
    async def prune(self, tx: Tx, older_than_s: int) -> None:
        """Delete processed deliveries and sent notes that are older than `older_than_s` seconds."""
        before_ms = tx.now_ms - older_than_s * 1000
        await inbox.prune(tx, before_ms)
        await notes.prune(tx, before_ms)

    @reads
    async def surface_state(self, tx: Tx, surface: str) -> Mapping[str, Any]:
        """What `save_surface_state` kept for a surface last; empty where it kept nothing."""
        return await switches.value_of(tx, _state_key(surface)) or {}

    @writes
    async def save_surface_state(self, tx: Tx, surface: str, state: Mapping[str, Any]) -> None:
        """Keep something small for a surface, such as how far it has read."""
        await switches.set_value(tx, _state_key(surface), dict(state))


def _state_key(surface: str) -> str:
    return f"memory.{surface}"


def _refers_back(delivery: InboxDelivery) -> bool:
    """Whether a delivery is kept by itself, after what came before it: it speaks of an earlier one."""
    return bool(delivery.edits or delivery.rest_of)


def _runs(deliveries: Sequence[InboxDelivery]) -> Iterator[list[InboxDelivery]]:
    """Neighbours that are kept by one statement; a delivery that refers back is a run of its own."""
    run: list[InboxDelivery] = []
    for delivery in deliveries:
        if run and (_refers_back(delivery) or _refers_back(run[-1])):
            yield run
            run = []
        run.append(delivery)
    if run:
        yield run


async def _keep_later_part(tx: Tx, delivery: InboxDelivery) -> KeptDelivery:
    """Keep an edit, unless its text is the one that was kept last; append the rest of a text to its beginning."""
    known = await inbox.find(tx, delivery.surface, delivery.dedup)
    if known is not None:
        return KeptDelivery(known, is_new=False)
    if delivery.edits:
        version = await inbox.latest(tx, delivery.surface, delivery.edits, _VERSION.sub("", delivery.dedup))
        if version is not None and version[1].get("text") == delivery.text:
            return KeptDelivery(version[0], is_new=False)
    beginning = None
    if delivery.rest_of:
        due_ms = tx.now_ms + delivery.wait_ms
        beginning = await inbox.append(tx, delivery.surface, delivery.rest_of, delivery.text, due_ms)
    ((id_, is_new),) = await inbox.keep(tx, [delivery])
    if beginning is None:
        return KeptDelivery(id_, is_new)
    await inbox.close(tx, id_, {})  # the answer to the beginning answers it
    return KeptDelivery(beginning, is_new=False)
