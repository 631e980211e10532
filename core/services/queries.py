"""Queries of people: the list of tasks, events, the queue, and artifacts. Nothing here writes."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from core.model.artifact import Artifact
from core.model.errors import NotFoundError
from core.model.event import Event, canonical
from core.model.job import Job, JobState
from core.model.lifecycle import RESTING, State
from core.model.masking import masked
from core.model.place import RepositoryScope
from core.model.task import TaskSummary
from core.model.turn import SYSTEM, Actor
from core.rules.visibility import Visibility, visibility_of, visible_task
from core.services.queue_control import PauseScope, PauseScopeKind, QueuePause, ScopedPause
from core.settings import SettingsSource
from core.store import artifacts, events, queue_queries, switches, task_work, tasks
from core.store.artifacts import ArtifactFiles
from core.store.database import Database, to_ms
from core.store.unit_of_work import Tx, reads

if TYPE_CHECKING:
    from core.rules.queue_places import QueueRow

MOST_JOBS: Final = 1000
"""The most jobs that are shown at once."""
MAX_EVENTS: Final = 1000
MAX_ROUNDS: Final = 20
"""How often a page of events is filled up that an actor may see only in part; it may stay shorter."""


@dataclass(frozen=True, slots=True)
class OtherTeamsJob:
    """That a job which an actor cannot see has a place in the queue, so that the places of theirs are true."""

    position: int
    is_running: bool


@dataclass(frozen=True, slots=True)
class QueueView:
    """The unfinished jobs with their places, and the pauses of all of them, of lanes and of repositories.

    `loading` is the model that each endpoint is loading, as ``endpoint/model``. `line` has the rows in order with what
    the actor cannot see between them; it is empty for one who sees all.
    """

    paused: QueuePause | None
    rows: tuple[QueueRow, ...]
    pauses: tuple[ScopedPause, ...] = ()
    loading: Mapping[str, str] = field(default_factory=dict)
    line: tuple[QueueRow | OtherTeamsJob, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The document of ``queue --json``; `others` are the jobs of other teams, which are only counted."""
        hidden = [each for each in self.line if isinstance(each, OtherTeamsJob)]
        waiting = sum(not each.is_running for each in hidden)
        return {
            "paused": self.paused.to_json() if self.paused else None,
            "pauses": [pause.to_json() for pause in self.pauses],
            "jobs": [row.to_json() for row in self.rows],
            "loading": dict(self.loading),
            "others": {"running": sum(each.is_running for each in hidden), "waiting": waiting},
        }


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events, and the id of the last one that was examined for them."""

    events: tuple[Event, ...]
    last_id: int


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
    async def visible_events(
        self,
        tx: Tx,
        actor: Actor,
        *,
        after_id: int = 0,
        number: int | None = None,
        since: datetime | None = None,
        limit: int = MAX_EVENTS,
    ) -> EventPage:
        """At most `limit` events after `after_id` of tasks that the actor can see, oldest first.

        Events of the whole system are left out for an actor who is limited to some repositories. Raises
        `NotFoundError` for a task `number` that the actor cannot see.
        """
        if number is not None:
            await visible_task(tx, self.settings(), number, actor)
        visibility = visibility_of(self.settings(), actor)
        since_ms, last_id, found = to_ms(since) if since else None, after_id, list[Event]()
        for _ in range(MAX_ROUNDS):
            rows = await events.since_with_task(
                tx, after_id=last_id, number=number, since_ms=since_ms, limit=limit - len(found)
            )
            last_id = rows[-1][0].id if rows else last_id
            found += [self._masked(row[0]) for row in rows if _sees(visibility, *row)]
            if not rows or len(found) == limit:
                break
        return EventPage(tuple(found), last_id)

    async def visible_numbers(self, numbers: Collection[int], actor: Actor) -> frozenset[int] | None:
        """Those of the tasks `numbers` that the actor can see; None for one who sees everything, without a look."""
        visibility = visibility_of(self.settings(), actor)
        return None if visibility.is_whole else await self._visible_numbers(numbers, visibility)

    @reads
    async def _visible_numbers(self, tx: Tx, numbers: Collection[int], visibility: Visibility) -> frozenset[int]:
        return await _visible_among(tx, numbers, visibility)

    @reads
    async def newest_event(self, tx: Tx) -> int:
        """The id of the newest event of all; 0 if there is none."""
        return await events.newest_id(tx)

    @reads
    async def last_event(self, tx: Tx, number: int) -> int:
        """The id of the newest event of task `number`; 0 for a task that does not exist."""
        return await events.last_id(tx, number)

    @reads
    async def queue(self, tx: Tx, actor: Actor = SYSTEM) -> QueueView:
        """The unfinished jobs of tasks that the actor can see, running ones first, of the first `MOST_JOBS`."""
        from core.rules.queue_places import rows_of  # noqa: PLC0415 - imports the scheduler and the tables of leases
        from core.store import model_loads  # noqa: PLC0415 - as above

        visibility = visibility_of(self.settings(), actor)
        line = await rows_of(tx, self.settings(), await queue_queries.queue_line(tx, MOST_JOBS))
        pause = QueuePause.from_json(await switches.paused(tx))
        pauses = tuple([each for each in await _scoped_pauses(tx) if _sees_pause(visibility, each.scope)])
        if visibility.is_whole:
            return QueueView(pause, line, pauses, await model_loads.loading(tx))
        own = await _visible_among(tx, {row.queued.job.number for row in line}, visibility)
        shown = tuple(row if row.queued.job.number in own else _hidden(row) for row in line)
        rows = tuple(row for row in line if row.queued.job.number in own)
        return QueueView(pause, rows, pauses, await model_loads.loading(tx), line=shown)

    @reads
    async def any_in_work(self, tx: Tx) -> bool:
        """Whether a job runs, or is due."""
        return await queue_queries.any_in_work(tx)

    @reads
    async def progress(self, tx: Tx) -> Mapping[int, str]:
        """How far the running jobs are, by the number of their task; only to see that it changed."""
        return await queue_queries.progress(tx)

    @reads
    async def activity(self, tx: Tx, number: int, actor: Actor = SYSTEM) -> TaskActivity:
        """The state and the unfinished jobs of task `number`; raises `NotFoundError`."""
        task = await visible_task(tx, self.settings(), number, actor)
        return TaskActivity(task.state, tuple(await queue_queries.active_of(tx, number)))

    @reads
    async def artifact_of(self, tx: Tx, number: int, revision: int, name: str, actor: Actor) -> Artifact:
        """The artifact of a task that the actor can see; raises `NotFoundError`."""
        await visible_task(tx, self.settings(), number, actor)
        artifact = await artifacts.find(tx, number, revision, name)
        if artifact is None:
            raise NotFoundError("no_such_artifact", f"#{number} has no such artifact in revision {revision}")
        return artifact

    async def artifact(self, artifact: Artifact) -> bytes:
        """The bytes of an artifact; raises `NotFoundError` or `PermanentError` if they are missing or changed."""
        return await self.files.read(artifact.sha256)

    def _masked(self, event: Event) -> Event:
        body: Mapping[str, Any] = json.loads(event.body)
        return replace(event, body=canonical(masked(body, self.settings().mask)))


async def _visible_among(tx: Tx, numbers: Collection[int], visibility: Visibility) -> frozenset[int]:
    rows = await task_work.linked(tx, numbers)
    return frozenset(each.number for each in rows if visibility.shows(each.repo, each.scope, each.requester))


def _hidden(row: QueueRow) -> OtherTeamsJob:
    return OtherTeamsJob(row.place.position, is_running=row.queued.job.state is JobState.RUNNING)


def _sees_pause(visibility: Visibility, scope: PauseScope) -> bool:
    """Whether a pause may be shown; lanes are of the whole home, and repositories of their team."""
    return scope.kind is not PauseScopeKind.REPOSITORY or visibility.teams.covers(scope.name)


async def _scoped_pauses(tx: Tx) -> tuple[ScopedPause, ...]:
    pauses = await switches.paused_scopes(tx)
    return tuple(
        ScopedPause(PauseScope(PauseScopeKind(kind), name), QueuePause(str(value.get("reason") or ""), value.get("by")))
        for (kind, name), value in pauses.items()
    )


def _sees(visibility: Visibility, event: Event, repo: str | None, scope: RepositoryScope, requester: str) -> bool:
    """Whether an event of a task in `repo`, or of the whole system, may be seen."""
    if event.number == events.SYSTEM:
        return visibility.is_whole
    return visibility.shows(repo, scope, requester)
