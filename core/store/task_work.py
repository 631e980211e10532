"""What was worked on a task: its jobs with their leases, their cost and journal, and the tasks around it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import func
from sqlalchemy import select as select_columns
from sqlmodel import col, select

from core.model.place import RepositoryScope
from core.model.provenance import Usage
from core.model.worked import JournalEntry, LeaseSpan, LinkedTask, RevisionCost, WorkedJob
from core.store import jobs
from core.store.lease_table import ModelLeaseRow
from core.store.tables import JobRow, JournalRow, SpendingRow, TaskRow
from core.store.unit_of_work import Tx

MAX_JOBS: Final = 200
MAX_LEASES: Final = 1000


async def jobs_of(tx: Tx, number: int) -> list[WorkedJob]:
    """The newest `MAX_JOBS` jobs of a task, the oldest first."""
    query = select(JobRow).where(JobRow.number == number).order_by(col(JobRow.created_ms).desc(), col(JobRow.id).desc())
    rows = (await tx.session.exec(query.limit(MAX_JOBS))).all()
    return [
        WorkedJob(
            jobs.job_of(row),
            row.lane or "",
            row.claimed_ms,
            row.finished_ms,
            row.progress or "",
            str((row.error or {}).get("message") or ""),
        )
        for row in reversed(rows)
    ]


async def leases_of(tx: Tx, ids: Collection[str]) -> list[LeaseSpan]:
    """The first `MAX_LEASES` leases of these jobs, in the order in which they were asked for."""
    query = (
        select(ModelLeaseRow)
        .where(col(ModelLeaseRow.job).in_(ids), col(ModelLeaseRow.is_reservation).is_(False))
        .order_by(col(ModelLeaseRow.arrived_ms))
        .limit(MAX_LEASES)
    )
    return [
        LeaseSpan(row.job or "", row.model, row.arrived_ms, row.granted_ms, row.ended_ms)
        for row in await tx.session.exec(query)
    ]


async def costs_of(tx: Tx, number: int) -> list[RevisionCost]:
    """What each model cost in each revision of a task, reading the request included."""
    inputs, outputs = col(SpendingRow.input_tokens), col(SpendingRow.output_tokens)
    rows = await tx.session.execute(
        select_columns(
            col(JobRow.revision),
            col(SpendingRow.model),
            func.sum(col(SpendingRow.calls)),
            func.sum(inputs),
            func.sum(outputs),
            func.sum(col(SpendingRow.usd)),
        )
        .join(JobRow, col(JobRow.id) == col(SpendingRow.job_id))
        .where(col(SpendingRow.number) == number)
        .group_by(col(JobRow.revision), col(SpendingRow.model))
        .order_by(col(JobRow.revision), col(SpendingRow.model))
    )
    return [
        RevisionCost(revision, Usage(model, int(calls), int(read), int(wrote), None if usd is None else float(usd)))
        for revision, model, calls, read, wrote, usd in rows
    ]


async def journal_tail(tx: Tx, ids: Collection[str], limit: int) -> list[JournalEntry]:
    """The newest `limit` entries of the journals of these jobs, the oldest first."""
    query = (
        select(JournalRow)
        .where(col(JournalRow.job_id).in_(ids))
        .order_by(col(JournalRow.at_ms).desc(), col(JournalRow.n).desc())
        .limit(limit)
    )
    rows = (await tx.session.exec(query)).all()
    return [JournalEntry(row.job_id, row.part, row.n, row.at_ms, row.body) for row in reversed(rows)]


async def linked(tx: Tx, numbers: Collection[int]) -> list[LinkedTask]:
    """These tasks, by number."""
    return await _linked(tx, col(TaskRow.number).in_(numbers), len(numbers))


async def waiting_for(tx: Tx, numbers: Collection[int], limit: int) -> list[LinkedTask]:
    """At most `limit` tasks that wait, or waited, for one of these, by number."""
    return await _linked(tx, col(TaskRow.after).in_(numbers), limit)


async def _linked(tx: Tx, condition: Any, limit: int) -> list[LinkedTask]:
    query = select(TaskRow).where(condition).order_by(col(TaskRow.number)).limit(limit)
    return [
        LinkedTask(
            row.number or 0,
            row.title,
            row.state,
            row.after,
            row.if_failed or "",
            row.repo,
            RepositoryScope.from_json(row.scope),
            row.requester,
        )
        for row in await tx.session.exec(query)
    ]
