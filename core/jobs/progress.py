"""Progress of a job, as its cards show it while an executor works."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from core.jobs.job_context import JobContext
from core.model.job import Job
from core.model.job_output import PROGRESS
from core.ports.reporting import IgnoredOutput, OutputReporter
from core.store import cards, jobs
from core.store.unit_of_work import Tx

UPDATE_EVERY_S = 2.0
"""The shortest time between two updates of the cards; reports in between are dropped."""
MAX_CHARS = 200


@dataclass(slots=True)
class JobProgress:
    """The `ProgressReporter` of a claimed job: the task's cards show the newest report."""

    context: JobContext
    job: Job
    output: OutputReporter = field(default_factory=IgnoredOutput)
    """Those who look are shown every report."""
    _last_s: float = field(default=float("-inf"), init=False)

    async def __call__(self, words: str) -> None:
        """Show `words` on the cards, unless the last report is less than `UPDATE_EVERY_S` old."""
        self.output.add(PROGRESS, f"{words}\n".encode())
        if time.monotonic() - self._last_s < UPDATE_EVERY_S:
            return
        self._last_s = time.monotonic()
        line = " ".join(words.split())[:MAX_CHARS]
        await self.context.database.write(lambda tx: self._show(tx, line))

    async def _show(self, tx: Tx, line: str) -> None:
        await jobs.set_progress(tx, self.job, line)
        await cards.redraw(tx, self.job.number)
