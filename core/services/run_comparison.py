"""Runs compared: what two revisions cost, how long they took by phase, their checks and what they changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from core.model.errors import NotFoundError
from core.model.job import JobKind
from core.model.provenance import CheckResult, Usage, summed
from core.model.task import Revision
from core.model.turn import Actor
from core.model.worked import LeaseSpan, WorkedJob
from core.rules.visibility import visibility_of, visible_task
from core.services.task_work import TaskWork, TaskWorks
from core.settings import SettingsSource
from core.store import run_siblings
from core.store.database import Database
from core.store.unit_of_work import Tx, reads

MAX_SIBLINGS: Final = 20


@dataclass(frozen=True, slots=True)
class PhaseTimes:
    """How long the jobs of a run spent in each phase, in seconds."""

    queued_s: float = 0.0
    asks_s: float = 0.0
    model_s: float = 0.0
    works_s: float = 0.0

    @property
    def total_s(self) -> float:
        """All phases together."""
        return self.queued_s + self.asks_s + self.model_s + self.works_s


@dataclass(frozen=True, slots=True)
class RunFigures:
    """One run: a revision of a task with the jobs that worked on it."""

    number: int
    revision: Revision
    state: str
    phases: PhaseTimes
    tries: int
    rescues: int
    costs: tuple[Usage, ...]

    @property
    def name(self) -> str:
        """The run as people write it, such as ``12.2``."""
        return f"{self.number}.{self.revision.n}"

    @property
    def checks(self) -> tuple[CheckResult, ...]:
        """The results of the lane's checks."""
        return self.revision.provenance.checks if self.revision.provenance else ()

    @property
    def total(self) -> Usage:
        """What all models cost together."""
        whole = Usage("")
        for usage in self.costs:
            whole = whole.plus(usage)
        return whole


@dataclass(frozen=True, slots=True)
class RunComparisons:
    """Compares runs, and finds runs that are worth comparing, within the scope of an actor."""

    database: Database
    settings: SettingsSource
    works: TaskWorks

    async def of(self, number: int, revision: int, actor: Actor) -> RunFigures:
        """The figures of one run; raises `NotFoundError` if there is none, or if it is outside the actor's scope."""
        work = await self.works.of(number, actor)
        found = next((each for each in work.revisions if each.n == revision), None)
        if found is None:
            message = f"#{number} has no revision {revision}"
            raise NotFoundError("no_such_revision", message, "Choose one of its revisions.")
        return figures_of(work, found)

    @reads
    async def siblings(self, tx: Tx, number: int, actor: Actor) -> list[tuple[int, int]]:
        """The newest (task, revision) that the schedule of task `number` made, without itself; empty without one."""
        settings = self.settings()
        await visible_task(tx, settings, number, actor)
        visibility, rows = visibility_of(settings, actor), await run_siblings.of_schedule(tx, number, MAX_SIBLINGS)
        return [
            (each, revision)
            for each, revision, repo, scope, requester in rows
            if visibility.shows(repo, scope, requester)
        ]


def figures_of(work: TaskWork, revision: Revision) -> RunFigures:
    """The figures of one revision of a task."""
    jobs = [each for each in work.jobs if each.job.revision == revision.n and each.job.kind is not JobKind.FOLLOW]
    changes = [each.job for each in jobs if each.job.kind is JobKind.CHANGE]
    provenance = revision.provenance
    return RunFigures(
        number=work.task.number,
        revision=revision,
        state=work.task.state.value if revision.n == work.task.revision else "superseded",
        phases=_phases(jobs, work.leases, round(work.now.timestamp() * 1000)),
        tries=max([provenance.tries if provenance else 1, *(job.attempt for job in changes)]),
        rescues=sum(each.job.rescues for each in jobs),
        costs=summed(cost.usage for cost in work.costs if cost.revision == revision.n),
    )


def _phases(jobs: Sequence[WorkedJob], leases: Iterable[LeaseSpan], now_ms: int) -> PhaseTimes:
    begun = {each.job.id: each for each in jobs if each.claimed_ms is not None}
    queued = asks = model = whole = 0
    for each in begun.values():
        assert each.claimed_ms is not None
        queued += max(0, each.claimed_ms - round(each.job.ready_at.timestamp() * 1000))
        whole += max(0, (each.finished_ms or now_ms) - each.claimed_ms)
    for lease in leases:
        if lease.job in begun:
            end_ms = lease.ended_ms or begun[lease.job].finished_ms or now_ms
            granted_ms = lease.granted_ms if lease.granted_ms is not None else end_ms
            asks += max(0, granted_ms - lease.arrived_ms)
            model += max(0, end_ms - granted_ms)
    works = max(0, whole - asks - model)  # leases of parallel steps overlap
    return PhaseTimes(queued / 1000, asks / 1000, model / 1000, works / 1000)
