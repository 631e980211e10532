"""The claimer: takes the job that the scheduler puts first for this node, under a new fence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.model.job import Job
from core.model.placement import NodeView, rank
from core.store import claims, workers
from core.store.switches import paused
from core.store.unit_of_work import RunsTransactions, Tx, reads, writes

_TRIES: Final = 8
"""How many jobs of one reading are tried; when other workers took them all, what they left is read anew."""


@dataclass(frozen=True, slots=True)
class Claimer:
    """Claims jobs for one worker.

    The queue is read without a lock; only the compare-and-set that takes a job is in a transaction that writes.
    """

    database: RunsTransactions
    node: NodeView
    worker: str

    async def claim(self) -> Job | None:
        """The job that is now this worker's; None when there is none for it, or the queue is paused.

        Raises `TransientError` when the database cannot be reached.
        """
        while ranked := await self.next_ones():
            for job in ranked[:_TRIES]:
                claimed = await self._take(job)
                if claimed is not None:
                    return claimed
        return None

    @reads
    async def next_ones(self, tx: Tx) -> tuple[Job, ...]:
        """The jobs that this worker may take now, the one to take first at the front; none while it counts as dead."""
        if await paused(tx) is not None or not await claims.any_ready(tx):
            return ()
        if not await workers.is_alive(tx, self.worker):  # declared dead, and about to learn of it
            return ()
        return rank(await claims.candidates(tx, self.node), self.node, tx.now)

    @writes
    async def _take(self, tx: Tx, job: Job) -> Job | None:
        return await claims.take(tx, job, self.worker)
