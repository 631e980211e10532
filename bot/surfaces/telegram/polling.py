"""Long polling: each update is kept before the offset moves past it, so that none is lost and order holds.

Each is read by itself: one that cannot be read is passed over, and the next is heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from bot.surfaces.telegram.client import TelegramClient, UnreadableAnswerError
from bot.surfaces.telegram.incoming import ALLOWED_UPDATES
from bot.surfaces.telegram.update_parts import update_id
from core.log import log
from core.model.errors import TransientError

StoreUpdate = Callable[[object], Awaitable[None]]

_FAILURES: Final = 5
"""Polls in a row that may fail before whoever runs us is told."""
_LONGEST_PAUSE_S: Final = 8.0
_GRACE_S: Final = 10.0
"""How much longer than the poll its answer may take."""
_MOST: Final = 100
"""Updates in one answer (core.telegram.org/bots/api#getupdates, `limit`)."""


@dataclass(slots=True)
class _Position:
    """Where we are: `offset` as Telegram wants it, how many updates to ask for, how many polls failed in a row."""

    offset: int | None = None
    limit: int = _MOST
    failures: int = 0


async def poll(wire: TelegramClient, keep: StoreUpdate, poll_s: int) -> NoReturn:
    """Ask for updates for ever and keep each; `keep` raises `TransientError` for one that must be asked for again.

    Raises `TransientError` when Telegram stays out of reach or another program polls this bot, `PermanentError` when
    the token is no longer good. The offset lives here alone: Telegram remembers the last one confirmed, and what comes
    twice is kept once by its dedup key (fault F18).
    """
    await wire.call(lambda bot: bot.delete_webhook(drop_pending_updates=False))
    at = _Position()
    while True:
        updates = await _ask(wire, at, poll_s)
        if updates is None:
            at.failures += 1
            continue
        at.failures = 0
        for update in updates:
            number = update_id(update)
            if number is None:
                log.warning("telegram_update_was_odd", part="update_id")
                continue
            if not await _kept(keep, update, number):
                at.offset = number
                break
            at.offset = number + 1


async def _ask(wire: TelegramClient, at: _Position, poll_s: int) -> list[object] | None:
    """The next updates, or None when it failed in a way that may pass."""
    try:
        updates = await wire.updates(at.offset, at.limit, ALLOWED_UPDATES, poll_s, _GRACE_S)
        return _checked(updates, at)
    except UnreadableAnswerError as error:
        if _past(error, at):
            return []
        await _pause(error, at)
    except TransientError as error:
        if error.problem.code == "telegram_conflict":
            raise
        await _pause(error, at)
    return None


def _checked(updates: Any, at: _Position) -> list[object]:
    """The updates of an answer; raises `TransientError` where none of it could move us on, so that we do not spin."""
    if not isinstance(updates, list) or (updates and not any(update_id(update) is not None for update in updates)):
        raise TransientError("telegram_odd", "Telegram's answer is not what it documents.")
    at.limit = _MOST
    return updates


def _past(error: UnreadableAnswerError, at: _Position) -> bool:
    """Find the one update that makes an answer unreadable by asking for one alone, then go past it."""
    if at.limit > 1:
        at.limit = 1
        return True
    if error.first is None or (at.offset is not None and error.first < at.offset):
        return False
    log.warning("telegram_update_was_odd", update=error.first, part="all of it")
    at.offset, at.limit = error.first + 1, _MOST
    return True


async def _pause(error: TransientError, at: _Position) -> None:
    """Wait a little before the next poll; raises `error` when too many failed."""
    if at.failures + 1 >= _FAILURES:
        raise error
    log.warning("telegram_poll_failed", why=str(error), failures=at.failures + 1)
    await asyncio.sleep(error.retry_after_s or min(_LONGEST_PAUSE_S, 0.25 * 2**at.failures))


async def _kept(keep: StoreUpdate, update: object, number: int) -> bool:
    try:
        await keep(update)
    except TransientError as error:
        log.warning("telegram_update_was_not_kept", update=number, why=str(error))
        await asyncio.sleep(min(_LONGEST_PAUSE_S, error.retry_after_s or 0.25))
        return False
    return True
