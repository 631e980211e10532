"""What tells a queue that stands still from one that has nothing to do."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlmodel import col

from core.model.job import JobKind, JobState
from core.store import workers
from core.store.tables import JobRow
from core.store.turns import has_state, is_claimable
from core.store.unit_of_work import Tx


@dataclass(frozen=True, slots=True)
class ClaimableJobs:
    """How many jobs could be claimed, since when the oldest of them could, whether any runs, and living workers."""

    count: int
    oldest_ms: int
    is_running: bool
    workers: int


async def claimable(tx: Tx) -> ClaimableJobs | None:
    """The jobs that a worker could claim now; None if there are none."""
    query = select(func.count(), func.min(col(JobRow.ready_ms))).where(*is_claimable())
    count, oldest_ms = (await tx.session.execute(query)).one()
    if not count:
        return None
    running = select(col(JobRow.id)).where(has_state(JobState.RUNNING), col(JobRow.kind) != JobKind.FOLLOW.value)
    is_running = (await tx.session.execute(running.limit(1))).first() is not None
    return ClaimableJobs(int(count), int(oldest_ms), is_running, len(await workers.alive(tx)))
