"""Surface delivery: the loop that delivers cards and notes to one surface, at least once and in order.

Everything to deliver is a row (`core.services.card_outbox`, `core.services.note_outbox`), so nothing is lost if this
process or the platform fails.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from bot.messaging.card_delivery import CardDelivery
from bot.messaging.note_delivery import NoteDelivery
from core.log import log
from core.model.errors import TransientError
from core.services.idle_looks import IdleLooks


@dataclass(slots=True)
class SurfaceDelivery:
    """Delivers what is due on one surface; looks for it every `poll_s` seconds and when woken, but for `idle` looks."""

    cards: CardDelivery
    notes: NoteDelivery
    idle: IdleLooks | None = None
    poll_s: float = 1.0
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Look for due cards and notes now."""
        self._woken.set()

    async def run(self) -> None:
        """Deliver what is due until cancelled; retries failures later."""
        while True:
            try:
                was_busy = await (self.idle.unless_idle(self.round) if self.idle is not None else self.round())
            except TransientError as error:
                log.warning("delivery_waits", surface=self.cards.surface.name, problem=error.problem.message)
                was_busy = False
            if not was_busy:
                await self._sleep()

    async def round(self) -> bool:
        """Deliver one batch; returns whether anything was due."""
        had_cards = await self.cards.round()  # first: if a chat's rate limit is low, cards matter more than notes
        had_notes = await self.notes.round()
        return had_cards or had_notes

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(self.poll_s):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()
