"""The rows of jobs: adding, ending, retrying and rescuing them; every write of a claimant compares its fence."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from sqlalchemy import Integer, String, and_, bindparam, case, delete, null, update
from sqlmodel import col, select

from core.model.change_result import ChangeResult
from core.model.errors import LostClaimError, Problem
from core.model.job import ACTIVE, Job, JobKind, JobState
from core.model.model_lease import LeaseState
from core.model.parking import LATER
from core.store import turns
from core.store.database import Database, from_ms, to_ms
from core.store.postgres_statements import POSTGRES_NOW_MS, PreparedStatement
from core.store.tables import JobRow, JournalRow, TaskRow
from core.store.unit_of_work import Tx


async def add(tx: Tx, row: JobRow) -> None:
    """Add a job to the queue, with the turn of its person, or parked until it is ready."""
    await turns.add_to_turns(tx, row)
    if row.state == JobState.READY.value and row.ready_ms > tx.now_ms:
        row.parked = LATER
    tx.session.add(row)
    await tx.session.flush()


async def held_by(tx: Tx, owner: str) -> set[str]:
    """The ids of the jobs that the worker `owner` holds."""
    rows = await tx.session.exec(select(JobRow.id).where(JobRow.owner == owner, turns.has_state(JobState.RUNNING)))
    return set(rows)


async def asked_by(tx: Tx, job_id: str) -> tuple[str | None, str | None]:
    """The person and the lane that a job works for, as far as they are known."""
    row = (await tx.session.execute(select(JobRow.person, JobRow.lane).where(JobRow.id == job_id))).first()
    return (row.person or None, row.lane) if row is not None else (None, None)


async def origin_of(tx: Tx, job_id: str) -> tuple[str, str]:
    """The lane of a job, as far as it is known, and the surface that its task came from."""
    query = select(JobRow.lane, TaskRow.surface).join(TaskRow, col(TaskRow.number) == col(JobRow.number))
    row = (await tx.session.execute(query.where(JobRow.id == job_id))).first()
    return (row[0] or "", row[1]) if row is not None else ("", "")


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


async def finish(database: Database, job: Job) -> None:
    """End a claimed job as done that owes nothing more, in a transaction of its own; raises `LostClaimError`."""
    if database.location.is_sqlite:
        await database.write(lambda tx: end(tx, job, JobState.DONE))
        return
    claim = {"b_id": job.id, "b_fence": job.fence, "b_owner": job.owner}
    if await database.write_first_row(_finish(), claim) is None:
        raise _lost(job)


@cache
def _finish() -> PreparedStatement:
    """`end` as one statement of PostgreSQL, in one round trip."""
    from core.store.lease_table import ModelLeaseRow  # noqa: PLC0415 - slow to build, and SQLite never needs it here

    of_claim = (
        col(JobRow.id) == bindparam("b_id", type_=String),
        col(JobRow.fence) == bindparam("b_fence", type_=Integer),
        col(JobRow.owner) == bindparam("b_owner", type_=String),
        turns.has_state(JobState.RUNNING),
    )
    over: dict[str, Any] = {
        "state": JobState.DONE.value,
        "finished_ms": POSTGRES_NOW_MS,
        "error": null(),
        "result": null(),
    }
    ended = update(JobRow).where(*of_claim).values(**over).returning(col(JobRow.id)).cte("ended")
    its_id = select(ended.c.id).scalar_subquery()
    held = col(ModelLeaseRow.job) == its_id, col(ModelLeaseRow.state) == LeaseState.HELD.value
    leases = update(ModelLeaseRow).where(*held).values(state=LeaseState.ENDED.value).cte("leases")
    journal = delete(JournalRow).where(col(JournalRow.job_id) == its_id).cte("forgotten")
    return PreparedStatement.of(select(ended.c.id).add_cte(leases, journal))


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
        parked=LATER if ready_ms > tx.now_ms else None,
        **turns.rank_at_least_now(tx.now_ms),
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
    row.state, row.ready_ms, row.parked = JobState.READY.value, tx.now_ms, LATER  # until it has its turn
    tx.session.add(row)
    await tx.session.flush()
    await turns.make_claimable(tx, [row.id])
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
    held = select(JobRow).where(col(JobRow.owner).in_(list(owners)), turns.has_state(JobState.RUNNING))
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
        row.parked = LATER  # until it has its turn
        tx.session.add(row)
    await tx.session.flush()
    await turns.make_claimable(tx, [row.id for row in rows])
    for row in rows:
        await tx.session.refresh(row)
    return [job_of(row) for row in rows]


async def release_waiting(tx: Tx, settled: Iterable[str]) -> int:
    """Make jobs ready whose dependency is in one of the states `settled`; returns their number."""
    ready = await tx.session.exec(
        select(JobRow.id)
        .join(TaskRow, and_(col(TaskRow.number) == col(JobRow.after)))
        .where(turns.has_state(JobState.WAITING), col(TaskRow.state).in_(list(settled)))
        .order_by(col(JobRow.created_ms), col(JobRow.id))
    )
    return await turns.make_claimable(tx, list(ready), ready_ms=tx.now_ms)


async def release_from(tx: Tx, number: int, after: int) -> bool:
    """Make the jobs of task `number` ready that wait for the task `after`; False if none does."""
    waiting = await tx.session.exec(
        select(JobRow.id).where(JobRow.number == number, JobRow.after == after, JobRow.state == JobState.WAITING.value)
    )
    return await turns.make_claimable(tx, list(waiting), ready_ms=tx.now_ms, after=None) > 0


async def wake_follow_job(tx: Tx, number: int) -> None:
    """Have a task's pull request polled now; a poll that is under way is followed by another."""
    parked = col(JobRow.parked)
    await tx.session.execute(
        update(JobRow)
        .where(
            col(JobRow.number) == number,
            col(JobRow.kind) == JobKind.FOLLOW.value,
            col(JobRow.state).in_([JobState.READY.value, JobState.RUNNING.value]),
        )
        .values(
            ready_ms=tx.now_ms,
            parked=case((parked == LATER, null()), else_=parked),
            **turns.rank_at_least_now(tx.now_ms),
        )
    )


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
        raise _lost(job)


def _lost(job: Job) -> LostClaimError:
    return LostClaimError("lost_claim", f"job {job.id} was taken over or cancelled")


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


def job_of(row: Any) -> Job:
    """The job of a row, or of what has its attributes."""
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
        parked=row.parked,
    )


def capability_key(needs: Iterable[str]) -> str:
    """Capabilities as a job's row stores them: sorted, one a line, so that equal sets are equal texts."""
    return "\n".join(sorted(needs))


def capabilities_of(key: str) -> frozenset[str]:
    """The capabilities that `capability_key` wrote."""
    return frozenset(key.split("\n")) if key else frozenset()
