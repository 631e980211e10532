"""When the steps of workflows ran: written as each one ends, read for one task and for the figures of a day."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from sqlalchemy import select
from sqlmodel import col

from core.model.job import Job, JobState
from core.model.step_time import StepEnd, StepTime
from core.store import jobs
from core.store.output_tables import StepTimeRow
from core.store.tables import JobRow
from core.store.unit_of_work import Tx
from core.store.upsert import insert_into

MAX_OF_TASK: Final = 500
_COLUMNS: Final = (
    StepTimeRow.job_id,
    StepTimeRow.step,
    StepTimeRow.needs,
    StepTimeRow.how,
    StepTimeRow.started_ms,
    StepTimeRow.ended_ms,
)


async def add(tx: Tx, job: Job, lane: str, position: int, step: StepTime) -> None:
    """Record when a step of a claimed job ran; a reused result does not replace the time in which it was made.

    Raises `LostClaimError` if the claim is lost.
    """
    await jobs.check_claim(tx, job)
    row = {
        "job_id": job.id,
        "step": step.name,
        "number": job.number,
        "revision": job.revision,
        "lane": lane,
        "position": position,
        "needs": list(step.needs),
        "how": step.how.value,
        "started_ms": step.started_ms,
        "ended_ms": step.ended_ms,
    }
    statement = insert_into(tx, StepTimeRow).values(**row)
    key = ["job_id", "step"]
    if step.how is StepEnd.REUSED:
        await tx.session.execute(statement.on_conflict_do_nothing(index_elements=key))
        return
    changed = {name: statement.excluded[name] for name in row if name not in key}
    await tx.session.execute(statement.on_conflict_do_update(index_elements=key, set_=changed))


async def of_task(tx: Tx, number: int) -> list[tuple[str, int, list[StepTime]]]:
    """(job, revision, steps) of each workflow that ran for a task, in the order in which they began."""
    columns = [*map(col, _COLUMNS), col(StepTimeRow.revision)]
    query = select(*columns).where(col(StepTimeRow.number) == number)
    query = query.order_by(col(StepTimeRow.job_id), col(StepTimeRow.position)).limit(MAX_OF_TASK)
    rows = (await tx.session.execute(query)).all()
    return [
        (job, group[0][6], [_step(row) for row in group])
        for job, group in ((job, list(rows)) for job, rows in groupby(rows, key=lambda row: str(row[0])))
    ]


async def of_jobs_finished(tx: Tx, from_ms: int, to_ms: int) -> list[tuple[str, str | None, list[StepTime]]]:
    """(lane, repository, steps) of each workflow whose job was done from `from_ms` to before `to_ms`."""
    query = (
        select(*map(col, _COLUMNS), col(StepTimeRow.lane), col(JobRow.repository))
        .join(JobRow, col(JobRow.id) == col(StepTimeRow.job_id))
        .where(col(JobRow.state) == JobState.DONE.value)
        .where(col(JobRow.finished_ms) >= from_ms, col(JobRow.finished_ms) < to_ms)
        .order_by(col(StepTimeRow.job_id), col(StepTimeRow.position))
    )
    rows = (await tx.session.execute(query)).all()
    groups = [list(group) for _, group in groupby(rows, key=lambda row: str(row[0]))]
    return [(str(group[0][6]), group[0][7], [_step(row) for row in group]) for group in groups]


def _step(row: Sequence[object]) -> StepTime:
    _, name, needs, how, started_ms, ended_ms = row[:6]
    assert isinstance(needs, list)
    assert isinstance(started_ms, int)
    assert isinstance(ended_ms, int)
    return StepTime(str(name), tuple(map(str, needs)), StepEnd(str(how)), started_ms, ended_ms)
