"""The wire to the Bot API: python-telegram-bot as a client, its errors translated, its tongue held about the token."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, TypeVar

from telegram import Bot
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
    TimedOut,
)
from telegram.request import HTTPXRequest

from bot.surfaces.port import TelegramConfig
from core.errors import CountersignError, PermanentError, TransientError, UsageError

T = TypeVar("T")

_TOKEN: Final = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{8,100}")

GONE: Final = (
    "chat not found",
    "user not found",
    "user is deactivated",
    "group chat was deactivated",
    "bot is not a member",
    "bot was kicked",
    "have no rights to send",
    "not enough rights",
    "chat_write_forbidden",
    "peer_id_invalid",
)
"""Words of a 400 that mean: nothing can be said there any more (a 403 always means it)."""


class MovedError(TransientError):
    """The chat has another id, `to`: a group became a supergroup (Bot API, ResponseParameters.migrate_to_chat_id)."""

    def __init__(self, to: int) -> None:
        super().__init__("telegram_moved", f"The group has become a supergroup with the id {to}.")
        self.to = to


class RefusedError(PermanentError):
    """Telegram did not accept the request; `words` is why, in small letters."""

    def __init__(self, words: str) -> None:
        super().__init__("telegram_refused", f"Telegram refused this: {words}.")
        self.words = words.lower()


class Wire:
    """One bot's connection. Its calls raise our errors; `close` ends the connection, the next call opens it again."""

    def __init__(self, config: TelegramConfig, wait_s: float) -> None:
        if not _TOKEN.fullmatch(config.token):
            mend = "It looks like 123456789:AAE…; ask @BotFather for it with /token."
            raise UsageError("telegram_token", "The Telegram token is not one.", mend)
        quiet_libraries()
        base = config.base_url.rstrip("/")
        self._requests = [_request(wait_s), _request(wait_s)]
        self._bot = Bot(
            config.token,
            base_url=f"{base}/bot",
            base_file_url=f"{base}/file/bot",
            request=self._requests[0],
            get_updates_request=self._requests[1],
        )

    async def call(self, method: Callable[[Bot], Awaitable[T]]) -> T:
        """What `method` gives; raises `TransientError` or `PermanentError` (``place_gone``, ``telegram_token``).

        The time allowed is in each request: a timeout may come after the effect, so its error says so.
        """
        for request in self._requests:
            await request.initialize()
        try:
            return await method(self._bot)
        except TelegramError as error:
            raise translated(error) from error

    async def close(self) -> None:
        """Close the connections."""
        for request in self._requests:
            await request.shutdown()


def quiet_libraries() -> None:
    """Keep the token out of logs: httpx logs each address, python-telegram-bot its base address, and both hold it."""
    for name in ("httpx", "httpcore", "telegram"):
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.WARNING))


def translated(error: TelegramError) -> CountersignError:
    """The same fault in our words (core.telegram.org/bots/api#making-requests, #responseparameters)."""
    if isinstance(error, ChatMigrated):
        return MovedError(error.new_chat_id)
    if isinstance(error, InvalidToken):
        mend = "Ask @BotFather for the token (/token), put it where the configuration reads it, and restart."
        return PermanentError("telegram_token", "Telegram does not know this bot's token, or it was revoked.", mend)
    if isinstance(error, Forbidden):
        return _gone(error)
    if isinstance(error, BadRequest):
        words = str(error.message)
        return _gone(error) if any(sign in words.lower() for sign in GONE) else RefusedError(words)
    return _passing(error)


def _passing(error: TelegramError) -> TransientError:
    """What may be over the next time."""
    if isinstance(error, RetryAfter):
        wait_s = _seconds(error)
        return TransientError("telegram_busy", f"Telegram asks for {wait_s:.0f} s of patience.", retry_after_s=wait_s)
    if isinstance(error, Conflict):
        words = "Another program asks Telegram for this bot's messages, or a webhook of it is set."
        return TransientError("telegram_conflict", words, "Stop the other one, or give it a bot of its own.")
    if isinstance(error, TimedOut):
        words = "Telegram did not answer in time; it may have done it all the same."
        return TransientError("telegram_timeout", words)
    words = "cannot be reached" if isinstance(error, NetworkError) else "gave no usable answer"
    return TransientError("telegram_unreachable", f"Telegram {words}: {error.message}.")


def _gone(error: TelegramError) -> PermanentError:
    mend = "Add the bot to the group again, or have the person write to it."
    return PermanentError("place_gone", f"Telegram lets us say nothing there: {error.message}.", mend)


def _request(wait_s: float) -> HTTPXRequest:
    return HTTPXRequest(
        connection_pool_size=64,
        connect_timeout=wait_s,
        read_timeout=wait_s,
        write_timeout=wait_s,
        pool_timeout=wait_s,
        media_write_timeout=max(60.0, wait_s),
    )


def _seconds(error: RetryAfter) -> float:
    wait: int | timedelta = error.retry_after  # an int today, a timedelta in a later version of the library
    return wait.total_seconds() if isinstance(wait, timedelta) else float(wait)
