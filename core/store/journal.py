"""The journal of a job: what is finished within a step, so that whoever takes the job over goes on from there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func
from sqlmodel import col, select

from core.model.job import Job
from core.store import jobs
from core.store.database import Database
from core.store.tables import JournalRow
from core.store.unit_of_work import Tx


class JobJournal:
    """`core.ports.Journal` of a claimed job, or of one part of its work. Every try of the job has the same entries."""

    def __init__(self, database: Database, job: Job, part: str = "") -> None:
        self._database, self._job, self._part = database, job, part

    async def recall(self) -> tuple[Mapping[str, Any], ...]:
        """Every entry so far, in order."""
        return await self._database.read(self._entries)

    async def add(self, entry: Mapping[str, Any]) -> None:
        """Append one entry, durable on return; raises `LostClaimError` when the claim is no longer ours."""

        async def work(tx: Tx) -> None:
            await jobs.hold(tx, self._job)
            rows = await tx.session.exec(select(func.max(JournalRow.n)).where(*self._of_part()))
            n = (rows.first() or 0) + 1
            tx.session.add(JournalRow(job_id=self._job.id, part=self._part, n=n, body=dict(entry), at_ms=tx.now_ms))

        await self._database.write(work)

    def part(self, name: str) -> JobJournal:
        """The journal of one part of the work, apart from the rest."""
        return JobJournal(self._database, self._job, f"{self._part}/{name}" if self._part else name)

    async def _entries(self, tx: Tx) -> tuple[Mapping[str, Any], ...]:
        rows = await tx.session.exec(select(JournalRow.body).where(*self._of_part()).order_by(col(JournalRow.n)))
        return tuple(rows)

    def _of_part(self) -> tuple[Any, ...]:
        return col(JournalRow.job_id) == self._job.id, col(JournalRow.part) == self._part
