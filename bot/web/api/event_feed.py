"""Wakes the open event streams: one poll of the newest event for all of them, and none while there is no stream."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from core.log import fault_of, log
from core.model.errors import CountersignError, TransientError

POLL_S: Final = 0.5
MAX_STREAMS: Final = 500
MAX_STREAMS_OF_TOKEN: Final = 10


@dataclass(slots=True)
class EventFeed:
    """`newest` returns the id of the newest event; streams end soon once `is_stopping`."""

    newest: Callable[[], Awaitable[int]]
    is_stopping: Callable[[], bool] = lambda: False
    poll_s: float = POLL_S
    _open: Counter[str] = field(default_factory=Counter)
    _last: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _polling: asyncio.Task[None] | None = None

    def check(self, token: str) -> None:
        """Raise `TransientError` if a token, or all together, have too many open streams."""
        if self._open[token] >= MAX_STREAMS_OF_TOKEN or self._open.total() >= MAX_STREAMS:
            mend = "Close one that you no longer read."
            raise TransientError("too_many_streams", "too many event streams are open", mend, retry_after_s=30)

    @asynccontextmanager
    async def opened(self, token: str) -> AsyncIterator[None]:
        """Count a stream of a token while it is open."""
        self._open[token] += 1
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._poll())
        try:
            yield
        finally:
            self._open[token] -= 1
            self._open += Counter()  # drop the tokens without streams
            if not self._open and self._polling is not None:
                self._polling.cancel()

    async def wait_after(self, event_id: int, within_s: float) -> bool:
        """Wait until there is an event after `event_id`; False if there is none within `within_s`."""
        try:
            async with asyncio.timeout(within_s):
                while self._last <= event_id and not self.is_stopping():
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def _poll(self) -> None:
        while True:
            try:
                newest = await self.newest()
            except CountersignError as error:
                log.warning("event_feed_failed", **fault_of(error))
            else:
                if newest > self._last or self.is_stopping():
                    self._last = max(self._last, newest)
                    self._changed.set()
                    self._changed = asyncio.Event()
            await asyncio.sleep(self.poll_s)
