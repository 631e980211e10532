"""What models cost: sums by day, lane and person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.store import spending_by_day
from core.store.database import Database, to_ms
from core.store.spending_by_day import SpendingTotal
from core.store.unit_of_work import Tx, reads


@dataclass(frozen=True, slots=True)
class SpendingReport:
    """Reads the sums for the operator; `core.jobs.usage` enforces the budgets."""

    database: Database

    @reads
    async def since(self, tx: Tx, since: datetime | None) -> tuple[SpendingTotal, ...]:
        """The spending since `since`, a row for each day, lane and person."""
        return tuple(await spending_by_day.totals(tx, to_ms(since) if since else 0))
