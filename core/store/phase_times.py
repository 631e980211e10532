"""How long finished jobs spent in each phase: waiting for a worker and for models, using models, and other work."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlmodel import col

from core.model.job import JobKind, JobState
from core.store.lease_table import ModelLeaseRow
from core.store.tables import JobRow
from core.store.unit_of_work import Tx


@dataclass(frozen=True, slots=True)
class JobPhases:
    """The phases of the last try of one job, in seconds."""

    queued_s: float
    model_wait_s: float
    model_use_s: float
    work_s: float


async def finished_since(tx: Tx, since_ms: int, limit: int) -> list[JobPhases]:
    """The phases of the newest `limit` jobs that finished since then."""
    finished, claimed = col(JobRow.finished_ms), col(JobRow.claimed_ms)
    newest = (
        select(col(JobRow.id), col(JobRow.ready_ms), claimed, finished)
        .where(col(JobRow.state) == JobState.DONE.value, finished >= since_ms, claimed.is_not(None))
        .where(col(JobRow.kind) != JobKind.FOLLOW.value)
        .order_by(finished.desc(), col(JobRow.id).desc())
        .limit(limit)
        .subquery()
    )
    lease = ModelLeaseRow
    got = func.coalesce(col(lease.granted_ms), col(lease.ended_ms))
    query = (
        select(newest, func.sum(got - col(lease.arrived_ms)), func.sum(col(lease.ended_ms) - got))
        .outerjoin(lease, col(lease.job) == newest.c.id)
        .group_by(*newest.c)
    )
    return [_phases(*row) for row in await tx.session.execute(query)]


def _phases(
    _id: str, ready_ms: int, claimed_ms: int, finished_ms: int, asked_ms: int | None, used_ms: int | None
) -> JobPhases:
    asked, used, whole = int(asked_ms or 0), int(used_ms or 0), finished_ms - claimed_ms
    return JobPhases(
        max(0, claimed_ms - ready_ms) / 1000, asked / 1000, used / 1000, max(0, whole - asked - used) / 1000
    )
