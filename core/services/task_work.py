"""What was worked on a task, for its page: revisions, jobs by phase, cost, what runs now, and its dependencies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from core.model.job import JobState
from core.model.masking import masked
from core.model.task import Revision, Task
from core.model.turn import Actor
from core.model.worked import JournalEntry, LeaseSpan, LinkedTask, RevisionCost, WorkedJob
from core.rules.visibility import visibility_of, visible_task
from core.settings import SettingsSource
from core.store import task_work, tasks
from core.store.database import Database
from core.store.unit_of_work import Tx, reads

MAX_LINKED: Final = 60
"""The most tasks of a graph of dependencies."""
MAX_JOURNAL: Final = 40
"""The most entries of what runs now."""


@dataclass(frozen=True, slots=True)
class TaskWork:
    """A task's revisions, jobs, leases and cost, the oldest first; `journal` is what its running jobs did last.

    `now` is the database's clock.
    """

    task: Task
    revisions: tuple[Revision, ...]
    jobs: tuple[WorkedJob, ...]
    leases: tuple[LeaseSpan, ...]
    costs: tuple[RevisionCost, ...]
    journal: tuple[JournalEntry, ...]
    now: datetime


@dataclass(frozen=True, slots=True)
class TaskGraph:
    """The tasks around one, by number: what it waits for, what waits for it, and so on; `is_cut`: there are more."""

    tasks: tuple[LinkedTask, ...]
    is_cut: bool


@dataclass(frozen=True, slots=True)
class TaskWorks:
    """Reads what was worked on tasks, within the scope of an actor; secrets in texts are masked."""

    database: Database
    settings: SettingsSource

    @reads
    async def of(self, tx: Tx, number: int, actor: Actor) -> TaskWork:
        """The work on task `number`; raises `NotFoundError`, also outside the actor's scope."""
        task = await visible_task(tx, self.settings(), number, actor)
        jobs, mask = await task_work.jobs_of(tx, number), self.settings().mask
        running = [each.job.id for each in jobs if each.job.state is JobState.RUNNING]
        entries = await task_work.journal_tail(tx, running, MAX_JOURNAL) if running else []
        return TaskWork(
            task=task,
            revisions=tuple(map(self._shown, await tasks.revisions_of(tx, number))),
            jobs=tuple(replace(each, progress=mask(each.progress), problem=mask(each.problem)) for each in jobs),
            leases=tuple(await task_work.leases_of(tx, [each.job.id for each in jobs])),
            costs=tuple(await task_work.costs_of(tx, number)),
            journal=tuple(replace(entry, body=masked(entry.body, mask)) for entry in entries),
            now=tx.now,
        )

    @reads
    async def graph(self, tx: Tx, number: int, actor: Actor) -> TaskGraph:
        """The tasks that task `number` depends on, and those that depend on it; raises as `of` does.

        Of tasks outside the actor's scope nothing is shown, not even that they exist.
        """
        await visible_task(tx, self.settings(), number, actor)
        found = {each.number: each for each in await task_work.linked(tx, [number])}
        above = found[number].after
        while above is not None and above not in found and len(found) < MAX_LINKED:
            rows = await task_work.linked(tx, [above])
            found |= {each.number: each for each in rows}
            above = rows[0].after if rows else None
        is_cut = above is not None and above not in found
        layer = [number]
        while layer and not is_cut:
            rows = await task_work.waiting_for(tx, layer, MAX_LINKED + 1 - len(found))
            fresh = [each for each in rows if each.number not in found]
            is_cut = len(found) + len(fresh) > MAX_LINKED
            found |= {each.number: each for each in fresh[: MAX_LINKED - len(found)]}
            layer = [each.number for each in fresh]
        visibility, mask = visibility_of(self.settings(), actor), self.settings().mask
        seen = [each for each in found.values() if visibility.shows(each.repo, each.scope, each.requester)]
        return TaskGraph(tuple(replace(each, title=mask(each.title)) for each in _by_number(seen)), is_cut)

    def _shown(self, revision: Revision) -> Revision:
        mask = self.settings().mask
        provenance = revision.provenance.masked(mask) if revision.provenance is not None else None
        return replace(revision, reason=mask(revision.reason), provenance=provenance)


def _by_number(found: Sequence[LinkedTask]) -> list[LinkedTask]:
    return sorted(found, key=lambda each: each.number)
