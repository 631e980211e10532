"""Renewing leases while the work that they cover goes on, so that no other process begins the same work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from core.log import log
from core.model.errors import CountersignError


@asynccontextmanager
async def renewed(renew: Callable[[], Awaitable[None]], lease_ms: int) -> AsyncIterator[None]:
    """Call `renew` three times in every `lease_ms` while the block runs."""
    renewal = asyncio.create_task(_renew_forever(renew, lease_ms / 3000))
    try:
        yield
    finally:
        renewal.cancel()
        (outcome,) = await asyncio.gather(renewal, return_exceptions=True)
        if isinstance(outcome, Exception):
            raise outcome


async def _renew_forever(renew: Callable[[], Awaitable[None]], every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        try:
            await renew()
        except (
            CountersignError
        ) as error:  # the next renewal may succeed, and a lost lease shows when the work is recorded
            log.warning("lease_not_renewed", problem=error.problem.message)
