"""How due deliveries are attempted: several concurrently, and a failed one again after a growing wait."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Iterable
from typing import Final

from core.model.errors import TransientError

MAX_ATTEMPTS: Final = 30
"""Attempts of a message that a platform refuses: about a day."""


def backoff_s(attempt: int) -> float:
    """The wait after attempt number `attempt` failed because a platform was unavailable: seconds, up to 5 minutes."""
    return min(300.0, 1.5 ** min(attempt - 1, 20)) * (0.75 + random.random() / 2)  # noqa: S311 - jitter


def refused_wait_s(attempt: int) -> float:
    """The wait after attempt number `attempt` was refused, which an operator may fix: a minute, up to an hour."""
    return min(3600.0, 60.0 * 2.0 ** min(attempt - 1, 6))


async def gather_all(deliveries: Iterable[Awaitable[None]]) -> None:
    """Await all deliveries, even if one fails; then raise the first failure that is not a `TransientError`."""
    for outcome in await asyncio.gather(*deliveries, return_exceptions=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, TransientError):
            raise outcome
