"""The rows of jobs: adding, ending, retrying and rescuing them; every write of a claimant compares its fence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, and_, cast, delete, literal, null, update
from sqlmodel import col, select

from core.model.change_result import ChangeResult
from core.model.errors import LostClaimError, Problem
from core.model.job import ACTIVE, Job, JobKind, JobState
from core.model.job_order import AGE_PER_PRIORITY_MS, rank_ms_of
from core.store.database import from_ms, to_ms
from core.store.tables import JobRow, JournalRow, TaskRow
from core.store.unit_of_work import Tx


async def add(tx: Tx, row: JobRow) -> None:
    """Add a job to the queue, with the rank that its priority and its ready time give it."""
    row.rank_ms = rank_ms_of(row.ready_ms, row.priority)
    tx.session.add(row)
    await tx.session.flush()


async def held_by(tx: Tx, owner: str) -> set[str]:
    """The ids of the jobs that the worker `owner` holds."""
    rows = await tx.session.exec(select(JobRow.id).where(JobRow.owner == owner, JobRow.state == JobState.RUNNING.value))
    return set(rows)


async def asked_by(tx: Tx, job_id: str) -> tuple[str | None, str | None]:
    """The person and the lane that a job works for, as far as they are known."""
    row = (await tx.session.execute(select(JobRow.person, JobRow.lane).where(JobRow.id == job_id))).first()
    return (row.person or None, row.lane) if row is not None else (None, None)


async def close_unclaimed(tx: Tx, job_id: str, state: JobState) -> None:
    """End a job that no worker holds."""
    await tx.session.execute(
        update(JobRow)
        .where(col(JobRow.id) == job_id)
        .values(state=state.value, finished_ms=tx.now_ms, result=null(), run_key=null())
    )
    await _forget_work(tx, [job_id])


async def end(tx: Tx, job: Job, state: JobState, problem: Problem | None = None) -> None:
    """End a claimed job; raises `LostClaimError` if the claim is lost."""
    await _fenced(
        tx,
        job,
        state=state.value,
        finished_ms=tx.now_ms,
        error=problem.to_json() if problem else None,
        result=null(),
        run_key=null(),
    )
    await _forget_work(tx, [job.id])


async def check_claim(tx: Tx, job: Job) -> None:
    """Raise `LostClaimError` unless the claim on `job` still holds, and lock the row in this transaction."""
    await _fenced(tx, job, owner=job.owner)


async def has_claim(tx: Tx, job: Job) -> bool:
    """Whether the claim on `job` still holds; reads only."""
    rows = await tx.session.exec(select(JobRow.id).where(*_claim_of(job)))
    return rows.first() is not None


async def has_stopped(tx: Tx, job_id: str) -> bool:
    """Whether a job does not run, because it was cancelled, paused, returned to the queue or has ended."""
    state = (await tx.session.exec(select(JobRow.state).where(JobRow.id == job_id))).first()
    return state is not None and state != JobState.RUNNING.value


async def keep_result(tx: Tx, job: Job, result: ChangeResult) -> None:
    """Store what the executor of a claimed job made; a later attempt uses it instead of making it again."""
    await _fenced(tx, job, result=result.to_json())


async def result_of(tx: Tx, job: Job) -> ChangeResult | None:
    """What the executor made in an earlier attempt of `job`, or None."""
    value = (await tx.session.exec(select(JobRow.result).where(JobRow.id == job.id))).first()
    return ChangeResult.from_json(value) if value else None


async def set_progress(tx: Tx, job: Job, words: str) -> None:
    """Record the progress of a claimed job."""
    await _fenced(tx, job, progress=words)


async def put_back(
    tx: Tx,
    job: Job,
    ready_ms: int,
    *,
    attempt: int,
    problem: Problem | None = None,
) -> None:
    """Return a claimed job to the queue, to be ready at `ready_ms`."""
    await _fenced(
        tx,
        job,
        state=JobState.READY.value,
        owner=None,
        attempt=attempt,
        ready_ms=ready_ms,
        rank_ms=rank_ms_of(ready_ms, job.priority),
        error=problem.to_json() if problem else None,
    )


async def pause(tx: Tx, job: Job) -> None:
    """Pause a claimed job until `resume_paused`: it keeps its journal, and its next run is another attempt."""
    values = {"state": JobState.PAUSED.value, "owner": None, "attempt": job.attempt + 1, "progress": None}
    await _fenced(tx, job, **values, error=null(), run_key=null())
    await _unload_models(tx, [job.id])


async def resume_paused(tx: Tx, number: int) -> str | None:
    """Make the paused job of a task ready; returns its id, or None if the task has none."""
    paused = JobRow.number == number, JobRow.state == JobState.PAUSED.value
    row = (await tx.session.exec(select(JobRow).where(*paused).with_for_update())).first()
    if row is None:
        return None
    row.state, row.ready_ms, row.rank_ms = JobState.READY.value, tx.now_ms, rank_ms_of(tx.now_ms, row.priority)
    tx.session.add(row)
    await tx.session.flush()
    return row.id


async def cancel_jobs(tx: Tx, number: int, keep: Iterable[JobKind] = ()) -> list[str]:
    """Cancel the unfinished jobs of a task, except those of the kinds `keep`; returns the ids of the cancelled ones."""
    active = [state.value for state in (*ACTIVE, JobState.PAUSED)]
    rows = await tx.session.exec(
        select(JobRow.id).where(
            JobRow.number == number, col(JobRow.state).in_(active), col(JobRow.kind).not_in([k.value for k in keep])
        )
    )
    cancelled = list(rows)
    if cancelled:
        await tx.session.execute(
            update(JobRow)
            .where(col(JobRow.id).in_(cancelled))
            .values(
                state=JobState.CANCELLED.value,
                finished_ms=tx.now_ms,
                fence=col(JobRow.fence) + 1,
                result=null(),
                run_key=null(),
            )
        )
        await _forget_work(tx, cancelled)
    return cancelled


async def rescue_from(tx: Tx, owners: Iterable[str], *, count: bool, only: Iterable[str] | None = None) -> list[Job]:
    """Return the running jobs of `owners`, or `only` these of them, to the queue under a higher fence.

    With `count` the rescue is counted, so that a job that kills its workers finally fails.
    """
    held = select(JobRow).where(col(JobRow.owner).in_(list(owners)), JobRow.state == JobState.RUNNING.value)
    if only is not None:
        held = held.where(col(JobRow.id).in_(list(only)))
    # locked, because an owner that is slow rather than dead may be ending its job right now
    rows = list(await tx.session.exec(held.with_for_update()))
    for row in rows:
        row.state = JobState.READY.value
        row.owner = None
        row.fence += 1
        row.rescues += 1 if count else 0
        row.ready_ms = tx.now_ms
        tx.session.add(row)
    await tx.session.flush()
    return [job_of(row) for row in rows]


async def release_waiting(tx: Tx, settled: Iterable[str]) -> int:
    """Make jobs ready whose dependency is in one of the states `settled`; returns their number."""
    ready = (
        select(JobRow.id)
        .join(TaskRow, and_(col(TaskRow.number) == col(JobRow.after)))
        .where(JobRow.state == JobState.WAITING.value, col(TaskRow.state).in_(list(settled)))
    )
    result = await tx.session.execute(
        update(JobRow)
        .where(col(JobRow.id).in_(ready))
        .values(state=JobState.READY.value, ready_ms=tx.now_ms, rank_ms=_rank_ms_at(tx.now_ms))
    )
    return _rowcount(result)


async def release_from(tx: Tx, number: int, after: int) -> bool:
    """Make the jobs of task `number` ready that wait for the task `after`; False if none does."""
    result = await tx.session.execute(
        update(JobRow)
        .where(col(JobRow.number) == number, col(JobRow.after) == after, col(JobRow.state) == JobState.WAITING.value)
        .values(state=JobState.READY.value, after=null(), ready_ms=tx.now_ms, rank_ms=_rank_ms_at(tx.now_ms))
    )
    return _rowcount(result) > 0


async def wake_follow_job(tx: Tx, number: int) -> None:
    """Have a task's pull request polled now; a poll that is under way is followed by another."""
    await tx.session.execute(
        update(JobRow)
        .where(
            col(JobRow.number) == number,
            col(JobRow.kind) == JobKind.FOLLOW.value,
            col(JobRow.state).in_([JobState.READY.value, JobState.RUNNING.value]),
        )
        .values(ready_ms=tx.now_ms, rank_ms=_rank_ms_at(tx.now_ms))
    )


def _rank_ms_at(ready_ms: int) -> ColumnElement[int]:
    """`core.model.job_order.rank_ms_of` in SQL; without the casts PostgreSQL counts in 32 bits."""
    return literal(ready_ms, BigInteger) - cast(col(JobRow.priority), BigInteger) * AGE_PER_PRIORITY_MS


async def put_follow_job_back(tx: Tx, job: Job, ready_ms: int) -> None:
    """Return a follow job to the queue until `ready_ms`, or until now if it was woken meanwhile."""
    row = await tx.session.get(JobRow, job.id, populate_existing=True)
    woken = row is not None and row.ready_ms > to_ms(job.ready_at)
    await put_back(tx, job, tx.now_ms if woken else ready_ms, attempt=job.attempt + 1)


async def _forget_work(tx: Tx, job_ids: list[str]) -> None:
    """Remove what was kept for the next worker of these jobs, and what keeps models loaded for them."""
    await _unload_models(tx, job_ids)
    await tx.session.execute(delete(JournalRow).where(col(JournalRow.job_id).in_(job_ids)))


async def _unload_models(tx: Tx, job_ids: list[str]) -> None:
    """End the leases that keep models loaded for the next turn of these jobs."""
    from core.store import model_leases  # noqa: PLC0415 - its table is slow to build, and most commands end no job

    await model_leases.end_held(tx, job_ids)


async def _fenced(tx: Tx, job: Job, **values: Any) -> None:
    result = await tx.session.execute(update(JobRow).where(*_claim_of(job)).values(**values))
    if _rowcount(result) != 1:
        raise LostClaimError("lost_claim", f"job {job.id} was taken over or cancelled")


def _claim_of(job: Job) -> tuple[Any, ...]:
    """The conditions on the row that are true while the claim of `job` holds."""
    return (
        col(JobRow.id) == job.id,
        col(JobRow.fence) == job.fence,
        col(JobRow.owner) == job.owner,
        col(JobRow.state) == JobState.RUNNING.value,
    )


def _rowcount(result: object) -> int:
    return int(getattr(result, "rowcount", -1))


def job_of(row: JobRow) -> Job:
    """The job of a row."""
    return Job(
        id=row.id,
        number=row.number,
        revision=row.revision,
        kind=JobKind(row.kind),
        state=JobState(row.state),
        priority=row.priority,
        attempt=row.attempt,
        fence=row.fence,
        rescues=row.rescues,
        created_at=from_ms(row.created_ms),
        ready_at=from_ms(row.ready_ms),
        deadline_at=from_ms(row.deadline_ms) if row.deadline_ms is not None else None,
        rank_ms=row.rank_ms,
        owner=row.owner,
        needs=capabilities_of(row.capabilities),
        payload=row.payload,
        payload_version=row.payload_version,
    )


def capability_key(needs: Iterable[str]) -> str:
    """Capabilities as a job's row stores them: sorted, one a line, so that equal sets are equal texts."""
    return "\n".join(sorted(needs))


def capabilities_of(key: str) -> frozenset[str]:
    """The capabilities that `capability_key` wrote."""
    return frozenset(key.split("\n")) - {""}
