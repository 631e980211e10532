"""Long polling: each update is kept before the offset moves past it, so that none is lost and order holds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from telegram import Update

from bot.surfaces.telegram.hearing import WANTED
from bot.surfaces.telegram.wire import Wire
from core.errors import TransientError
from core.log import log

Keep = Callable[[Update], Awaitable[None]]

_FAILURES: Final = 5
"""Polls in a row that may fail before whoever runs us is told."""
_LONGEST_PAUSE_S: Final = 8.0
_GRACE_S: Final = 10.0
"""How much longer than the poll its answer may take."""


async def poll(wire: Wire, keep: Keep, poll_s: int) -> NoReturn:
    """Ask for updates for ever and keep each; `keep` raises `TransientError` for one that must be asked for again.

    Raises `TransientError` when Telegram stays out of reach or another program polls this bot, `PermanentError` when
    the token is no longer good. The offset lives here alone: Telegram remembers the last one confirmed, and what comes
    twice is kept once by its dedup key (fault F18).
    """
    await wire.call(lambda bot: bot.delete_webhook(drop_pending_updates=False))
    offset: int | None = None
    failures = 0
    while True:
        updates = await _ask(wire, offset, poll_s, failures)
        if updates is None:
            failures += 1
            continue
        failures = 0
        for update in updates:
            if not await _kept(keep, update):
                offset = update.update_id
                break
            offset = update.update_id + 1


async def _ask(wire: Wire, offset: int | None, poll_s: int, failures: int) -> tuple[Update, ...] | None:
    """The next updates, or None when it failed in a way that may pass."""
    try:
        return await wire.call(
            lambda bot: bot.get_updates(offset=offset, timeout=poll_s, allowed_updates=WANTED, read_timeout=_GRACE_S)
        )
    except TransientError as error:
        if error.problem.code == "telegram_conflict" or failures + 1 >= _FAILURES:
            raise
        log.warning("telegram_poll_failed", why=str(error), failures=failures + 1)
        await asyncio.sleep(error.retry_after_s or min(_LONGEST_PAUSE_S, 0.25 * 2**failures))
        return None


async def _kept(keep: Keep, update: Update) -> bool:
    try:
        await keep(update)
    except TransientError as error:
        log.warning("telegram_update_was_not_kept", update=update.update_id, why=str(error))
        await asyncio.sleep(min(_LONGEST_PAUSE_S, error.retry_after_s or 0.25))
        return False
    return True
