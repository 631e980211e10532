"""News for open pages: one reader of the event table for all viewers, and a stream to each of them.

The reader runs only while a page is open and looks once a second for a newer event and for progress of running jobs,
so 200 idle viewers cost what one does. A stream says only that something changed and of which task; the page then asks
for what it shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from core.log import log
from core.model.errors import CountersignError

if TYPE_CHECKING:
    from core.model.turn import Actor
    from core.services.queries import Queries

LOOK_EVERY_S: Final = 1.0
PING_EVERY_S: Final = 20.0
MAX_VIEWERS: Final = 500
CHANGED: Final = "changed"
"""The name of the message that any task changed; ``task-12`` is the one of task 12."""
PROGRESS: Final = "progress"
"""The name of the message that a running job went on; no task changed."""

StillAllowed = Callable[[], Awaitable[bool]]
"""Whether a viewer's session is still valid."""


@dataclass(frozen=True, slots=True)
class News:
    """The tasks that changed up to the event with the id `last`; 0 stands for what belongs to no task.

    `advanced` are the tasks of running jobs that went on.
    """

    numbers: frozenset[int]
    last: int
    advanced: frozenset[int] = frozenset()

    def message(self) -> bytes:
        """The server-sent events that say so; the id lets a browser that reconnects go on from there."""
        kinds = [CHANGED] * bool(self.numbers) + [PROGRESS] * bool(self.advanced)
        names = [*kinds, *(f"task-{number}" for number in sorted(self.numbers | self.advanced) if number)]
        return "".join(f"id: {self.last}\nevent: {name}\ndata: {self.last}\n\n" for name in names).encode()


class Viewer:
    """One open stream: news that it has not sent yet, and whether it must end."""

    def __init__(self) -> None:
        self._wake = asyncio.Event()
        self._news: News | None = None
        self.is_closed = False

    def add(self, news: News) -> None:
        """Add news; a viewer that reads slowly gets all of it at once."""
        before = self._news or News(frozenset(), news.last)
        self._news = News(news.numbers | before.numbers, news.last, news.advanced | before.advanced)
        self._wake.set()

    def close(self) -> None:
        """End the stream."""
        self.is_closed = True
        self._wake.set()

    async def next(self, within_s: float) -> News | None:
        """The news since the last call; None if there is none within `within_s` seconds, or the stream ends."""
        try:
            async with asyncio.timeout(within_s):
                await self._wake.wait()
        except TimeoutError:
            return None
        self._wake.clear()
        news, self._news = self._news, None
        return news


class LiveEvents:
    """Reads the event table while anyone listens, and wakes every viewer."""

    def __init__(
        self, queries: Queries, look_every_s: float = LOOK_EVERY_S, ping_every_s: float = PING_EVERY_S
    ) -> None:
        self._queries = queries
        self._look_every_s, self._ping_every_s = look_every_s, ping_every_s
        self._viewers: set[Viewer] = set()
        self._reader: asyncio.Task[None] | None = None
        self._progress: Mapping[int, str] = {}
        self.looks = 0
        self.is_closed = False
        """Whether the server ends, and with it every stream."""

    @property
    def viewers(self) -> int:
        """How many streams are open."""
        return len(self._viewers)

    @property
    def is_full(self) -> bool:
        """Whether no further stream is opened now."""
        return len(self._viewers) >= MAX_VIEWERS

    async def stream(self, after: int, actor: Actor, still_allowed: StillAllowed) -> AsyncGenerator[bytes]:
        """Server-sent events of what changed after the event with the id `after`, as far as `actor` can see it.

        It ends when the viewer leaves or loses the session, and when `close` is called.
        """
        viewer = Viewer()
        self._viewers.add(viewer)
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read())
        try:
            yield b": open\n\n"
            missed = await self._since(after)
            if missed is not None and (seen := await self._seen(missed, actor)) is not None:
                yield seen.message()
            while not viewer.is_closed:
                news = await viewer.next(self._ping_every_s)
                if not await still_allowed():
                    return
                if news is None:
                    yield b": still open\n\n"
                elif (seen := await self._seen(news, actor)) is not None:
                    yield seen.message()
        finally:
            self._viewers.discard(viewer)
            if not self._viewers and self._reader is not None:
                self._reader.cancel()
                self._reader = None

    def close(self) -> None:
        """End every stream."""
        self.is_closed = True
        for viewer in self._viewers:
            viewer.close()

    async def _read(self) -> None:
        last: int | None = None
        while True:
            try:
                last = await self._look(last)
            except CountersignError as error:
                log.warning("news_not_read", problem=error.problem.message)
            await asyncio.sleep(self._look_every_s)

    async def _look(self, last: int | None) -> int:
        """Wake the viewers if there are events after `last`, or running jobs went on; returns the newest event."""
        self.looks += 1
        before, self._progress = self._progress, await self._queries.progress()
        if last is None:
            return await self._queries.newest_event()
        advanced = frozenset(number for number, words in self._progress.items() if before.get(number, "") != words)
        news = await self._since(last)
        if news is None and not advanced:
            return last
        news = News(news.numbers if news else frozenset(), news.last if news else last, advanced)
        for viewer in self._viewers:
            viewer.add(news)
        return news.last

    async def _seen(self, news: News, actor: Actor) -> News | None:
        """What `actor` can see of news; None if that is nothing, so that not even the time of it shows."""
        seen = await self._queries.visible_numbers(news.numbers | news.advanced, actor)
        if seen is None:
            return news
        numbers, advanced = news.numbers & seen, news.advanced & seen
        return News(numbers, news.last, advanced) if numbers or advanced else None

    async def _since(self, after: int) -> News | None:
        if await self._queries.newest_event() <= after:
            return None
        events = await self._queries.events(after_id=after)
        return News(frozenset(event.number for event in events), events[-1].id) if events else None
