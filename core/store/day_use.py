"""What models were used for in the last 24 hours, by key: tokens and money of the ledger, GPU seconds of leases.

Work that used a model without a lease counts the time for which its job ran.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Float, Subquery, cast, func, select, union_all
from sqlmodel import col

from core.model.limits import DAY_MS, DayUse, Limit, LimitScope
from core.model.person import People
from core.store.tables import JobRow, SpendingRow, TaskRow
from core.store.unit_of_work import Tx


async def used_up(tx: Tx, limit: Limit, use: DayUse, most: float, people: People) -> frozenset[str]:
    """The keys of a limit whose use in the last 24 hours has reached `most`."""
    entries = _entries(tx, use)
    used = await _sums(tx, entries, _key_column(entries, limit))
    if limit.scope is LimitScope.TEAM:
        used = {role: sum(used.get(name, 0) for name in members) for role, members in limit.teams(people).items()}
    if owned := limit.repositories(people):
        by_repository = await _sums(tx, entries, entries.c.repository)
        used |= {team: sum(by_repository.get(name, 0) for name in names) for team, names in owned.items()}
    return frozenset(
        name for name, total in used.items() if total >= most and (limit.keys is None or name in limit.keys)
    )


async def _sums(tx: Tx, entries: Subquery, key: Any) -> dict[str, float]:
    """What was used in the last 24 hours by each value of a column."""
    amount = func.sum(entries.c.amount)
    rows = await tx.session.execute(
        select(key, amount).where(entries.c.at_ms > tx.now_ms - DAY_MS, key.is_not(None)).group_by(key)
    )
    return {str(name): float(total or 0) for name, total in rows}


async def free_at_ms(tx: Tx, limit: Limit, use: DayUse, most: float, key: str, people: People) -> int | None:
    """When the use of `key` in 24 hours is less than `most` again if nothing is added; None if it is less now."""
    entries = _entries(tx, use)
    members: Collection[str] = limit.teams(people).get(key, ()) if limit.scope is LimitScope.TEAM else (key,)
    column = _key_column(entries, limit)
    if (owned := limit.repositories(people).get(key)) is not None:
        column, members = entries.c.repository, owned
    newer = func.sum(entries.c.amount).over(order_by=entries.c.at_ms.desc(), rows=(None, 0)).label("newer")
    of_key = column.in_(list(members)), entries.c.at_ms > tx.now_ms - DAY_MS
    sums = select(entries.c.at_ms, newer).where(*of_key).subquery()
    last = await tx.session.execute(select(func.max(sums.c.at_ms)).where(sums.c.newer >= most))
    at_ms = last.scalar_one_or_none()
    return None if at_ms is None else int(at_ms) + DAY_MS


def _key_column(entries: Subquery, limit: Limit) -> Any:
    return {LimitScope.LANE: entries.c.lane, LimitScope.REPOSITORY: entries.c.repository}.get(
        limit.scope, entries.c.person
    )


def _entries(tx: Tx, use: DayUse) -> Subquery:
    """(at_ms, amount, person, lane, repository) of everything that was used since a day ago."""
    since_ms = tx.now_ms - DAY_MS
    if use is DayUse.GPU_S:
        return _gpu_seconds(tx, since_ms)
    tokens = col(SpendingRow.input_tokens) + col(SpendingRow.output_tokens)
    amount = cast(tokens, Float) if use is DayUse.TOKENS else func.coalesce(col(SpendingRow.usd), 0.0)
    return (
        select(
            col(SpendingRow.at_ms).label("at_ms"),
            amount.label("amount"),
            col(SpendingRow.person).label("person"),
            col(SpendingRow.lane).label("lane"),
            col(TaskRow.repo).label("repository"),
        )
        .join(TaskRow, col(TaskRow.number) == col(SpendingRow.number))
        .where(col(SpendingRow.at_ms) > since_ms)
        .subquery()
    )


def _gpu_seconds(tx: Tx, since_ms: int) -> Subquery:
    """The time of leases, as a lease ends or until now; and of jobs that spent something without one."""
    from core.store.lease_table import ModelLeaseRow  # noqa: PLC0415 - slow to build, and few limits need it

    job, lease = JobRow, ModelLeaseRow
    ended = func.coalesce(col(lease.ended_ms), tx.now_ms)
    of_leases: Any = (
        select(
            ended.label("at_ms"),
            (cast(ended - col(lease.granted_ms), Float) / 1000).label("amount"),
            func.coalesce(col(job.person), col(lease.key)).label("person"),
            col(job.lane).label("lane"),
            col(job.repository).label("repository"),
        )
        .outerjoin(job, col(job.id) == col(lease.job))
        .where(col(lease.granted_ms).is_not(None), ended > since_ms)
    )
    has_lease = select(col(lease.id)).where(col(lease.job) == col(job.id), col(lease.granted_ms).is_not(None)).exists()
    spent = select(col(SpendingRow.job_id)).where(col(SpendingRow.at_ms) > since_ms)
    of_jobs: Any = select(
        col(job.finished_ms).label("at_ms"),
        (cast(col(job.finished_ms) - col(job.claimed_ms), Float) / 1000).label("amount"),
        col(job.person).label("person"),
        col(job.lane).label("lane"),
        col(job.repository).label("repository"),
    ).where(
        col(job.id).in_(spent),
        col(job.claimed_ms).is_not(None),
        col(job.finished_ms) > since_ms,
        ~has_lease,
    )
    return union_all(of_leases, of_jobs).subquery()
