"""The output of running jobs, stored in bounded pieces only while someone looks at the task."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import delete, insert, select
from sqlmodel import col

from core.model.job import Job, JobKind, JobState
from core.model.job_output import OutputPiece
from core.store import jobs
from core.store.output_tables import JobOutputRow, OutputWatchRow
from core.store.tables import JobRow
from core.store.unit_of_work import Tx
from core.store.upsert import insert_into

MAX_PIECES: Final = 64
"""How many pieces of a job are kept, the newest ones."""
KEPT_MS: Final = 3600 * 1000
"""How long pieces are kept at least; the whole output is a file of the task once the work is over."""


async def watch(tx: Tx, number: int, until_ms: int) -> None:
    """Record that someone looks at the output of a task until then."""
    statement = insert_into(tx, OutputWatchRow).values(number=number, until_ms=until_ms)
    await tx.session.execute(
        statement.on_conflict_do_update(index_elements=["number"], set_={"until_ms": statement.excluded.until_ms})
    )


async def watched_until(tx: Tx, number: int) -> int:
    """Until when someone looks at the output of a task, in UTC milliseconds; 0 if no one ever did."""
    query = select(col(OutputWatchRow.until_ms)).where(col(OutputWatchRow.number) == number)
    return (await tx.session.execute(query)).scalar() or 0


async def add(tx: Tx, job: Job, pieces: Iterable[tuple[str, str]]) -> None:
    """Add pieces (name, masked text) of a claimed job, and drop what is too much or too old.

    Raises `LostClaimError` if the claim is lost.
    """
    await jobs.check_claim(tx, job)
    rows = [
        {"number": job.number, "job_id": job.id, "name": name, "text": text, "at_ms": tx.now_ms}
        for name, text in pieces
    ]
    await tx.session.execute(insert(JobOutputRow), rows)
    id_, of_job = col(JobOutputRow.id), col(JobOutputRow.job_id) == job.id
    last = (
        await tx.session.execute(select(id_).where(of_job).order_by(id_.desc()).offset(MAX_PIECES).limit(1))
    ).scalar()
    if last is not None:
        await tx.session.execute(delete(JobOutputRow).where(of_job, id_ <= last))
    await tx.session.execute(delete(JobOutputRow).where(col(JobOutputRow.at_ms) < tx.now_ms - KEPT_MS))
    await tx.session.execute(delete(OutputWatchRow).where(col(OutputWatchRow.until_ms) < tx.now_ms - KEPT_MS))


async def states_of_work(tx: Tx, number: int) -> set[JobState]:
    """The states of the jobs of a task that run or are ready, without the one that follows its pull request."""
    state = col(JobRow.state)
    query = select(state).where(
        col(JobRow.number) == number,
        state.in_((JobState.RUNNING.value, JobState.READY.value)),
        col(JobRow.kind) != JobKind.FOLLOW.value,
    )
    return {JobState(each) for each in (await tx.session.execute(query)).scalars()}


async def after(tx: Tx, number: int, last: int, limit: int) -> list[OutputPiece]:
    """The newest `limit` pieces of a task after the piece `last`, the oldest first; with 0 only of running jobs."""
    row = JobOutputRow
    query = select(col(row.id), col(row.name), col(row.text), col(row.at_ms)).where(
        col(row.number) == number, col(row.id) > last
    )
    if not last:
        running = select(col(JobRow.id)).where(
            col(JobRow.number) == number, col(JobRow.state) == JobState.RUNNING.value
        )
        query = query.where(col(row.job_id).in_(running))
    query = query.order_by(col(row.id).desc()).limit(limit)
    rows = (await tx.session.execute(query)).all()
    return [OutputPiece(id_, name, text, at_ms) for id_, name, text, at_ms in reversed(rows)]
