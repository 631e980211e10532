"""The task document of contract.md: everything about one task, as JSON and as what cards are drawn from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from core.model.approval import Approval, QuorumStatus
from core.model.artifact import Artifact
from core.model.job import Job, JobState
from core.model.lifecycle import State
from core.model.masking import Mask, masked, shows_all
from core.model.task import Task
from core.model.turn import SYSTEM, Actor, Turn
from core.rules.quorum import needs_of
from core.rules.visibility import visible_task
from core.settings import Settings, SettingsSource
from core.store import artifacts, queue_queries, tasks
from core.store.database import Database
from core.store.unit_of_work import Tx, reads

MAX_AWAITING: Final = 50
"""Tasks of each state among which those that wait for a person are looked for: the newest."""
FILE_KEYS: Final = ("path", "status", "added", "removed", "old_mode", "mode")
"""What the document says of a staged file; the hashes that its digest is made of stay with the revision."""


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """Where a task's job stands: `position` 0 is running; `eta_s` is None while nothing is known.

    `problem` says why the last try did not go through, and `next_try_at` when the next one may begin.
    """

    position: int
    eta_s: int | None
    waits_for: int | None
    problem: str | None
    progress: str | None = None
    next_try_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TaskDocument:
    """One task with all that belongs to it, read in one transaction."""

    task: Task
    turns: tuple[Turn, ...]
    approvals: tuple[Approval, ...]
    artifacts: tuple[Artifact, ...]
    needs: QuorumStatus | None
    queue: QueuePlace | None
    mask: Mask = shows_all

    def to_json(self) -> dict[str, Any]:
        """The document as contract.md fixes it; further keys may be added, none removed. It shows no secrets."""
        task = self.task
        return {
            "number": task.number,
            "state": task.state.value,
            "repo": task.repo,
            "requester": task.requester,
            "title": self.mask(task.title),
            "lane": task.current.lane,
            "rule": task.current.rule,
            "reason": task.current.reason,
            "revision": task.revision,
            "priority": task.priority,
            "deadline": task.deadline_at.isoformat() if task.deadline_at else None,
            "after": task.after,
            "created_at": task.created_at.isoformat(),
            "updated_at": task.updated_at.isoformat(),
            "expires_at": task.expires_at.isoformat() if task.expires_at else None,
            "queue": self._queue(),
            "question": masked(task.question.to_json(), self.mask) if task.question else None,
            "staged": self._staged(),
            "approvals": [{**approval.to_json(), "revision": approval.revision} for approval in self.approvals],
            "pull_request": task.pull_request.to_json() if task.pull_request else None,
            "turns": [turn.to_json() for turn in self.turns],
            "artifacts": [artifact.to_json() for artifact in self.artifacts],
            "making": self._making(),
            "model": self._model(),
            "parameters": masked(dict(task.parameters), self.mask),
            "read_by": task.current.intent.read_by if task.current.intent else "",
            "error": masked(task.error.to_json(), self.mask) if task.error else None,
        }

    def _making(self) -> dict[str, Any] | None:
        made = self.task.current.making
        return masked(made.to_json(), self.mask) if made else None

    def _model(self) -> dict[str, str] | None:
        """Which model made it, and what it says of its work: its own words, which prove nothing."""
        making = self.task.current.making
        if making is None or not (making.words or making.usage):
            return None
        name = making.usage[0].model if making.usage else making.executor
        return {"name": name, "words": self.mask(making.words)}

    def _queue(self) -> dict[str, Any] | None:
        if self.queue is None:
            return None
        return {
            "position": self.queue.position,
            "eta_s": self.queue.eta_s,
            "waits_for": self.queue.waits_for,
            "problem": self.queue.problem,
            "progress": self.queue.progress,
            "next_try_at": self.queue.next_try_at.isoformat() if self.queue.next_try_at else None,
        }

    def _staged(self) -> dict[str, Any] | None:
        if self.task.staged is None:
            return None
        shown = self.task.staged.to_json()
        shown["files"] = [{key: file[key] for key in FILE_KEYS} for file in self.task.staged.files]
        if self.task.staged.guard.blocked:  # what may be approved is shown as it is
            shown |= {key: masked(shown[key], self.mask) for key in ("files", "guard")}
        shown["needs"] = [self.needs.to_json()] if self.needs else []
        return shown


@dataclass(frozen=True, slots=True)
class TaskDocuments:
    """Reads the documents of tasks that exist for whoever asks."""

    database: Database
    settings: SettingsSource

    @reads
    async def document(self, tx: Tx, number: int, actor: Actor = SYSTEM) -> TaskDocument:
        """The document of task `number` as it is now; raises `NotFoundError`, also outside the actor's scope."""
        return await _document(tx, self.settings(), await visible_task(tx, number, actor))

    @reads
    async def awaiting(self, tx: Tx, person: str) -> tuple[TaskDocument, ...]:
        """The tasks that wait for this person's verdict or answer, the oldest first, at most `MAX_AWAITING`."""
        settings, awaiting = self.settings(), []
        for state in (State.STAGED, State.ASKING):
            for summary in reversed(await tasks.summaries(tx, state=state, limit=MAX_AWAITING)):
                document = await _document(tx, settings, await tasks.load(tx, summary.number))
                if _awaits(document, person):
                    awaiting.append(document)
        return tuple(awaiting)


def _awaits(document: TaskDocument, person: str) -> bool:
    """Whether a staged task still needs this person's verdict, or an asking one is theirs."""
    needs = document.needs
    if needs is not None and person in needs.of and person not in needs.have:
        return True
    return document.task.state is State.ASKING and document.task.requester == person


async def _document(tx: Tx, settings: Settings, task: Task) -> TaskDocument:
    number = task.number
    turns = await tasks.turns_of(tx, number)
    return TaskDocument(
        task=task,
        turns=tuple(replace(turn, text=settings.mask(turn.text)) for turn in turns),
        approvals=await tasks.approvals_of(tx, number),
        artifacts=await artifacts.of_task(tx, number),
        needs=await needs_of(tx, settings, task),
        queue=await _place(tx, number),
        mask=settings.mask,
    )


async def _place(tx: Tx, number: int) -> QueuePlace | None:
    mine: list[Job] = await queue_queries.active_of(tx, number)
    if not mine:
        return None
    job = mine[0]
    problem = await queue_queries.problem_of(tx, job.id)
    if job.state is JobState.RUNNING:
        return QueuePlace(0, None, None, problem, await queue_queries.progress_of(tx, job.id))
    if job.state is JobState.WAITING:
        return QueuePlace(0, None, await queue_queries.waits_for(tx, job.id), problem)
    again_at = job.ready_at if problem else None
    return QueuePlace(await queue_queries.position_of(tx, job), None, None, problem, next_try_at=again_at)
