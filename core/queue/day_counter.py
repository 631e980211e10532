"""Counts the days for the page of insights, on behalf of the one worker that has this duty."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from core.log import log
from core.model.errors import CountersignError
from core.queue.duty_lease import DutyLease
from core.services.insight import Insight

COUNTS_EVERY_S: Final = 60.0
_BETWEEN_DAYS_S: Final = 0.2
"""After an upgrade many days are to be counted; other writers get their turn between two."""


@dataclass(frozen=True, slots=True)
class DayCounter:
    """Counts again and again; `lease` is that of the duty `core.store.leaders.INSIGHT`."""

    insight: Insight
    lease: DutyLease
    every_s: float = COUNTS_EVERY_S

    async def run(self) -> None:
        """Count until cancelled."""
        while True:  # noqa: ASYNC110 (it asks the database)
            await asyncio.sleep(_BETWEEN_DAYS_S if await self._count() else self.every_s)

    async def _count(self) -> bool:
        """Count one day; whether another one may be due."""
        try:
            return await self.lease.is_ours() and await self.insight.count_next()
        except CountersignError as error:
            log.warning("days_not_counted", problem=error.problem.message)
            return False
