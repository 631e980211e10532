"""Records when the steps of a claimed job's workflow ran."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.jobs.job_context import JobContext
from core.model.job import Job
from core.model.step_time import StepTime
from core.store import step_times
from core.store.unit_of_work import Tx


@dataclass(frozen=True, slots=True)
class JobStepTimes:
    """The `StepReporter` of a claimed job, by the database's clock."""

    context: JobContext
    job: Job
    lane: str

    async def report(self, position: int, step: StepTime) -> None:
        """Record that a step just ended; its times are shifted so that it ended now."""

        async def add(tx: Tx) -> None:
            shifted = replace(step, started_ms=tx.now_ms - (step.ended_ms - step.started_ms), ended_ms=tx.now_ms)
            await step_times.add(tx, self.job, self.lane, position, shifted)

        await self.context.database.write(add)
