"""What models cost: sums by day, lane and person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.store import spending_totals
from core.store.database import Database, to_ms
from core.store.spending_totals import SpendingTotal
from core.store.unit_of_work import Tx, reads


@dataclass(frozen=True, slots=True)
class SpendingReport:
    """Reads the sums that the operator looks at; budgets are kept by `core.jobs.usage`."""

    database: Database

    @reads
    async def since(self, tx: Tx, since: datetime | None) -> tuple[SpendingTotal, ...]:
        """Everything that was spent since `since`, a row for each day, lane and person."""
        return tuple(await spending_totals.totals(tx, to_ms(since) if since else 0))
