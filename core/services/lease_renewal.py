"""Keeping leases while the work that they cover goes on, so that no other process begins the same work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from core.log import log
from core.model.errors import CountersignError


@asynccontextmanager
async def kept_leased(
    renew: Callable[[], Awaitable[None]], release: Callable[[], Awaitable[None]], lease_ms: int
) -> AsyncIterator[None]:
    """Call `renew` three times in every `lease_ms` while the block runs, and `release` if the block is cancelled.

    A process that is stopped cancels its work; once the leases end, that work can be begun again at once.
    """
    renewal = asyncio.create_task(_renew_forever(renew, lease_ms / 3000))
    try:
        yield
    except asyncio.CancelledError:
        await _logging_failure("lease_not_released", release())
        raise
    finally:
        renewal.cancel()
        (outcome,) = await asyncio.gather(renewal, return_exceptions=True)
        if isinstance(outcome, Exception):
            raise outcome


async def _renew_forever(renew: Callable[[], Awaitable[None]], every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        await _logging_failure("lease_not_renewed", renew())


async def _logging_failure(event: str, work: Awaitable[None]) -> None:
    """The next renewal may succeed, and whoever lost a lease learns it when they record their work."""
    try:
        await work
    except CountersignError as error:
        log.warning(event, problem=error.problem.message)
