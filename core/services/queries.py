"""Queries of people: the list of tasks, events, the queue, and artifacts. Nothing here writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from core.model.artifact import Artifact
from core.model.event import Event, canonical
from core.model.job import Job, JobState, QueuedJob
from core.model.lifecycle import RESTING, State
from core.model.masking import masked
from core.model.task import TaskSummary
from core.services.queue_control import QueuePause
from core.settings import SettingsSource
from core.store import events, queue_queries, switches, tasks
from core.store.artifacts import ArtifactFiles
from core.store.database import Database, to_ms
from core.store.unit_of_work import Tx, reads

MOST_JOBS: Final = 1000
"""The most jobs that are shown at once."""


@dataclass(frozen=True, slots=True)
class QueueView:
    """The unfinished jobs, and the pause if there is one."""

    paused: QueuePause | None
    jobs: tuple[QueuedJob, ...]

    def to_json(self) -> dict[str, Any]:
        """The document of ``queue --json``."""
        return {
            "paused": self.paused.to_json() if self.paused else None,
            "jobs": [queued.to_json() for queued in self.jobs],
        }


@dataclass(frozen=True, slots=True)
class TaskActivity:
    """A task's state and its unfinished jobs."""

    state: State
    jobs: tuple[Job, ...]

    def rests(self, attempts: int) -> bool:
        """Whether nothing happens without a person, or a job that waits for another attempt had `attempts` already."""
        is_stuck = any(job.state is JobState.READY and job.attempt > attempts for job in self.jobs)
        return is_stuck or (self.state in RESTING and not self.jobs)


@dataclass(frozen=True, slots=True)
class Queries:
    """Reads the database and the artifacts; secrets in texts of people and models are masked."""

    database: Database
    settings: SettingsSource
    files: ArtifactFiles

    @reads
    async def list(
        self, tx: Tx, *, state: State | None = None, limit: int, before: int | None = None
    ) -> tuple[TaskSummary, ...]:
        """The newest tasks first, at most `limit`; with `before` only those with a smaller number."""
        return tuple(await tasks.summaries(tx, state=state, limit=limit, before=before))

    @reads
    async def events(
        self, tx: Tx, *, after_id: int = 0, number: int | None = None, since: datetime | None = None
    ) -> tuple[Event, ...]:
        """Events after the one with the id `after_id`, oldest first, at most 1,000.

        Raises `NotFoundError` for a task `number` that does not exist.
        """
        if number is not None:
            await tasks.load(tx, number)
        since_ms = to_ms(since) if since else None
        page = await events.since(tx, after_id=after_id, number=number, since_ms=since_ms)
        return tuple(self._masked(event) for event in page)

    @reads
    async def last_event(self, tx: Tx, number: int) -> int:
        """The id of the newest event of task `number`; 0 for a task that does not exist."""
        return await events.last_id(tx, number)

    @reads
    async def newest_event(self, tx: Tx) -> int:
        """The id of the newest event of all tasks; 0 without any."""
        return await events.newest_id(tx)

    @reads
    async def queue(self, tx: Tx) -> QueueView:
        """The unfinished jobs, running ones first, at most `MOST_JOBS`."""
        jobs = await queue_queries.queue_line(tx, MOST_JOBS)
        return QueueView(QueuePause.from_json(await switches.paused(tx)), tuple(jobs))

    @reads
    async def activity(self, tx: Tx, number: int) -> TaskActivity:
        """The state and the unfinished jobs of task `number`; raises `NotFoundError`."""
        task = await tasks.load(tx, number)
        return TaskActivity(task.state, tuple(await queue_queries.active_of(tx, number)))

    async def artifact(self, artifact: Artifact) -> bytes:
        """The bytes of an artifact; raises `NotFoundError` or `PermanentError` if they are missing or changed."""
        return await self.files.read(artifact.sha256)

    def _masked(self, event: Event) -> Event:
        body: Mapping[str, Any] = json.loads(event.body)
        return replace(event, body=canonical(masked(body, self.settings().mask)))
