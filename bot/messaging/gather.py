"""Awaiting several deliveries side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable

from core.model.errors import TransientError


async def gather_all(deliveries: Iterable[Awaitable[None]]) -> None:
    """Await every delivery, also when one fails; then raise the first failure that is not a `TransientError`."""
    for outcome in await asyncio.gather(*deliveries, return_exceptions=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, TransientError):
            raise outcome
