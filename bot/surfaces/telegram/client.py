"""The Bot API client: python-telegram-bot with its errors translated and its loggers silenced.

The library parses a whole answer and fails at any part that it does not know. Answers to queries are therefore read as
plain JSON (`TelegramClient.get`, `TelegramClient.get_updates`), and of a sent message only its id is read.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from ssl import SSLContext
from typing import Any, Final, TypeVar

from httpx import create_ssl_context
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

_PLACEHOLDER_MESSAGE: Final[dict[str, Any]] = {"date": 1, "chat": {"id": 1, "type": "private"}}
"""The fields that the library requires of a sent message beside its id; nothing here reads them."""
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
"""Texts of a 400 that mean that nothing can be sent there any more (a 403 always means it)."""


class ChatMovedError(TransientError):
    """The chat has the new id `to`: a group became a supergroup (Bot API, ResponseParameters.migrate_to_chat_id)."""

    def __init__(self, to: int) -> None:
        super().__init__("telegram_moved", f"The group has become a supergroup with the id {to}.")
        self.to = to


class TelegramRefusedError(PermanentError):
    """Telegram rejected the request; `reason` is its explanation in lower case."""

    def __init__(self, reason: str) -> None:
        super().__init__("telegram_refused", f"Telegram rejected the request: {reason}.")
        self.reason = reason.lower()


class UnreadableAnswerError(TransientError):
    """The answer to a poll is not readable JSON; `first_update_id` is the first update's id, if it can be found."""

    def __init__(self, first_update_id: int | None) -> None:
        super().__init__("telegram_unreadable", "Telegram's answer cannot be read.")
        self.first_update_id = first_update_id


class _RawBot(Bot):
    """python-telegram-bot's client without its parsing of answers."""

    async def request_json(self, method: str, arguments: Mapping[str, Any], within_s: float | None = None) -> Any:
        """The result of a method as plain JSON."""
        if within_s is None:
            return await super()._post(method, dict(arguments))
        return await super()._post(method, dict(arguments), read_timeout=within_s)

    async def _post(self, endpoint: str, *args: Any, **rest: Any) -> Any:
        """The result that the library's own methods parse."""
        result = await super()._post(endpoint, *args, **rest)
        return (
            {**_PLACEHOLDER_MESSAGE, "message_id": result["message_id"]}
            if isinstance(result, dict) and "message_id" in result
            else result
        )


class _PollRequest(HTTPXRequest):
    """The connection for polls: an unreadable answer is not logged, and the error names its first update."""

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        try:
            document = json.loads(payload.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            document = None
        if isinstance(document, dict):
            return document
        first = _FIRST.search(payload)
        raise UnreadableAnswerError(int(first[1]) if first else None)


class TelegramClient:
    """One bot's connection. Its calls raise our errors; after `close` the next call opens it again."""

    def __init__(self, config: TelegramConfig, wait_s: float) -> None:
        if not _TOKEN.fullmatch(config.token):
            mend = "A token looks like 123456789:AAE…; get yours from @BotFather with /token."
            raise UsageError("telegram_token", "This is not a valid Telegram bot token.", mend)
        silence_libraries()
        base = config.base_url.rstrip("/")
        trust = create_ssl_context()  # shared: each one holds all root certificates
        self._requests = [_request(kind, wait_s, trust) for kind in (HTTPXRequest, _PollRequest)]
        self._bot = _RawBot(
            config.token,
            base_url=f"{base}/bot",
            base_file_url=f"{base}/file/bot",
            request=self._requests[0],
            get_updates_request=self._requests[1],
        )

    async def call(self, method: Callable[[_RawBot], Awaitable[T]]) -> T:
        """Call `method`; raises `TransientError` or `PermanentError` (``place_gone``, ``telegram_token``).

        Each request has its own time limit; a timeout may come after the effect, and its error says so. An answer that
        cannot be read raises `PermanentError` ``telegram_odd``: the request may have had its effect.
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
            mend = "Check for a newer version of Countersign."
            raise PermanentError("telegram_odd", "Telegram's answer differs from its documentation", mend) from error

    async def get(self, method: str, **arguments: Any) -> Json:
        """The object that a method returns, as plain JSON; raises like `call`."""
        result = await self.call(lambda bot: bot.request_json(method, arguments))
        if not isinstance(result, Mapping):
            mend = "Check for a newer version of Countersign."
            raise PermanentError("telegram_odd", f"Telegram's answer to {method} differs from its documentation", mend)
        return result

    async def get_updates(
        self, offset: int | None, limit: int, kinds: Sequence[str], poll_s: int, grace_s: float
    ) -> Any:
        """The result of a poll as plain JSON: a list, unless Telegram breaks its documentation.

        Raises `UnreadableAnswerError` if it is not JSON, otherwise like `call`.
        """
        options = {"limit": limit, "timeout": poll_s, "allowed_updates": list(kinds)}
        arguments = options if offset is None else {"offset": offset, **options}
        return await self.call(lambda bot: bot.request_json("getUpdates", arguments, poll_s + grace_s))

    async def close(self) -> None:
        """Close the connections."""
        for request in self._requests:
            await request.shutdown()


def silence_libraries() -> None:
    """Keep the token and user data out of the logs.

    httpx logs each URL, which contains the token; python-telegram-bot logs what it cannot read. The relevant part is in
    the errors that it raises, which we log ourselves.
    """
    for name in ("httpx", "httpcore", "telegram"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def translate_error(error: TelegramError) -> CountersignError:
    """The same error as one of ours (core.telegram.org/bots/api#making-requests, #responseparameters)."""
    if isinstance(error, ChatMigrated):
        return ChatMovedError(error.new_chat_id)
    if isinstance(error, InvalidToken):
        mend = "Ask @BotFather for the token (/token), put it where the configuration reads it, and restart."
        return PermanentError("telegram_token", "Telegram does not know this bot's token, or it was revoked.", mend)
    if isinstance(error, Forbidden):
        return _gone(error)
    if isinstance(error, BadRequest):
        text = str(error.message)
        return _gone(error) if any(sign in text.lower() for sign in UNREACHABLE_SIGNS) else TelegramRefusedError(text)
    return _transient(error)


def _transient(error: TelegramError) -> TransientError:
    """Errors that may not recur."""
    if isinstance(error, RetryAfter):
        wait_s = _seconds(error)
        return TransientError("telegram_busy", f"Telegram asks to wait {wait_s:.0f} s.", retry_after_s=wait_s)
    if isinstance(error, Conflict):
        message = "Another program polls this bot's updates, or a webhook is set."
        return TransientError("telegram_conflict", message, "Stop the other program, or give it its own bot.")
    if isinstance(error, TimedOut):
        message = "Telegram did not answer in time; the request may have taken effect."
        return TransientError("telegram_timeout", message)
    message = "cannot be reached" if isinstance(error, NetworkError) else "sent no usable answer"
    # the library's message may contain user data: an answer's bytes, an argument
    cause = type(error.__cause__).__name__ if error.__cause__ is not None else error.message
    return TransientError("telegram_unreachable", f"Telegram {message}: {cause}.")


def _gone(error: TelegramError) -> PermanentError:
    mend = "Add the bot to the group again, or ask the person to write to it."
    return PermanentError("place_gone", f"The bot cannot send messages there: {error.message}.", mend)


def _request(kind: type[HTTPXRequest], wait_s: float, trust: SSLContext) -> HTTPXRequest:
    return kind(
        connection_pool_size=64,
        connect_timeout=wait_s,
        read_timeout=wait_s,
        write_timeout=wait_s,
        pool_timeout=wait_s,
        media_write_timeout=max(60.0, wait_s),
        httpx_kwargs={"verify": trust},
    )


def _seconds(error: RetryAfter) -> float:
    wait: int | timedelta = error.retry_after  # an int today, a timedelta in a later version of the library
    return wait.total_seconds() if isinstance(wait, timedelta) else float(wait)
