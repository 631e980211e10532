"""What is looked up of the queue: which jobs there are, whose they are, and what each waits for."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import and_, func, or_
from sqlmodel import col, select

from core.model.job import ACTIVE, Job, JobKind, JobState
from core.store.database import to_ms
from core.store.jobs import job_of
from core.store.tables import JobRow, TaskRow
from core.store.unit_of_work import Tx


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


async def ahead_of(tx: Tx, job: Job) -> int:
    """The position of a ready job: 1 is next; by priority and age, before placement has its say."""
    rows = await tx.session.exec(
        select(func.count())
        .select_from(JobRow)
        .where(
            JobRow.state == JobState.READY.value,
            or_(
                col(JobRow.priority) > job.priority,
                and_(col(JobRow.priority) == job.priority, col(JobRow.ready_ms) < to_ms(job.ready_at)),
            ),
        )
    )
    return int(rows.one()) + 1


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


async def needs_of_last(tx: Tx, number: int, revision: int, kind: str) -> frozenset[str]:
    """The capabilities that the newest job of this kind of a revision needed."""
    rows = await tx.session.exec(
        select(JobRow.needs)
        .where(JobRow.number == number, JobRow.revision == revision, JobRow.kind == kind)
        .order_by(col(JobRow.created_ms).desc())
        .limit(1)
    )
    return frozenset(rows.first() or ())


async def waiting_line(tx: Tx, limit: int) -> list[Job]:
    """Every job that is not over, running first, then in the order of priority and age."""
    rows = await tx.session.exec(
        select(JobRow)
        .where(col(JobRow.state).in_([state.value for state in ACTIVE]))
        .order_by(col(JobRow.priority).desc(), col(JobRow.ready_ms))
        .limit(limit)
    )
    return [job_of(row) for row in rows]


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
