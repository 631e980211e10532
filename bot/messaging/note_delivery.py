"""Note delivery: sends the plain text messages that are due on a surface, in order within each channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bot.messaging.retry import MAX_ATTEMPTS, backoff_s, gather_all, refused_wait_s
from bot.surfaces.port import Extras, Surface
from core.log import log
from core.model.errors import PermanentError, TransientError
from core.model.note import Note
from core.services.note_outbox import NoteOutbox

BATCH: Final = 20


@dataclass(frozen=True, slots=True)
class NoteDelivery:
    """Sends due notes on `surface`, each at least once: platforms have no idempotency keys (F6)."""

    surface: Surface
    outbox: NoteOutbox

    async def round(self) -> bool:
        """Send one batch; returns whether any note was due."""
        notes = await self.outbox.begin(self.surface.name, BATCH)
        if notes:
            async with self.outbox.held(notes):
                await gather_all(self._deliver(note) for note in notes)  # one of each channel, so their order holds
        return bool(notes)

    async def _deliver(self, note: Note) -> None:
        """Send one note; a failed one is retried later, or given up if its place no longer exists."""
        try:
            message_ids = await self._send(note)
        except TransientError as error:
            wait_s = error.retry_after_s or backoff_s(note.attempt)
            log.warning("note_put_off", surface=self.surface.name, note=note.id, wait_s=round(wait_s, 1))
            await self.outbox.put_off(note, wait_s)
        except PermanentError as error:
            log.warning("note_undeliverable", surface=self.surface.name, note=note.id, problem=error.problem.message)
            if error.problem.code != "place_gone" and note.attempt < MAX_ATTEMPTS:
                await self.outbox.put_off(note, refused_wait_s(note.attempt), in_order=False)
            else:
                await self.outbox.give_up(note)
        else:
            await self.outbox.sent(note, message_ids)

    async def _send(self, note: Note) -> Sequence[str]:
        """Send a note; returns the ids of its messages, of which a plugin's surface may report none."""
        extras = (Extras(note.choices, note.mentions),) if note.choices or note.mentions else ()
        return await self.surface.send_text(note.place, note.text, note.reply_to, note.only_to, *extras) or ()
