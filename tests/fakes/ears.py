"""Ears that remember what they were told, in the order it came, and answer what a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.surfaces.port import ButtonPress, IncomingMessage, Place, Response, TakenMessage
from core.model.errors import TransientError


@dataclass(slots=True)
class FakeEars:
    """Keeps each delivery once, by its `dedup`; `deaf` makes it refuse, as a full disk would."""

    answers: Callable[[IncomingMessage | ButtonPress], Response] = lambda _said: Response()
    deaf: bool = False
    said: list[IncomingMessage | ButtonPress] = field(default_factory=list)
    deliveries: int = 0
    moves: list[tuple[str, str, str]] = field(default_factory=list)
    memory: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    posts: list[tuple[Place, str, str]] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def accept(self, said: IncomingMessage | ButtonPress) -> TakenMessage:
        self.deliveries += 1
        if self.deaf:
            raise TransientError("disk_full", "The disk is full", "Free some disk space.")
        for n, earlier in enumerate(self.said):
            if (earlier.place.surface, earlier.dedup) == (said.place.surface, said.dedup):
                return TakenMessage(n, is_new=False)
        self.said.append(said)
        self._changed.set()
        return TakenMessage(len(self.said) - 1, is_new=True)

    async def wait_for_response(self, taken: TakenMessage, within_s: float) -> Response | None:
        assert within_s > 0
        return self.answers(self.said[taken.id])

    async def record_channel_move(self, surface: str, channel: str, to: str) -> None:
        self.moves.append((surface, channel, to))

    async def load_state(self, surface: str) -> Mapping[str, Any]:
        return self.memory.get(surface, {})

    async def save_state(self, surface: str, value: Mapping[str, Any]) -> None:
        self.memory[surface] = dict(value)
        self._changed.set()

    async def until(self, met: Callable[[], object], within_s: float = 60) -> None:
        """Wait until `met()` is true; looks again after everything that was heard or kept."""
        async with asyncio.timeout(within_s):
            while not met():
                self._changed.clear()
                await self._changed.wait()

    async def record_message(self, place: Place, message_id: str, below: str) -> None:
        self.posts.append((place, message_id, below))
        self._changed.set()

    async def until_posted(self, within_s: float = 60) -> tuple[Place, str, str]:
        """Wait until the surface told of a message that it posted by itself; the first one."""
        async with asyncio.timeout(within_s):
            while not self.posts:
                self._changed.clear()
                await self._changed.wait()
        return self.posts[0]

    async def heard(self, count: int = 1, within_s: float = 60) -> list[IncomingMessage | ButtonPress]:
        """Wait until `count` different things were said; all of them."""
        async with asyncio.timeout(within_s):
            while len(self.said) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.said
