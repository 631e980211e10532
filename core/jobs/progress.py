"""How far a job is, as its cards show it while an executor works."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from core.jobs.job_context import JobContext
from core.model.job import Job
from core.store import cards, jobs
from core.store.unit_of_work import Tx

UPDATE_EVERY_S = 2.0
"""How often the cards may change while work goes on; reports in between are dropped."""
MAX_CHARS = 200


@dataclass(slots=True)
class JobProgress:
    """`core.ports.ProgressReporter` of a claimed job: the task's cards show the newest report."""

    context: JobContext
    job: Job
    _last_s: float = field(default=float("-inf"), init=False)

    async def __call__(self, words: str) -> None:
        """Show `words` on the cards, unless the last report is less than `UPDATE_EVERY_S` old."""
        if time.monotonic() - self._last_s < UPDATE_EVERY_S:
            return
        self._last_s = time.monotonic()
        line = " ".join(words.split())[:MAX_CHARS]

        async def work(tx: Tx) -> None:
            await jobs.tell(tx, self.job, line)
            await cards.redraw(tx, self.job.number)

        await self.context.database.write(work)
