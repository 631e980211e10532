"""The task document of contract.md: everything about one task, as JSON and as the source of its cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from core.model.approval import Approval, QuorumStatus
from core.model.artifact import Artifact
from core.model.lifecycle import State
from core.model.masking import Mask, masked, no_mask
from core.model.task import Task
from core.model.turn import SYSTEM, Actor, Turn
from core.rules.budgets import people_who_may_extend
from core.rules.queue_place import QueuePlace, place_of
from core.rules.quorum import needs_of
from core.rules.visibility import visibility_of, visible_task
from core.settings import Settings, SettingsSource
from core.store import artifacts, queue_queries, tasks
from core.store.database import Database
from core.store.unit_of_work import Tx, reads

MAX_AWAITING: Final = 50
"""How many of the newest tasks of each state are searched for those that wait for a person."""
FILE_KEYS: Final = ("path", "status", "added", "removed", "old_mode", "mode")
"""The keys of a staged file in the document; the hashes in its digest stay with the revision."""


@dataclass(frozen=True, slots=True)
class TaskDocument:
    """One task with all that belongs to it, read in one transaction.

    `extenders` are those who may extend its budget, if it asks for that.
    """

    task: Task
    turns: tuple[Turn, ...]
    approvals: tuple[Approval, ...]
    artifacts: tuple[Artifact, ...]
    needs: QuorumStatus | None
    queue: QueuePlace | None
    mask: Mask = no_mask
    extenders: tuple[str, ...] = ()

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
            "if_failed": task.if_failed.value if task.if_failed else None,
            "created_at": task.created_at.isoformat(),
            "updated_at": task.updated_at.isoformat(),
            "expires_at": task.expires_at.isoformat() if task.expires_at else None,
            "queue": self.queue.to_json() if self.queue else None,
            "question": self._question(),
            "staged": self._staged(),
            "approvals": [{**approval.to_json(), "revision": approval.revision} for approval in self.approvals],
            "pull_request": task.pull_request.to_json() if task.pull_request else None,
            "turns": [turn.to_json() for turn in self.turns],
            "artifacts": [artifact.to_json() for artifact in self.artifacts],
            "making": self._provenance(),
            "model": self._model(),
            "parameters": masked(dict(task.parameters), self.mask),
            "picked": [part.to_json() for part in task.current.basis.picked],
            "read_by": task.current.intent.read_by if task.current.intent else "",
            "error": masked(task.error.to_json(), self.mask) if task.error else None,
        }

    def _question(self) -> dict[str, Any] | None:
        """The question; one for a larger budget also names who may extend it."""
        question = self.task.question
        if question is None:
            return None
        shown: dict[str, Any] = masked(question.to_json(), self.mask)
        if question.budget is not None:
            shown["budget"]["from"] = list(self.extenders)
        return shown

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
        return await read_document(tx, self.settings(), await visible_task(tx, self.settings(), number, actor))

    @reads
    async def awaiting(self, tx: Tx, person: str) -> tuple[TaskDocument, ...]:
        """The tasks that wait for this person's verdict or answer, the oldest first of each state."""
        settings, awaiting = self.settings(), list[TaskDocument]()
        visibility = visibility_of(settings, Actor(person))
        names = visibility.repositories.names
        for state in (State.STAGED, State.ASKING):
            for summary in reversed(await tasks.summaries(tx, state=state, limit=MAX_AWAITING, names=names)):
                task = await tasks.load(tx, summary.number)
                document = await read_document(tx, settings, task) if visibility.shows_task(task) else None
                if document is not None and _awaits(document, person):
                    awaiting.append(document)
        return tuple(awaiting)


def _awaits(document: TaskDocument, person: str) -> bool:
    """Whether a staged task needs this person's verdict, or an asking one was requested or may be extended by them."""
    needs = document.needs
    if needs is not None and person in needs.of and person not in needs.have:
        return True
    return document.task.state is State.ASKING and (document.task.requester == person or person in document.extenders)


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
        queue=await _place(tx, settings, number),
        mask=settings.mask,
        extenders=_extenders(settings, task),
    )


async def brief_documents(
    tx: Tx, settings: Settings, some: Sequence[Task], needs: Mapping[int, QuorumStatus | None]
) -> list[TaskDocument]:
    """The documents of tasks as lists need them, with two queries for all of them.

    They have the newest turn only, no artifacts and no place in the queue. `needs` are those of staged tasks.
    """
    numbers = [task.number for task in some]
    turns, approvals = await tasks.newest_turns(tx, numbers), await tasks.approvals_of_all(tx, numbers)
    return [
        TaskDocument(
            task=task,
            turns=tuple(replace(turn, text=settings.mask(turn.text)) for turn in _last(turns, task.number)),
            approvals=approvals.get(task.number, ()),
            artifacts=(),
            needs=needs.get(task.number),
            queue=None,
            mask=settings.mask,
            extenders=_extenders(settings, task),
        )
        for task in some
    ]


def _last(turns: Mapping[int, Turn], number: int) -> tuple[Turn, ...]:
    return (turns[number],) if number in turns else ()


def _extenders(settings: Settings, task: Task) -> tuple[str, ...]:
    """Who may extend the budget of a task that asks for it."""
    asks = task.question is not None and task.question.budget is not None
    return tuple(people_who_may_extend(settings, task)) if asks else ()


async def _place(tx: Tx, settings: Settings, number: int) -> QueuePlace | None:
    active = await queue_queries.queued_of(tx, number)
    return await place_of(tx, settings, active[0]) if active else None
