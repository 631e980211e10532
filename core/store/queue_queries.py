"""What is looked up of the queue: which jobs there are, in which order they are taken, and what each waits for."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import and_, func, or_
from sqlmodel import col, select

from core.model.job import ACTIVE, Job, JobKind, JobState
from core.model.placement import URGENT, in_order
from core.store.database import to_ms
from core.store.jobs import capabilities_of, job_of
from core.store.tables import JobRow, TaskRow
from core.store.unit_of_work import Tx

URGENT_MS: Final = URGENT // timedelta(milliseconds=1)


async def progress_of(tx: Tx, job_id: str) -> str | None:
    """What was last said of how far a job is."""
    return (await tx.session.exec(select(JobRow.progress).where(JobRow.id == job_id))).first()


async def waiting_on(tx: Tx, states: Iterable[str], limit: int) -> list[tuple[int, int, str]]:
    """(task, task it waits for, that one's state) where the dependency came to one of `states`."""
    rows = await tx.session.execute(
        select(JobRow.number, JobRow.after, TaskRow.state)
        .join(TaskRow, and_(col(TaskRow.number) == col(JobRow.after)))
        .where(JobRow.state == JobState.WAITING.value, col(TaskRow.state).in_(list(states)))
        .limit(limit)
    )
    return [(int(number), int(after), str(state)) for number, after, state in rows if after is not None]


async def active_of(tx: Tx, number: int) -> list[Job]:
    """The jobs of a task that are not over, without the one that follows its pull request."""
    active = [state.value for state in ACTIVE]
    rows = await tx.session.exec(
        select(JobRow).where(
            JobRow.number == number, col(JobRow.state).in_(active), JobRow.kind != JobKind.FOLLOW.value
        )
    )
    return [job_of(row) for row in rows]


async def reads_of(tx: Tx, number: int) -> list[Job]:
    """The jobs that read words which were said to a task and may begin its next revision."""
    return [job for job in await active_of(tx, number) if job.kind is JobKind.READ]


async def known(tx: Tx, job_id: str) -> bool:
    """Whether there is a job with this id, over or not."""
    return (await tx.session.exec(select(JobRow.id).where(JobRow.id == job_id))).first() is not None


async def follows(tx: Tx, number: int) -> bool:
    """Whether a job follows the task's pull request."""
    active = [state.value for state in ACTIVE]
    query = select(JobRow.id).where(
        JobRow.number == number, col(JobRow.state).in_(active), JobRow.kind == JobKind.FOLLOW.value
    )
    return (await tx.session.exec(query.limit(1))).first() is not None


async def queue_line(tx: Tx, limit: int) -> list[Job]:
    """At most `limit` jobs that are not over: those that run, those to take next in the scheduler's order, the others.

    The others are ready later or wait for another task.
    """
    state, due = col(JobRow.state), col(JobRow.ready_ms) <= tx.now_ms
    ready = select(JobRow).where(state == JobState.READY.value)
    running = select(JobRow).where(state == JobState.RUNNING.value).order_by(col(JobRow.claimed_ms))
    urgent = ready.where(due, _is_urgent(tx)).order_by(col(JobRow.deadline_ms))
    first = ready.where(due).order_by(col(JobRow.rank_ms), col(JobRow.id))
    later = ready.where(~due).order_by(col(JobRow.ready_ms))
    waiting = select(JobRow).where(state == JobState.WAITING.value).order_by(col(JobRow.created_ms))
    next_ones = {job.id: job for query in (urgent, first) for job in await _jobs(tx, query, limit)}
    line = [*await _jobs(tx, running, limit), *in_order(next_ones.values(), tx.now)]
    for query in (later, waiting):
        if len(line) < limit:
            line += await _jobs(tx, query, limit - len(line))
    return line[:limit]


async def position_of(tx: Tx, job: Job) -> int:
    """The position of a ready job in the scheduler's order, whatever its node: 1 is taken next.

    It counts what `core.model.placement.in_order` puts before the job; one that is not ready yet comes after those.
    """
    due = col(JobRow.ready_ms) <= tx.now_ms
    is_due = to_ms(job.ready_at) <= tx.now_ms
    before = and_(due, _goes_before(tx, job)) if is_due else or_(due, col(JobRow.ready_ms) < to_ms(job.ready_at))
    ready = JobRow.state == JobState.READY.value
    rows = await tx.session.exec(select(func.count()).select_from(JobRow).where(ready, before))
    return int(rows.one()) + 1


def _goes_before(tx: Tx, job: Job) -> Any:
    """What `in_order` compares, of ready jobs in the database."""
    deadline, urgent = col(JobRow.deadline_ms), _is_urgent(tx)
    rank = or_(col(JobRow.rank_ms) < job.rank_ms, and_(col(JobRow.rank_ms) == job.rank_ms, col(JobRow.id) < job.id))
    if job.deadline_at is None or job.deadline_at - tx.now > URGENT:
        return or_(urgent, rank)
    deadline_ms = to_ms(job.deadline_at)
    return and_(urgent, or_(deadline < deadline_ms, and_(deadline == deadline_ms, rank)))


def _is_urgent(tx: Tx) -> Any:
    deadline = col(JobRow.deadline_ms)
    return and_(deadline.is_not(None), deadline <= tx.now_ms + URGENT_MS)


async def _jobs(tx: Tx, query: Any, limit: int) -> list[Job]:
    return [job_of(row) for row in await tx.session.exec(query.limit(limit))]


async def problem_of(tx: Tx, job_id: str) -> str | None:
    """Why the last try of a job did not go through, if one did not."""
    error = (await tx.session.exec(select(JobRow.error).where(JobRow.id == job_id))).first()
    return str(error["message"]) if error else None


async def waits_for(tx: Tx, job_id: str) -> int | None:
    """The task that must go through first."""
    return (await tx.session.exec(select(JobRow.after).where(JobRow.id == job_id))).first()


async def orphans(tx: Tx, owed: dict[str, str], limit: int) -> list[int]:
    """Numbers of tasks in a working state that have no job alive (`owed` maps state to job kind)."""
    alive = (
        select(JobRow.number)
        .where(col(JobRow.state).in_([state.value for state in ACTIVE]))
        .where(col(JobRow.number) == col(TaskRow.number), col(JobRow.kind) != JobKind.FOLLOW.value)
        .correlate(TaskRow)
        .exists()
    )
    rows = await tx.session.exec(select(TaskRow.number).where(col(TaskRow.state).in_(list(owed)), ~alive).limit(limit))
    return [number for number in rows if number is not None]


async def carried_by_last(
    tx: Tx, number: int, revision: int, kind: JobKind
) -> tuple[frozenset[str], tuple[str, ...] | None]:
    """What the newest job of this kind of a revision needed of a node, and what it might write (None: not known)."""
    rows = await tx.session.execute(
        select(JobRow.capabilities, JobRow.write_set)
        .where(JobRow.number == number, JobRow.revision == revision, JobRow.kind == kind.value)
        .order_by(col(JobRow.created_ms).desc())
        .limit(1)
    )
    last = rows.first()
    if last is None:
        return frozenset(), ()
    return capabilities_of(last.capabilities), tuple(last.write_set) if last.write_set is not None else None


async def any_running(tx: Tx) -> bool:
    """Whether any worker holds a job."""
    rows = await tx.session.exec(select(JobRow.id).where(JobRow.state == JobState.RUNNING.value).limit(1))
    return rows.first() is not None


async def count_by_state(tx: Tx) -> dict[str, int]:
    """How many jobs are in each active state."""
    active = [state.value for state in ACTIVE]
    rows = await tx.session.execute(
        select(JobRow.state, func.count()).where(col(JobRow.state).in_(active)).group_by(JobRow.state)
    )
    return {str(state): int(count) for state, count in rows}
