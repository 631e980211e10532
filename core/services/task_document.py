"""The task document of contract.md: everything about one task, as JSON and as the source of its cards."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from core.model.approval import Approval, QuorumStatus
from core.model.artifact import Artifact
from core.model.job import JobState
from core.model.lifecycle import State
from core.model.masking import Mask, masked, no_mask
from core.model.task import Task
from core.model.turn import SYSTEM, Actor, Turn
from core.rules.quorum import needs_of
from core.rules.visibility import visible_task
from core.rules.wait_reason import wait_reason
from core.settings import Settings, SettingsSource
from core.store import artifacts, queue_queries, tasks
from core.store.database import Database
from core.store.unit_of_work import Tx, reads

MAX_AWAITING: Final = 50
"""How many of the newest tasks of each state are searched for those that wait for a person."""
FILE_KEYS: Final = ("path", "status", "added", "removed", "old_mode", "mode")
"""The keys of a staged file in the document; the hashes in its digest stay with the revision."""


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """The place of a task's job in the queue: `position` 0 is running; `eta_s` is None if it is not known.

    `problem` says why the last attempt failed, and `next_try_at` when the next one may begin. `why` says what the job
    waits for, in a sentence; it is empty while the job waits for nothing.
    """

    position: int
    eta_s: int | None
    waits_for: int | None
    problem: str | None
    progress: str | None = None
    next_try_at: datetime | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class TaskDocument:
    """One task with all that belongs to it, read in one transaction."""

    task: Task
    turns: tuple[Turn, ...]
    approvals: tuple[Approval, ...]
    artifacts: tuple[Artifact, ...]
    needs: QuorumStatus | None
    queue: QueuePlace | None
    mask: Mask = no_mask

    def to_json(self) -> dict[str, Any]:
        """The document as contract.md specifies it, with secrets masked; keys may be added but not removed."""
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
            "making": self._provenance(),
            "model": self._model(),
            "parameters": masked(dict(task.parameters), self.mask),
            "read_by": task.current.intent.read_by if task.current.intent else "",
            "error": masked(task.error.to_json(), self.mask) if task.error else None,
        }

    def _provenance(self) -> dict[str, Any] | None:
        provenance = self.task.current.provenance
        return masked(provenance.to_json(), self.mask) if provenance else None

    def _model(self) -> dict[str, str] | None:
        """The model that made the change, and its own words about it, which prove nothing."""
        provenance = self.task.current.provenance
        if provenance is None or not (provenance.words or provenance.usage):
            return None
        name = provenance.usage[0].model if provenance.usage else provenance.executor
        return {"name": name, "words": self.mask(provenance.words)}

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
            "why": self.queue.why,
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
    """Reads the documents of tasks, within the scope of an actor."""

    database: Database
    settings: SettingsSource

    @reads
    async def document(self, tx: Tx, number: int, actor: Actor = SYSTEM) -> TaskDocument:
        """The document of task `number` as it is now; raises `NotFoundError`, also outside the actor's scope."""
        return await read_document(tx, self.settings(), await visible_task(tx, number, actor))

    @reads
    async def awaiting(self, tx: Tx, person: str) -> tuple[TaskDocument, ...]:
        """The tasks that wait for this person's verdict or answer, the oldest first of each state."""
        settings, awaiting = self.settings(), []
        for state in (State.STAGED, State.ASKING):
            for summary in reversed(await tasks.summaries(tx, state=state, limit=MAX_AWAITING)):
                document = await read_document(tx, settings, await tasks.load(tx, summary.number))
                if _awaits(document, person):
                    awaiting.append(document)
        return tuple(awaiting)


def _awaits(document: TaskDocument, person: str) -> bool:
    """Whether a staged task still needs this person's verdict, or an asking one was requested by them."""
    needs = document.needs
    if needs is not None and person in needs.of and person not in needs.have:
        return True
    return document.task.state is State.ASKING and document.task.requester == person


async def read_document(tx: Tx, settings: Settings, task: Task) -> TaskDocument:
    """The document of `task`, in the caller's transaction."""
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
    active = await queue_queries.queued_of(tx, number)
    if not active:
        return None
    queued = active[0]
    job, problem = queued.job, queued.problem
    why = await wait_reason(tx, queued)
    if job.state is JobState.RUNNING:
        return QueuePlace(0, None, None, problem, queued.progress, why=why)
    if job.state is JobState.WAITING:
        return QueuePlace(0, None, queued.after, problem, why=why)
    next_try_at = job.ready_at if problem else None
    position = await queue_queries.position_of(tx, job)
    return QueuePlace(position, None, None, problem, next_try_at=next_try_at, why=why)
