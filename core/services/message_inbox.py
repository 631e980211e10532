"""The message inbox: what platforms deliver is stored once before it is acknowledged, and processed under a lease.

It also stores small states of surfaces, such as how far one has read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final

from core.model.inbox import InboxDelivery, InboxEntry, RecordedResponse
from core.model.place import Place
from core.services.lease_renewal import renewed_leases
from core.store import inbox, messages, notes, switches
from core.store.database import Database
from core.store.unit_of_work import Tx, reads, writes

_VERSION: Final = re.compile(r"[0-9.]+$")
"""The end of an edit's `dedup`, by which platforms tell its versions apart."""


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """A delivery that is stored; `is_new` is false if it was stored before."""

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
    """Stores deliveries, leases them for processing, and records the responses."""

    database: Database

    @writes
    async def keep(self, tx: Tx, deliveries: Sequence[InboxDelivery]) -> list[StoredDelivery]:
        """Store all of `deliveries` in one transaction; a duplicate is stored once.

        An edit that does not change the text counts as stored before, and the rest of a text that a client split is
        appended to its beginning.
        """
        stored: list[StoredDelivery] = []
        for run in _runs(deliveries):
            if _refers_back(run[0]):
                stored.append(await _keep_later_part(tx, run[0]))
            else:
                stored += [StoredDelivery(id_, is_new) for id_, is_new in await inbox.keep(tx, run)]
        return stored

    @reads
    async def response_to(self, tx: Tx, delivery_id: int) -> RecordedResponse | None:
        """The recorded response to a delivery, or None while there is none."""
        return await inbox.response_to(tx, delivery_id)

    async def begin(self, limit: int) -> Sequence[InboxEntry]:
        """Lease the deliveries that are due, at most `limit`, in the order in which they arrived."""
        return await self._begin(limit) if await self._any_due() else ()

    @reads
    async def _any_due(self, tx: Tx) -> bool:
        return await inbox.any_due(tx)

    @writes
    async def _begin(self, tx: Tx, limit: int) -> Sequence[InboxEntry]:
        return await inbox.begin(tx, limit)

    def held(self, leased: Sequence[InboxEntry]) -> AbstractAsyncContextManager[None]:
        """A context manager that renews the leases of deliveries while its block runs."""
        return renewed_leases(lambda: self._renew(leased), lambda: self._release(leased), inbox.LEASE_MS)

    @writes
    async def _renew(self, tx: Tx, leased: Sequence[InboxEntry]) -> None:
        for entry in leased:
            await inbox.hold(tx, entry)

    @writes
    async def _release(self, tx: Tx, leased: Sequence[InboxEntry]) -> None:
        for entry in leased:
            await inbox.release(tx, entry)

    @writes
    async def conclude(self, tx: Tx, entry: InboxEntry, response: RecordedResponse, note: AnswerNote | None) -> None:
        """Record the response to a delivery, and owe `note`, which says it; nothing if the lease is lost."""
        if not await inbox.conclude(tx, entry, response) or note is None:
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
        """The state that `save_surface_state` stored last for a surface; empty if there is none."""
        return await switches.value_of(tx, _state_key(surface)) or {}

    @writes
    async def save_surface_state(self, tx: Tx, surface: str, state: Mapping[str, Any]) -> None:
        """Store a small state of a surface, such as how far it has read."""
        await switches.set_value(tx, _state_key(surface), dict(state))


def _state_key(surface: str) -> str:
    return f"memory.{surface}"


def _refers_back(delivery: InboxDelivery) -> bool:
    """Whether a delivery refers to an earlier one, so that it is stored after that."""
    return bool(delivery.edits or delivery.rest_of)


def _runs(deliveries: Sequence[InboxDelivery]) -> Iterator[list[InboxDelivery]]:
    """Groups of deliveries that one statement can store; a delivery that refers back is a group of its own."""
    run: list[InboxDelivery] = []
    for delivery in deliveries:
        if run and (_refers_back(delivery) or _refers_back(run[-1])):
            yield run
            run = []
        run.append(delivery)
    if run:
        yield run


async def _keep_later_part(tx: Tx, delivery: InboxDelivery) -> StoredDelivery:
    """Store an edit, unless its text is the same as the last version's; append the rest of a text to its beginning."""
    known = await inbox.find(tx, delivery.surface, delivery.dedup)
    if known is not None:
        return StoredDelivery(known, is_new=False)
    if delivery.edits:
        version = await inbox.latest(tx, delivery.surface, delivery.edits, _VERSION.sub("", delivery.dedup))
        if version is not None and version[1].get("text") == delivery.text:
            return StoredDelivery(version[0], is_new=False)
    beginning = None
    if delivery.rest_of:
        due_ms = tx.now_ms + delivery.wait_ms
        beginning = await inbox.append(tx, delivery.surface, delivery.rest_of, delivery.text, due_ms)
    ((id_, is_new),) = await inbox.keep(tx, [delivery])
    if beginning is None:
        return StoredDelivery(id_, is_new)
    await inbox.close(tx, id_, RecordedResponse())  # the response to the beginning answers it too
    return StoredDelivery(beginning, is_new=False)
