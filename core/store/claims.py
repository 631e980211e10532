"""Claims: the ready jobs from which the scheduler chooses, and the compare-and-set that claims one under a new fence.

Candidates are read without a lock, in a separate transaction; `take` is a single UPDATE, which changes nothing if
another worker was faster.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import func, update
from sqlmodel import col, select

from core.model.job import PAYLOAD_VERSION, Job, JobState
from core.model.job_order import NodeView
from core.store.jobs import capabilities_of, job_of
from core.store.tables import JobRow, WorkerRow
from core.store.unit_of_work import Tx
from core.store.workers import ALIVE

CANDIDATES: Final = 64
"""How many jobs of each set of capabilities are read in each order, by index, so that a long queue costs no more."""


async def candidates(tx: Tx, node: NodeView) -> list[Job]:
    """Jobs that `node` may claim now, including the one that the scheduler puts first.

    For each set of capabilities that ready jobs need and the node has, these are the first by rank and the first by
    deadline.
    """
    jobs: dict[str, Job] = {}
    for key in [key for key in await _needed_now(tx) if capabilities_of(key) <= node.offers]:
        for query in _first_of(tx, key):
            jobs.update((row.id, job_of(row)) for row in await tx.session.exec(query))
    return list(jobs.values())


async def take(tx: Tx, job: Job, worker: str) -> Job | None:
    """Claim `job` for `worker` with the next fence; None if the job changed meanwhile or the worker is not alive.

    The worker's row is locked until the transaction ends, so that it cannot be declared dead without this job.
    """
    alive = select(WorkerRow.id).where(WorkerRow.id == worker, WorkerRow.state == ALIVE).with_for_update(read=True)
    taken = await tx.session.execute(
        update(JobRow)
        .where(
            col(JobRow.id) == job.id,
            col(JobRow.state) == JobState.READY.value,
            col(JobRow.fence) == job.fence,
            alive.exists(),
        )
        .values(state=JobState.RUNNING.value, owner=worker, fence=job.fence + 1, claimed_ms=tx.now_ms)
        .returning(JobRow)
        .execution_options(populate_existing=True)
    )
    row = taken.scalars().first()
    return job_of(row) if row is not None else None


async def any_ready(tx: Tx) -> bool:
    """Whether any job is ready; one index lookup."""
    rows = await tx.session.exec(select(JobRow.id).where(*_ready(tx)).limit(1))
    return rows.first() is not None


async def _needed_now(tx: Tx) -> list[str]:
    """The distinct sets of capabilities that ready jobs need; the cost does not depend on the number of jobs.

    Each step looks up the next set in the index: https://wiki.postgresql.org/wiki/Loose_indexscan
    """
    state, key = col(JobRow.state) == JobState.READY.value, col(JobRow.capabilities)
    steps = select(func.min(key).label("key")).where(state).cte("steps", recursive=True)
    following = select(func.min(key)).where(state, key > steps.c.key).scalar_subquery()
    steps = steps.union_all(select(following).where(steps.c.key.is_not(None)))
    rows: Any = await tx.session.execute(select(steps.c.key).where(steps.c.key.is_not(None)))
    return [str(row[0]) for row in rows]


def _first_of(tx: Tx, key: str) -> Iterable[Any]:
    """The queries for the first ready jobs that need these capabilities: by rank, and by deadline."""
    same = select(JobRow).where(
        *_ready(tx), col(JobRow.capabilities) == key, col(JobRow.payload_version) <= PAYLOAD_VERSION
    )
    yield same.order_by(col(JobRow.rank_ms), col(JobRow.id)).limit(CANDIDATES)
    by_deadline = same.where(col(JobRow.deadline_ms).is_not(None))
    yield by_deadline.order_by(col(JobRow.deadline_ms), col(JobRow.rank_ms), col(JobRow.id)).limit(CANDIDATES)


def _ready(tx: Tx) -> tuple[Any, ...]:
    return col(JobRow.state) == JobState.READY.value, col(JobRow.ready_ms) <= tx.now_ms
