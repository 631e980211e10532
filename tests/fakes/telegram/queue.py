"""Updates that wait for the bot, as Telegram keeps them: until an offset, or a webhook's 2xx, confirms them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from tests.fakes.telegram.model import Json


class Updates:
    """The queue of one bot. `sent` remembers all that were confirmed, so that a test can have them again."""

    def __init__(self) -> None:
        self.next_id = 500_000
        self.pending: list[Json] = []
        self.sent: list[Json] = []
        self._allowed: frozenset[str] | None = None
        self._news = asyncio.Event()

    def allow(self, kinds: Sequence[str] | None) -> None:
        """Which kinds the bot wants from now on; what came before stays."""
        if kinds is not None:
            self._allowed = frozenset(kinds) or None

    def put(self, update: Json) -> int | None:
        """Keep a new update; its id, or None when the bot does not want this kind."""
        if self._allowed is not None and len(update) == 1 and not self._allowed & set(update):
            return None
        number = self.next_id
        self.next_id += 1
        self.pending.append({"update_id": number, **update})
        self._news.set()
        return number

    def again(self) -> None:
        """Everything that was confirmed comes again: the offset was lost."""
        self.pending = sorted([*self.sent, *self.pending], key=lambda u: int(u["update_id"]))
        self.sent = []
        self._news.set()

    def confirm(self, offset: int | None) -> None:
        """What lies before `offset` is done; a negative one counts from the end."""
        if offset is None:
            return
        if offset < 0:
            kept = self.pending[offset:]
        else:
            kept = [update for update in self.pending if int(update["update_id"]) >= offset]
        self.sent += [update for update in self.pending if update not in kept]
        self.pending = kept
        self._news.set()

    def waiting(self, limit: int) -> list[Json]:
        """The oldest updates that are not confirmed."""
        return self.pending[:limit]

    async def change(self, within_s: float, also: asyncio.Event) -> None:
        """Return when something was put or confirmed, `also` is set, or the time is over."""
        self._news.clear()
        waits = [asyncio.ensure_future(event.wait()) for event in (self._news, also)]
        try:
            await asyncio.wait(waits, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
                with suppress(asyncio.CancelledError):
                    await wait
