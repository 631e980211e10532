"""Controlling the queue: pauses of all of it, of a lane or of a repository, and moving a task's job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.model.advice import CommandName, Suggestion, advise
from core.model.errors import ConflictError, NotFoundError, UsageError
from core.model.job import Job, JobState
from core.model.turn import Actor
from core.rules.authorization import Authorization
from core.rules.visibility import visibility_of, visible_task
from core.settings import SettingsSource
from core.store import cards, events, queue_queries, switches, turns
from core.store.database import Database
from core.store.unit_of_work import Tx, writes


@dataclass(frozen=True, slots=True)
class QueuePause:
    """Why the queue is paused, and who paused it; `by` is None for the local operator."""

    reason: str
    by: str | None

    def to_json(self) -> dict[str, Any]:
        """The ``paused`` object of ``queue --json``."""
        return {"reason": self.reason, "by": self.by}

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> QueuePause | None:
        """The stored pause; None if the queue is not paused."""
        return cls(str(value.get("reason") or ""), value.get("by")) if value else None


class PauseScopeKind(StrEnum):
    """What a pause is of, if it is not of the whole queue."""

    LANE = "lane"
    REPOSITORY = "repository"


@dataclass(frozen=True, slots=True)
class PauseScope:
    """A lane or a repository, by its name."""

    kind: PauseScopeKind
    name: str


def scope_of(lane: str | None, repository: str | None) -> PauseScope | None:
    """The lane or repository that is named; None if neither is. Raises `UsageError` if both are."""
    if lane is not None and repository is not None:
        raise UsageError("one_scope", "more than one thing is named", "Name one lane or one repository.")
    if lane is not None:
        return PauseScope(PauseScopeKind.LANE, lane)
    return PauseScope(PauseScopeKind.REPOSITORY, repository) if repository is not None else None


@dataclass(frozen=True, slots=True)
class ScopedPause:
    """The pause of a lane or a repository."""

    scope: PauseScope
    pause: QueuePause

    def to_json(self) -> dict[str, Any]:
        """The row of ``pauses`` in ``queue --json``."""
        return {"scope": self.scope.kind.value, "name": self.scope.name, **self.pause.to_json()}


class MoveTo(StrEnum):
    """Where a job is moved to."""

    FIRST = "first"
    BEFORE = "before"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class QueueMove:
    """A new place for a task's job: first, last, or before the job of the task `before`; `reason` may be empty."""

    to: MoveTo
    before: int | None = None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """The body of its event."""
        return {"to": self.to.value, "before": self.before, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class QueueControl:
    """Stops workers from claiming jobs, lets them claim again, and changes the order.

    Only maintainers and the local operator may do so; every method raises `RefusedError` for others, and
    `NotFoundError` for a lane, repository or task that is not there.
    """

    database: Database
    settings: SettingsSource

    @writes
    async def pause(self, tx: Tx, actor: Actor, reason: str, scope: PauseScope | None = None) -> QueuePause:
        """Pause the queue, or what is in `scope`: running jobs finish, no other starts, requests are accepted."""
        Authorization(self.settings).may_pause_queue(actor, "pause", self._own_repository(actor, scope))
        pause = QueuePause(reason, actor.person)
        await switches.set_pause(tx, pause.to_json(), actor.person, self._checked(scope))
        return pause

    @writes
    async def resume(self, tx: Tx, actor: Actor, scope: PauseScope | None = None) -> None:
        """Let workers claim jobs again; the pause of another scope stays."""
        Authorization(self.settings).may_pause_queue(actor, "resume", self._own_repository(actor, scope))
        named = (scope.kind.value, scope.name) if scope is not None else None
        if named is not None and named not in await switches.paused_scopes(tx):
            self._checked(scope)
            return
        await switches.set_pause(tx, None, actor.person, named)

    @writes
    async def move(self, tx: Tx, actor: Actor, number: int, move: QueueMove) -> None:
        """Move the waiting job of a task to another place in the order; raises `ConflictError` if it has begun."""
        Authorization(self.settings).may_pause_queue(actor, "reorder")
        task = await visible_task(tx, self.settings(), number, actor, lock=True)
        job = await self._waiting_job(tx, number)
        rank_ms = await self._rank_for(tx, actor, number, move)
        if not await turns.place(tx, job.id, rank_ms):
            raise _runs(number)
        await events.append(
            tx, number=task.number, kind="job.moved", person=actor.person, surface=actor.surface, body=move.to_json()
        )
        await cards.redraw(tx, number)

    async def _rank_for(self, tx: Tx, actor: Actor, number: int, move: QueueMove) -> int:
        ends = await turns.ends_of_line(tx)
        if move.to is not MoveTo.BEFORE:
            first, last = ends if ends is not None else (tx.now_ms, tx.now_ms)
            return first - 1 if move.to is MoveTo.FIRST else last + 1
        if move.before is None or move.before == number:
            raise UsageError("before_itself", f"#{number} cannot go before itself", "Name another task.")
        await visible_task(tx, self.settings(), move.before, actor)
        return (await self._waiting_job(tx, move.before)).rank_ms - 1

    async def _waiting_job(self, tx: Tx, number: int) -> Job:
        jobs = await queue_queries.active_of(tx, number)
        waiting = [job for job in jobs if job.state is JobState.READY]
        if waiting:
            return waiting[0]
        if any(job.state is JobState.RUNNING for job in jobs):
            raise _runs(number)
        if jobs:
            mend = advise("See what it waits for with ", Suggestion(CommandName.WHY, number), ".")
            raise ConflictError("waits_for_task", f"#{number} waits for another task, so it has no place yet", mend)
        raise ConflictError("not_queued", f"#{number} has no job in the queue", "Only a task that waits can be moved.")

    def _own_repository(self, actor: Actor, scope: PauseScope | None) -> str | None:
        """The repository that is to be paused, if it is one of the actor's; its own operators may pause it."""
        is_repository = scope is not None and scope.kind is PauseScopeKind.REPOSITORY
        if scope is None or not is_repository or not visibility_of(self.settings(), actor).teams.covers(scope.name):
            return None
        return scope.name

    def _checked(self, scope: PauseScope | None) -> tuple[str, str] | None:
        """The scope as it is stored; raises `NotFoundError` for a lane or repository that is not configured."""
        if scope is None:
            return None
        settings = self.settings()
        known = settings.lanes if scope.kind is PauseScopeKind.LANE else settings.repositories
        if scope.name not in known:
            mend = f"Known: {', '.join(sorted(known)) or 'none'}."
            message = f"no {scope.kind.value} called {scope.name!r} is configured"
            raise NotFoundError(f"no_such_{scope.kind.value}", message, mend)
        return scope.kind.value, scope.name


def _runs(number: int) -> ConflictError:
    mend = advise("Stop it with ", Suggestion(CommandName.CANCEL, number), ", or let it finish.")
    return ConflictError("runs_already", f"#{number} runs already, so it cannot be moved", mend)
