"""The claimer: claims the job that the scheduler puts first for this node, under a new fence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.model.job import Job
from core.model.job_order import NodeView, rank
from core.store import claims, workers
from core.store.switches import paused
from core.store.unit_of_work import RunsTransactions, Tx, reads, writes

_TRIES: Final = 8
"""How many jobs of one reading are tried; if other workers claimed them all, the queue is read again."""


@dataclass(frozen=True, slots=True)
class Claimer:
    """Claims jobs for one worker.

    The queue is read without a lock; only the compare-and-set that claims a job is in a transaction that writes.
    """

    database: RunsTransactions
    node: NodeView
    worker: str

    async def claim(self) -> Job | None:
        """Claim a job for this worker; None if there is none for it, or if the queue is paused.

        Raises `TransientError` if the database cannot be reached.
        """
        while ranked := await self.next_ones():
            for job in ranked[:_TRIES]:
                claimed = await self._take(job)
                if claimed is not None:
                    return claimed
        return None

    @reads
    async def next_ones(self, tx: Tx) -> tuple[Job, ...]:
        """The jobs that this worker may claim now, in order; none if it was declared dead."""
        if await paused(tx) is not None or not await claims.any_ready(tx):
            return ()
        if not await workers.is_alive(tx, self.worker):  # declared dead; its next heartbeat ends it
            return ()
        return rank(await claims.candidates(tx, self.node), self.node, tx.now)

    @writes
    async def _take(self, tx: Tx, job: Job) -> Job | None:
        return await claims.take(tx, job, self.worker)
