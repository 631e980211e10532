"""Long polling: each update is stored before the offset moves past it, so that none is lost and order is kept.

Updates are read one by one: one that cannot be read is skipped.
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

_MAX_FAILURES: Final = 5
"""Consecutive polls that may fail before the error is raised."""
_MAX_PAUSE_S: Final = 8.0
_GRACE_S: Final = 10.0
"""How much longer than the poll itself the answer may take."""
_MAX_UPDATES: Final = 100
"""Updates in one answer (core.telegram.org/bots/api#getupdates, `limit`)."""


@dataclass(slots=True)
class _Position:
    """The poll's state: the next `offset`, how many updates to request, how many polls failed in a row."""

    offset: int | None = None
    limit: int = _MAX_UPDATES
    failures: int = 0


async def poll(wire: TelegramClient, store: StoreUpdate, poll_s: int) -> NoReturn:
    """Poll for updates forever and `store` each; `store` raises `TransientError` for one to fetch again.

    Raises `TransientError` while Telegram is unreachable or another program polls this bot, `PermanentError` if the
    token is no longer valid. The offset is kept in memory only: Telegram remembers the last confirmed one, and an
    update that arrives twice is stored once by its dedup key (fault F18).
    """
    await wire.call(lambda bot: bot.delete_webhook(drop_pending_updates=False))
    position = _Position()
    while True:
        updates = await _fetch(wire, position, poll_s)
        if updates is None:
            position.failures += 1
            continue
        position.failures = 0
        for update in updates:
            number = update_id(update)
            if number is None:
                log.warning("telegram_update_was_odd", part="update_id")
                continue
            if not await _stored(store, update, number):
                position.offset = number
                break
            position.offset = number + 1


async def _fetch(wire: TelegramClient, position: _Position, poll_s: int) -> list[object] | None:
    """The next updates, or None after a failure that may pass."""
    try:
        updates = await wire.get_updates(position.offset, position.limit, ALLOWED_UPDATES, poll_s, _GRACE_S)
        return _checked(updates, position)
    except UnreadableAnswerError as error:
        if _skip_unreadable(error, position):
            return []
        await _pause(error, position)
    except TransientError as error:
        if error.problem.code == "telegram_conflict":
            raise
        await _pause(error, position)
    return None


def _checked(updates: Any, position: _Position) -> list[object]:
    """The updates of an answer; raises `TransientError` if none of them could advance the offset."""
    if not isinstance(updates, list) or (updates and not any(update_id(update) is not None for update in updates)):
        raise TransientError("telegram_odd", "Telegram's answer is not what it documents.")
    position.limit = _MAX_UPDATES
    return updates


def _skip_unreadable(error: UnreadableAnswerError, position: _Position) -> bool:
    """Isolate the update that makes an answer unreadable by requesting one at a time, then skip it."""
    if position.limit > 1:
        position.limit = 1
        return True
    if error.first_update_id is None or (position.offset is not None and error.first_update_id < position.offset):
        return False
    log.warning("telegram_update_was_odd", update=error.first_update_id, part="all of it")
    position.offset, position.limit = error.first_update_id + 1, _MAX_UPDATES
    return True


async def _pause(error: TransientError, position: _Position) -> None:
    """Wait before the next poll; raises `error` after too many failures."""
    if position.failures + 1 >= _MAX_FAILURES:
        raise error
    log.warning("telegram_poll_failed", why=str(error), failures=position.failures + 1)
    await asyncio.sleep(error.retry_after_s or min(_MAX_PAUSE_S, 0.25 * 2**position.failures))


async def _stored(store: StoreUpdate, update: object, number: int) -> bool:
    try:
        await store(update)
    except TransientError as error:
        log.warning("telegram_update_was_not_kept", update=number, why=str(error))
        await asyncio.sleep(min(_MAX_PAUSE_S, error.retry_after_s or 0.25))
        return False
    return True
