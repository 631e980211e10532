"""Surface delivery: the loop that brings cards and notes to one surface, at least once and in order.

What is owed are rows (`core.services.card_outbox`, `core.services.note_outbox`), so nothing is lost when this process
or the platform goes away.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from bot.messaging.card_delivery import CardDelivery
from bot.messaging.note_delivery import NoteDelivery
from core.log import log
from core.model.errors import TransientError


@dataclass(slots=True)
class SurfaceDelivery:
    """Delivers what is due on one surface, until cancelled; looks for it every `poll_s` seconds, and when woken."""

    cards: CardDelivery
    notes: NoteDelivery
    poll_s: float = 1.0
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Something may be due now."""
        self._woken.set()

    async def run(self) -> None:
        """Deliver what is due; what fails is tried again later."""
        while True:
            try:
                was_busy = await self.round()
            except TransientError as error:
                log.warning("delivery_waits", surface=self.cards.surface.name, problem=error.problem.message)
                was_busy = False
            if not was_busy:
                await self._sleep()

    async def round(self) -> bool:
        """Deliver one batch; whether there was anything."""
        drew_cards = await self.cards.round()  # first: where a chat's rate is low, a card counts for more than notes
        sent_notes = await self.notes.round()
        return drew_cards or sent_notes

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(self.poll_s):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()
