"""Sums of the spending ledger for people: by day, lane and person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select
from sqlmodel import col

from core.store.database import from_ms
from core.store.tables import SpendingRow
from core.store.unit_of_work import Tx

_DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class SpendingTotal:
    """What the models that one lane used for one person on one day (UTC) cost: calls, tokens, and dollars as reported.

    `lane` is empty for readings of requests that led to no lane.
    """

    day: date
    lane: str
    person: str
    calls: int
    tokens: int
    usd: float

    def to_json(self) -> dict[str, object]:
        """The row of ``spending`` in ``stats --json``."""
        return {
            "day": self.day.isoformat(),
            "lane": self.lane,
            "person": self.person,
            "calls": self.calls,
            "tokens": self.tokens,
            "usd": self.usd,
        }


async def totals(tx: Tx, since_ms: int) -> list[SpendingTotal]:
    """The sums of everything that was spent since `since_ms`, by day, lane and person."""
    day_ms = col(SpendingRow.at_ms) - col(SpendingRow.at_ms) % _DAY_MS
    lane, person = col(SpendingRow.lane), col(SpendingRow.person)
    rows = await tx.session.execute(
        select(
            day_ms,
            lane,
            person,
            func.sum(col(SpendingRow.calls)),
            func.sum(col(SpendingRow.input_tokens) + col(SpendingRow.output_tokens)),
            func.coalesce(func.sum(col(SpendingRow.usd)), 0.0),
        )
        .where(col(SpendingRow.at_ms) >= since_ms)
        .group_by(day_ms, lane, person)
        .order_by(day_ms, lane, person)
    )
    return [
        SpendingTotal(from_ms(int(at)).date(), str(in_lane), str(by), int(calls), int(tokens), float(usd))
        for at, in_lane, by, calls, tokens, usd in rows
    ]
