"""Which steps of a task's workflows decided their duration."""

from __future__ import annotations

from dataclasses import dataclass

from core.model.step_time import StepTime, critical_path
from core.model.turn import Actor
from core.rules.visibility import visible_task
from core.settings import SettingsSource
from core.store import step_times
from core.store.database import Database
from core.store.unit_of_work import Tx, reads


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """One run of a workflow's steps, up to an approval or its end; `critical` are the names on its critical path."""

    job: str
    revision: int
    steps: tuple[StepTime, ...]
    critical: frozenset[str]

    @property
    def begin_ms(self) -> int:
        """When its first step began."""
        return min(step.started_ms for step in self.steps)

    @property
    def end_ms(self) -> int:
        """When its last step ended."""
        return max(step.ended_ms for step in self.steps)


@dataclass(frozen=True, slots=True)
class StepTimes:
    """Reads when the steps of workflows ran, within the scope of an actor."""

    database: Database
    settings: SettingsSource

    @reads
    async def of(self, tx: Tx, number: int, actor: Actor) -> tuple[WorkflowRun, ...]:
        """The runs of workflows for task `number`; raises `NotFoundError`, also outside the actor's scope."""
        await visible_task(tx, self.settings(), number, actor)
        return tuple(
            WorkflowRun(job, revision, tuple(steps), frozenset(step.name for step in critical_path(steps)))
            for job, revision, steps in await step_times.of_task(tx, number)
        )
