"""A fake inbox: remembers messages in the order in which they arrived, and answers as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.surfaces.port import ButtonPress, IncomingMessage, Place, Response, TakenMessage
from core.model.errors import TransientError


@dataclass(slots=True)
class FakeInbox:
    """`bot.surfaces.port.Inbox` in memory: stores each delivery once, by its `dedup`.

    With `deaf` it refuses every delivery, as a full disk would.
    """

    answers: Callable[[IncomingMessage | ButtonPress], Response] = lambda _message: Response()
    refuses: bool = False
    messages: list[IncomingMessage | ButtonPress] = field(default_factory=list)
    deliveries: int = 0
    moves: list[tuple[str, str, str]] = field(default_factory=list)
    memory: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    posts: list[tuple[Place, str, str]] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def accept(self, message: IncomingMessage | ButtonPress) -> TakenMessage:
        self.deliveries += 1
        if self.refuses:
            raise TransientError("disk_full", "The disk is full", "Free some disk space.")
        for n, earlier in enumerate(self.messages):
            if (earlier.place.surface, earlier.dedup) == (message.place.surface, message.dedup):
                return TakenMessage(n, is_new=False)
        self.messages.append(message)
        self._changed.set()
        return TakenMessage(len(self.messages) - 1, is_new=True)

    async def wait_for_response(self, accepted: TakenMessage, within_s: float) -> Response | None:
        assert within_s > 0
        return self.answers(self.messages[accepted.id])

    async def record_channel_move(self, surface: str, channel: str, to: str) -> None:
        self.moves.append((surface, channel, to))

    async def load_state(self, surface: str) -> Mapping[str, Any]:
        return self.memory.get(surface, {})

    async def save_state(self, surface: str, value: Mapping[str, Any]) -> None:
        self.memory[surface] = dict(value)
        self._changed.set()

    async def until(self, met: Callable[[], object], within_s: float = 60) -> None:
        """Wait until `met()` is true; checks it after everything that was stored."""
        async with asyncio.timeout(within_s):
            while not met():
                self._changed.clear()
                await self._changed.wait()

    async def record_message(self, place: Place, message_id: str, below: str) -> None:
        self.posts.append((place, message_id, below))
        self._changed.set()

    async def until_posted(self, within_s: float = 60) -> tuple[Place, str, str]:
        """Wait until the surface recorded a message that it posted by itself; returns the first one."""
        async with asyncio.timeout(within_s):
            while not self.posts:
                self._changed.clear()
                await self._changed.wait()
        return self.posts[0]

    async def received(self, count: int = 1, within_s: float = 60) -> list[IncomingMessage | ButtonPress]:
        """Wait until `count` different messages arrived; returns all of them."""
        async with asyncio.timeout(within_s):
            while len(self.messages) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.messages
