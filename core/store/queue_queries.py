"""Queries of the queue: which jobs there are, and in which order they are claimed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import and_, func, literal, or_, tuple_
from sqlmodel import col, select

from core.model.job import ACTIVE, Job, JobKind, JobState, QueuedJob
from core.model.job_order import URGENT, in_order
from core.store.database import to_ms
from core.store.jobs import capabilities_of, job_of
from core.store.tables import JobRow, TaskRow
from core.store.turns import has_state, is_claimable
from core.store.unit_of_work import Tx

URGENT_MS: Final = URGENT // timedelta(milliseconds=1)


async def waiting_on(tx: Tx, states: Iterable[str], limit: int) -> list[tuple[int, int, str]]:
    """(task, task that it waits for, that one's state) of dependencies that reached one of `states`."""
    rows = await tx.session.execute(
        select(JobRow.number, JobRow.after, TaskRow.state)
        .join(TaskRow, and_(col(TaskRow.number) == col(JobRow.after)))
        .where(has_state(JobState.WAITING), col(TaskRow.state).in_(list(states)))
        .limit(limit)
    )
    return [(int(number), int(after), str(state)) for number, after, state in rows if after is not None]


async def active_of(tx: Tx, number: int) -> list[Job]:
    """The unfinished jobs of a task, without the one that follows its pull request."""
    return [queued.job for queued in await queued_of(tx, number)]


async def queued_of(tx: Tx, number: int) -> list[QueuedJob]:
    """The unfinished jobs of a task, without the one that follows its pull request, as people are shown them."""
    active = [state.value for state in ACTIVE]
    rows = await tx.session.exec(
        select(JobRow).where(
            JobRow.number == number, col(JobRow.state).in_(active), JobRow.kind != JobKind.FOLLOW.value
        )
    )
    return [_queued(row) for row in rows]


async def active_kinds(tx: Tx, numbers: Collection[int]) -> dict[int, set[JobKind]]:
    """The kinds of the unfinished jobs of tasks, as `active_of` has them; tasks without such jobs are left out."""
    if not numbers:
        return {}
    active = [state.value for state in ACTIVE]
    rows = await tx.session.exec(
        select(JobRow.number, JobRow.kind).where(
            col(JobRow.number).in_(numbers), col(JobRow.state).in_(active), JobRow.kind != JobKind.FOLLOW.value
        )
    )
    kinds: dict[int, set[JobKind]] = {}
    for number, kind in rows:
        kinds.setdefault(number, set()).add(JobKind(kind))
    return kinds


async def reads_of(tx: Tx, number: int) -> list[Job]:
    """The unfinished read jobs of a task, whose replies may begin its next revision."""
    return [job for job in await active_of(tx, number) if job.kind is JobKind.READ]


async def paused_job(tx: Tx, number: int) -> str | None:
    """The id of the job of a task that is paused until its budget is extended, or None."""
    paused = JobRow.number == number, JobRow.state == JobState.PAUSED.value
    return (await tx.session.exec(select(JobRow.id).where(*paused))).first()


async def progress(tx: Tx) -> dict[int, str]:
    """How far the running jobs are, by the number of their task."""
    query = select(JobRow.number, JobRow.progress).where(has_state(JobState.RUNNING)).order_by(col(JobRow.claimed_ms))
    return {number: words or "" for number, words in await tx.session.exec(query)}


async def exists(tx: Tx, job_id: str) -> bool:
    """Whether there is a job with this id, finished or not."""
    return (await tx.session.exec(select(JobRow.id).where(JobRow.id == job_id))).first() is not None


async def has_follow_job(tx: Tx, number: int) -> bool:
    """Whether a job follows the task's pull request."""
    active = [state.value for state in ACTIVE]
    query = select(JobRow.id).where(
        JobRow.number == number, col(JobRow.state).in_(active), JobRow.kind == JobKind.FOLLOW.value
    )
    return (await tx.session.exec(query.limit(1))).first() is not None


async def queue_line(tx: Tx, limit: int) -> list[QueuedJob]:
    """At most `limit` unfinished jobs: those that run, those that are ready in the scheduler's order, and the others.

    The others are parked, most of them until a later time, or wait for another task.
    """
    claimable, parked = select(JobRow).where(*is_claimable()), col(JobRow.parked).is_not(None)
    running = select(JobRow).where(has_state(JobState.RUNNING)).order_by(col(JobRow.claimed_ms))
    urgent = claimable.where(_is_urgent(tx)).order_by(col(JobRow.deadline_ms))
    first = claimable.order_by(col(JobRow.rank_ms), col(JobRow.id))
    later = select(JobRow).where(has_state(JobState.READY), parked).order_by(*_PARKED_ORDER)
    waiting = select(JobRow).where(has_state(JobState.WAITING)).order_by(col(JobRow.created_ms))
    next_ones = {queued.job.id: queued for query in (urgent, first) for queued in await _jobs(tx, query, limit)}
    ordered = in_order((queued.job for queued in next_ones.values()), tx.now)
    line = [*await _jobs(tx, running, limit), *(next_ones[job.id] for job in ordered)]
    for query in (later, waiting):
        if len(line) < limit:
            line += await _jobs(tx, query, limit - len(line))
    return line[:limit]


async def position_of(tx: Tx, job: Job) -> int:
    """The position of a ready job in the scheduler's order, whatever its node: 1 is claimed next.

    It counts the jobs that `core.model.job_order.in_order` puts before it; parked jobs come after those.
    """
    is_parked = col(JobRow.parked).is_not(None)
    if job.parked is None:
        before = and_(*is_claimable(), _goes_before(tx, job))
    else:
        place: Any = tuple_(
            *(literal(value, column.type) for value, column in zip(_place_of(job), _PARKED_ORDER, strict=True))
        )
        before = or_(col(JobRow.parked).is_(None), and_(is_parked, tuple_(*_PARKED_ORDER) < place))
    rows = await tx.session.exec(select(func.count()).select_from(JobRow).where(has_state(JobState.READY), before))
    return int(rows.one()) + 1


_PARKED_ORDER: Final[tuple[Any, ...]] = (col(JobRow.ready_ms), col(JobRow.rank_ms), col(JobRow.id))
"""The order in which people are shown parked jobs: those that became ready first go first."""


def _place_of(job: Job) -> tuple[int, int, str]:
    return to_ms(job.ready_at), job.rank_ms, job.id


def _goes_before(tx: Tx, job: Job) -> Any:
    """The comparison of `in_order` in SQL, for ready jobs."""
    deadline, urgent = col(JobRow.deadline_ms), _is_urgent(tx)
    rank = or_(col(JobRow.rank_ms) < job.rank_ms, and_(col(JobRow.rank_ms) == job.rank_ms, col(JobRow.id) < job.id))
    if job.deadline_at is None or job.deadline_at - tx.now > URGENT:
        return or_(urgent, rank)
    deadline_ms = to_ms(job.deadline_at)
    return and_(urgent, or_(deadline < deadline_ms, and_(deadline == deadline_ms, rank)))


def _is_urgent(tx: Tx) -> Any:
    deadline = col(JobRow.deadline_ms)
    return and_(deadline.is_not(None), deadline <= tx.now_ms + URGENT_MS)


async def _jobs(tx: Tx, query: Any, limit: int) -> list[QueuedJob]:
    return [_queued(row) for row in await tx.session.exec(query.limit(limit))]


def _queued(row: JobRow) -> QueuedJob:
    problem = str(row.error["message"]) if row.error else None
    return QueuedJob(job_of(row), problem, row.progress, row.after)


async def orphans(tx: Tx, owed: dict[str, str], limit: int) -> list[int]:
    """Numbers of tasks in a working state without an unfinished job (`owed` maps state to job kind)."""
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
    """The capabilities and the write set (None: not known) of the newest job of this kind of a revision."""
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
    """Whether any job is running."""
    rows = await tx.session.exec(select(JobRow.id).where(has_state(JobState.RUNNING)).limit(1))
    return rows.first() is not None


async def count_by_state(tx: Tx) -> dict[str, int]:
    """The number of jobs in each active state."""
    active = [state.value for state in ACTIVE]
    rows = await tx.session.execute(
        select(JobRow.state, func.count()).where(col(JobRow.state).in_(active)).group_by(JobRow.state)
    )
    return {str(state): int(count) for state, count in rows}


async def any_in_work(tx: Tx) -> bool:
    """Whether a job runs, or could; jobs that follow pull requests do not count."""
    is_due = or_(col(JobRow.state) == JobState.RUNNING.value, col(JobRow.ready_ms) <= tx.now_ms)
    query = select(JobRow.id).where(
        col(JobRow.state).in_([JobState.READY.value, JobState.RUNNING.value]),
        is_due,
        JobRow.kind != JobKind.FOLLOW.value,
    )
    return (await tx.session.exec(query.limit(1))).first() is not None
