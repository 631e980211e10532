"""On which surface the tasks of jobs were requested."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlmodel import col

from core.store.tables import JobRow, TaskRow
from core.store.unit_of_work import Tx


async def surfaces_of(tx: Tx, job_ids: Collection[str]) -> dict[str, str]:
    """The surface on which the task of each job was requested."""
    query = select(col(JobRow.id), col(TaskRow.surface)).join(TaskRow, col(TaskRow.number) == col(JobRow.number))
    rows = await tx.session.execute(query.where(col(JobRow.id).in_(job_ids)))
    return {str(job): str(surface) for job, surface in rows}
