"""Sums of the spending ledger for people: by day, lane and person."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, func, select
from sqlmodel import col

from core.store.database import from_ms
from core.store.tables import SpendingRow, TaskRow
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


def _on(names: Collection[str] | None) -> list[ColumnElement[bool]]:
    if names is None:
        return []
    of_names = select(col(TaskRow.number)).where(col(TaskRow.repo).in_(sorted(names)))
    return [col(SpendingRow.number).in_(of_names)]


async def totals(tx: Tx, since_ms: int, names: Collection[str] | None = None) -> list[SpendingTotal]:
    """The sums of what was spent since `since_ms`, by day, lane and person; with `names` on these repositories."""
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
        .where(col(SpendingRow.at_ms) >= since_ms, *_on(names))
        .group_by(day_ms, lane, person)
        .order_by(day_ms, lane, person)
    )
    return [
        SpendingTotal(from_ms(int(at)).date(), str(in_lane), str(by), int(calls), int(tokens), float(usd))
        for at, in_lane, by, calls, tokens, usd in rows
    ]
