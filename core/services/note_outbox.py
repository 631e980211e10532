"""The note outbox: plain messages that are owed to conversations, leased to the process that sends them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from core.model.card import DeliveredCard
from core.model.note import Note
from core.services.lease_renewal import kept_leased
from core.store import messages, notes
from core.store.database import Database
from core.store.outbox import LEASE_MS
from core.store.unit_of_work import Tx, reads, writes


@dataclass(frozen=True, slots=True)
class NoteOutbox:
    """Leases due notes, and records what became of them."""

    database: Database

    async def begin(self, surface: str, limit: int) -> Sequence[Note]:
        """Lease the notes of `surface` that may be sent now: one of each channel, so that channels keep their order."""
        return await self._begin(surface, limit) if await self._any_due(surface) else ()

    @reads
    async def _any_due(self, tx: Tx, surface: str) -> bool:
        return await notes.any_due(tx, surface)

    @writes
    async def _begin(self, tx: Tx, surface: str, limit: int) -> Sequence[Note]:
        return await notes.begin(tx, surface, limit)

    def held(self, leased: Sequence[Note]) -> AbstractAsyncContextManager[None]:
        """Keep the leases of notes while they are sent: the block that this opens."""
        return kept_leased(lambda: self._renew(leased), lambda: self._release(leased), LEASE_MS)

    @writes
    async def _renew(self, tx: Tx, leased: Sequence[Note]) -> None:
        for note in leased:
            await notes.hold(tx, note)

    @writes
    async def _release(self, tx: Tx, leased: Sequence[Note]) -> None:
        for note in leased:
            await notes.release(tx, note)

    @writes
    async def sent(self, tx: Tx, note: Note, message_ids: Sequence[str]) -> None:
        """Record that a note was sent; its messages are about its task."""
        await notes.finish(tx, note, notes.SENT)
        if note.number is not None:
            await messages.bind(tx, note.number, note.place, message_ids)

    @writes
    async def give_up(self, tx: Tx, note: Note) -> None:
        """Record that a note can never be sent."""
        await notes.finish(tx, note, notes.FAILED)

    @writes
    async def put_off(self, tx: Tx, note: Note, wait_s: float, *, in_order: bool = True) -> None:
        """Send a note in `wait_s` seconds; later notes of its channel wait for it, unless `in_order` is false."""
        await notes.put_off(tx, note, tx.now_ms + round(wait_s * 1000), in_order=in_order)

    @writes
    async def add_below(self, tx: Tx, card: DeliveredCard, text: str) -> None:
        """Owe a message below a card."""
        await notes.add(tx, card.place, text, reply_to=card.message_id, number=card.number)
