"""Rate limiting: one queue per chat, which keeps messages in order and within Telegram's limits.

The limits are those of core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this: about one message per
second in a chat (short bursts pass), 20 per minute in a group, 30 per second overall.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from core.model.errors import TransientError

_MAX_CHATS: Final = 2000
"""Chats whose recent messages are remembered; the least recently used are dropped."""


@dataclass(frozen=True, slots=True)
class PaceLimits:
    """Limits as (messages, seconds); `patience_s` is the longest that a message waits here for its turn."""

    chat: tuple[int, float] = (3, 3.0)
    group: tuple[int, float] = (20, 60.0)
    overall: tuple[int, float] = (30, 1.0)
    patience_s: float = 15.0


@dataclass(slots=True)
class _Chat:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    sent: deque[float] = field(default_factory=lambda: deque(maxlen=64))
    not_before: float = 0.0
    waiting: int = 0


class ChatPace:
    """Gives each message its turn; use it in one event loop."""

    def __init__(self, limits: PaceLimits) -> None:
        self._limits = limits
        self._chats: OrderedDict[int, _Chat] = OrderedDict()
        self._sent: deque[float] = deque(maxlen=max(64, limits.overall[0]))

    @asynccontextmanager
    async def turn(self, chat_id: int) -> AsyncIterator[SendTurn]:
        """Hold the chat exclusively, first come, first served.

        Raises `TransientError` if the turn does not come within `patience_s`.
        """
        chat = self._chat(chat_id)
        chat.waiting += 1
        try:
            try:
                async with asyncio.timeout(self._limits.patience_s):
                    await chat.lock.acquire()
            except TimeoutError as error:
                raise _busy(self._limits.patience_s) from error
            try:
                yield SendTurn(self, chat_id, chat)
            finally:
                chat.lock.release()
        finally:
            chat.waiting -= 1

    async def wait(self, chat_id: int, chat: _Chat) -> None:
        """Wait until one more message is within the limits, and count it."""
        loop = asyncio.get_running_loop()
        while (wait_s := self._wait_s(chat_id, chat, loop.time())) > 0:
            if wait_s > self._limits.patience_s:
                raise _busy(wait_s)
            await asyncio.sleep(wait_s)
        chat.sent.append(loop.time())
        self._sent.append(loop.time())

    def pause(self, chat: _Chat, seconds: float) -> bool:
        """Send nothing to the chat for `seconds`; returns whether that is within `patience_s`."""
        chat.not_before = asyncio.get_running_loop().time() + seconds
        return seconds <= self._limits.patience_s

    def _wait_s(self, chat_id: int, chat: _Chat, now: float) -> float:
        rules = [(self._limits.chat, chat.sent), (self._limits.overall, self._sent)]
        if chat_id < 0:  # groups have negative ids (Bot API, Chat.id)
            rules.append((self._limits.group, chat.sent))
        waits = [chat.not_before - now]
        for (count, window_s), sent in rules:
            if len(sent) >= count:
                waits.append(sent[-count] + window_s - now)
        return max(waits)

    def _chat(self, chat_id: int) -> _Chat:
        chat = self._chats.setdefault(chat_id, _Chat())
        self._chats.move_to_end(chat_id)
        if len(self._chats) > _MAX_CHATS:
            for idle in [key for key, candidate in self._chats.items() if not candidate.waiting][:100]:
                del self._chats[idle]
            self._chats.setdefault(chat_id, chat)
        return chat


@dataclass(frozen=True, slots=True)
class SendTurn:
    """The exclusive right to send to one chat."""

    _pace: ChatPace
    _chat_id: int
    _chat: _Chat

    async def wait(self) -> None:
        """Wait until one more message is within the limits; raises `TransientError` if that takes too long."""
        await self._pace.wait(self._chat_id, self._chat)

    def pause(self, seconds: float) -> bool:
        """Send nothing for `seconds`, as Telegram asked; returns whether waiting is worthwhile."""
        return self._pace.pause(self._chat, seconds)


def _busy(wait_s: float) -> TransientError:
    return TransientError("telegram_busy", "This chat has reached Telegram's rate limit.", retry_after_s=wait_s)
