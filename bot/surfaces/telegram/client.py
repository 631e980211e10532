"""The wire to the Bot API: python-telegram-bot as a client, with its errors translated and its loggers silent.

Its methods read an answer whole and fail at any part that is not as they know it. What it answers to our questions is
Its methods read an answer whole and fail at any part that is not as they know it. What it answers to our questions is
therefore taken as plain JSON (`TelegramClient.ask`, `TelegramClient.updates`), and of a sent message only its id
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar

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
from bot.surfaces.telegram.update_parts import Json
from core.log import fault_of, log
from core.model.errors import CountersignError, PermanentError, TransientError, UsageError

T = TypeVar("T")

_SENT: Final[dict[str, Any]] = {"date": 1, "chat": {"id": 1, "type": "private"}}
"""What the library wants to read of a message that was sent, beside its id, and nobody here looks at."""
_FIRST: Final = re.compile(rb'"update_id"\s*:\s*([0-9]{1,18})\b')
_TOKEN: Final = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{8,100}")

UNREACHABLE_SIGNS: Final = (
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


class ChatMovedError(TransientError):
    """The chat has another id, `to`: a group became a supergroup (Bot API, ResponseParameters.migrate_to_chat_id)."""

    def __init__(self, to: int) -> None:
        super().__init__("telegram_moved", f"The group has become a supergroup with the id {to}.")
        self.to = to


class TelegramRefusedError(PermanentError):
    """Telegram did not accept the request; `words` is why, in small letters."""

    def __init__(self, words: str) -> None:
        super().__init__("telegram_refused", f"Telegram refused this: {words}.")
        self.words = words.lower()


class UnreadableAnswerError(TransientError):
    """The answer to a poll is not JSON that can be read; `first` is the first update's number, where it can be seen."""

    def __init__(self, first: int | None) -> None:
        super().__init__("telegram_unreadable", "Telegram's answer cannot be read.")
        self.first = first


class _Client(Bot):
    """python-telegram-bot's client without its reading of answers."""

    async def ask(self, method: str, arguments: Mapping[str, Any], within_s: float | None = None) -> Any:
        """The result of a method as plain JSON."""
        if within_s is None:
            return await super()._post(method, dict(arguments))
        return await super()._post(method, dict(arguments), read_timeout=within_s)

    async def _post(self, endpoint: str, *args: Any, **rest: Any) -> Any:
        """What the library's own methods get to read."""
        found = await super()._post(endpoint, *args, **rest)
        return (
            {**_SENT, "message_id": found["message_id"]} if isinstance(found, dict) and "message_id" in found else found
        )


class _Updates(HTTPXRequest):
    """The connection for polls: an answer that cannot be read is not logged, and names its first update."""

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        try:
            found = json.loads(payload.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            return found
        first = _FIRST.search(payload)
        raise UnreadableAnswerError(int(first[1]) if first else None)


class TelegramClient:
    """One bot's connection. Its calls raise our errors; `close` ends the connection, the next call opens it again."""

    def __init__(self, config: TelegramConfig, wait_s: float) -> None:
        if not _TOKEN.fullmatch(config.token):
            mend = "It looks like 123456789:AAE…; ask @BotFather for it with /token."
            raise UsageError("telegram_token", "The Telegram token is not one.", mend)
        silence_libraries()
        base = config.base_url.rstrip("/")
        self._requests = [_request(HTTPXRequest, wait_s), _request(_Updates, wait_s)]
        self._bot = _Client(
            config.token,
            base_url=f"{base}/bot",
            base_file_url=f"{base}/file/bot",
            request=self._requests[0],
            get_updates_request=self._requests[1],
        )

    async def call(self, method: Callable[[_Client], Awaitable[T]]) -> T:
        """What `method` gives; raises `TransientError` or `PermanentError` (``place_gone``, ``telegram_token``).

        The time allowed is in each request: a timeout may come after the effect, so its error says so. An answer that
        cannot be read is a `PermanentError` ``telegram_odd``: the request may have had its effect.
        """
        for request in self._requests:
            await request.initialize()
        try:
            return await method(self._bot)
        except TelegramError as error:
            raise translate_error(error) from error
        except CountersignError:
            raise
        except Exception as error:
            log.warning("telegram_answer_was_odd", **fault_of(error))
            mend = "See whether a newer version of Countersign reads it."
            raise PermanentError("telegram_odd", "Telegram's answer is not what it documents", mend) from error

    async def ask(self, method: str, **arguments: Any) -> Json:
        """The object that a method answers with, as plain JSON; raises as `call` does."""
        found = await self.call(lambda bot: bot.ask(method, arguments))
        if not isinstance(found, Mapping):
            mend = "See whether a newer version of Countersign reads it."
            raise PermanentError("telegram_odd", f"Telegram's answer to {method} is not what it documents", mend)
        return found

    async def updates(self, offset: int | None, limit: int, kinds: Sequence[str], poll_s: int, grace_s: float) -> Any:
        """What a poll brings, as plain JSON: a list, unless Telegram answers what it does not document.

        Raises `UnreadableAnswerError` when it is not even JSON, else as `call` does.
        """
        wanted = {"limit": limit, "timeout": poll_s, "allowed_updates": list(kinds)}
        arguments = wanted if offset is None else {"offset": offset, **wanted}
        return await self.call(lambda bot: bot.ask("getUpdates", arguments, poll_s + grace_s))

    async def close(self) -> None:
        """Close the connections."""
        for request in self._requests:
            await request.shutdown()


def silence_libraries() -> None:
    """Keep the token and people's words out of logs.

    httpx logs each address, which holds the token; python-telegram-bot logs what it cannot read. What matters of it is
    in the errors that it raises, which we log ourselves.
    """
    for name in ("httpx", "httpcore", "telegram"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def translate_error(error: TelegramError) -> CountersignError:
    """The same fault in our words (core.telegram.org/bots/api#making-requests, #responseparameters)."""
    if isinstance(error, ChatMigrated):
        return ChatMovedError(error.new_chat_id)
    if isinstance(error, InvalidToken):
        mend = "Ask @BotFather for the token (/token), put it where the configuration reads it, and restart."
        return PermanentError("telegram_token", "Telegram does not know this bot's token, or it was revoked.", mend)
    if isinstance(error, Forbidden):
        return _gone(error)
    if isinstance(error, BadRequest):
        words = str(error.message)
        return _gone(error) if any(sign in words.lower() for sign in UNREACHABLE_SIGNS) else TelegramRefusedError(words)
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
    # the library puts what it was given into its words: an answer's bytes, an argument
    why = type(error.__cause__).__name__ if error.__cause__ is not None else error.message
    return TransientError("telegram_unreachable", f"Telegram {words}: {why}.")


def _gone(error: TelegramError) -> PermanentError:
    mend = "Add the bot to the group again, or have the person write to it."
    return PermanentError("place_gone", f"Telegram lets us say nothing there: {error.message}.", mend)


def _request(kind: type[HTTPXRequest], wait_s: float) -> HTTPXRequest:
    return kind(
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
