"""What models spent: one row for each job and model, and sums for the budgets of a day."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import delete, func, update
from sqlmodel import col, select

from core.model.job import Job, JobKind
from core.model.provenance import Usage
from core.store.tables import JobRow, SpendingRow
from core.store.unit_of_work import Tx


@dataclass(frozen=True, slots=True)
class Spending:
    """A sum: tokens in both directions, and dollars as far as they were reported."""

    tokens: int
    usd: float


async def charge(tx: Tx, job: Job, lane: str, person: str, usage: Usage) -> None:
    """Write down what `job` spent on one model, in all its tries so far; told again, the newer word holds."""
    earlier = (col(SpendingRow.job_id) == job.id, col(SpendingRow.model) == usage.model)
    await tx.session.execute(delete(SpendingRow).where(*earlier, col(SpendingRow.attempt) != job.attempt))
    await tx.session.merge(
        SpendingRow(
            job_id=job.id,
            attempt=job.attempt,
            model=usage.model,
            number=job.number,
            lane=lane,
            person=person,
            calls=usage.calls,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            usd=usage.usd,
            at_ms=tx.now_ms,
        )
    )


async def settle(tx: Tx, job: Job, lane: str) -> None:
    """Let what `job` spent before its lane was known count for `lane`."""
    mine = (col(SpendingRow.job_id) == job.id, col(SpendingRow.lane) == "")
    await tx.session.execute(update(SpendingRow).where(*mine).values(lane=lane))


async def of_revisions(tx: Tx, number: int, revisions: Collection[int]) -> Spending:
    """What the changes of these revisions of a task spent; what reading a request cost is not of them."""
    rows = await tx.session.exec(
        select(
            func.coalesce(func.sum(col(SpendingRow.input_tokens) + col(SpendingRow.output_tokens)), 0),
            func.coalesce(func.sum(col(SpendingRow.usd)), 0.0),
        )
        .join(JobRow, col(JobRow.id) == col(SpendingRow.job_id))
        .where(JobRow.number == number, col(JobRow.revision).in_(revisions), JobRow.kind == JobKind.CHANGE.value)
    )
    tokens, usd = rows.one()
    return Spending(int(tokens or 0), float(usd or 0))


async def free_at_ms(tx: Tx, lane: str, since_ms: int, less: Spending) -> int | None:
    """When the oldest of what the lane spent since then must be forgotten for less than `less` to be left.

    The time is that of the last row that must go; None when nothing must. 0 in `less` means no bound.
    """
    rows = (
        await tx.session.exec(
            select(SpendingRow)
            .where(SpendingRow.lane == lane, col(SpendingRow.at_ms) >= since_ms)
            .order_by(col(SpendingRow.at_ms))
        )
    ).all()
    tokens, usd = sum(row.input_tokens + row.output_tokens for row in rows), sum(row.usd or 0.0 for row in rows)
    last: int | None = None
    for row in rows:
        if not (less.tokens and tokens >= less.tokens) and not (less.usd and usd >= less.usd):
            break
        tokens, usd, last = tokens - row.input_tokens - row.output_tokens, usd - (row.usd or 0.0), row.at_ms
    return last


async def of_lane(tx: Tx, lane: str, since_ms: int) -> Spending:
    """What the lane spent since then."""
    rows = await tx.session.exec(
        select(
            func.coalesce(func.sum(col(SpendingRow.input_tokens) + col(SpendingRow.output_tokens)), 0),
            func.coalesce(func.sum(col(SpendingRow.usd)), 0.0),
        ).where(col(SpendingRow.lane) == lane, col(SpendingRow.at_ms) >= since_ms)
    )
    tokens, usd = rows.one()
    return Spending(int(tokens or 0), float(usd or 0))
