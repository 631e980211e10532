"""What models cost: sums by day, lane and person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.model.turn import SYSTEM, Actor
from core.rules.visibility import visibility_of
from core.settings import SettingsSource
from core.store import spending_by_day
from core.store.database import Database, to_ms
from core.store.spending_by_day import SpendingTotal
from core.store.unit_of_work import Tx, reads


@dataclass(frozen=True, slots=True)
class SpendingReport:
    """Reads the sums; `core.jobs.usage` enforces the budgets."""

    database: Database
    settings: SettingsSource

    @reads
    async def since(self, tx: Tx, since: datetime | None, actor: Actor = SYSTEM) -> tuple[SpendingTotal, ...]:
        """The spending since `since` on tasks of the actor's repositories, a row for each day, lane and person."""
        names = visibility_of(self.settings(), actor).repositories.names
        return tuple(await spending_by_day.totals(tx, to_ms(since) if since else 0, names))
