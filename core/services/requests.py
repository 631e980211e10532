"""What people do with tasks: ask, reply, pick, cancel, merge, undo. Each is one transaction: load, advance, save."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from core.model.errors import ConflictError
from core.model.intent import Intent
from core.model.lifecycle import START, Fact, State, advance
from core.model.limits import QueueKeys
from core.model.part_selection import PartSelection
from core.model.place import Place
from core.model.role import Role
from core.model.shorten import shortened
from core.model.task import FIRST_BASIS, Basis, FailureRule, Task
from core.model.turn import NOWHERE, Actor, MessageOrigin, TurnDraft
from core.ports.interpretation import Reader
from core.ports.reporting import Milestones
from core.rules.authorization import Authorization
from core.rules.basis import next_basis, picked_basis
from core.rules.conversation import notify_of_outcome, show_where_asked
from core.rules.visibility import requesting_actor, visible_task
from core.services.first_reading import FirstReading, ProposedReply
from core.services.request_checks import (
    check_dependency,
    check_lane,
    checked_parameters,
    checked_text,
    requested_repository,
)
from core.services.request_limits import check_request_limits
from core.settings import Settings, SettingsSource
from core.store import cards, events, jobs, queue_queries, tasks
from core.store.database import Database, to_ms
from core.store.tables import TaskRow
from core.store.transition import OwedWork, owed_job, take_step
from core.store.unit_of_work import Tx, reads, writes

_OVER: Final[Mapping[str, Any]] = {"digest": None, "question": None, "expires_ms": None, "nudge_ms": None}
"""The columns of a task that no longer waits for a person."""


@dataclass(frozen=True, slots=True)
class ScheduleRun:
    """Who ran a schedule outside its times."""

    schedule: str
    by: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRequest:
    """A new request. `dedup` is the surface's own id of the message, if it has one.

    `place` is where its card belongs, in reply to the message `reply_to`. `parameters` are the lane's parameters that
    it sets; missing ones are asked for. `also_by` are other people whose words are in the text. It starts once the task
    `after` is published; `if_failed` says what happens if that fails. `run_of` is the schedule that someone ran now.
    """

    text: str
    actor: Actor
    repo: str | None = None
    lane: str | None = None
    priority: int = 0
    deadline_at: datetime | None = None
    after: int | None = None
    if_failed: FailureRule | None = None
    dedup: str | None = None
    place: Place | None = None
    reply_to: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    also_by: tuple[str, ...] = ()
    run_of: ScheduleRun | None = None


class Requests:
    """Use cases on tasks: ask, reply, pick, cancel, merge, undo. Each commits, or raises and changes nothing."""

    def __init__(
        self,
        database: Database,
        settings: SettingsSource,
        milestones: Milestones,
        reader: Reader | None = None,
    ) -> None:
        """Without a `reader`, texts are not read before they change a task."""
        self.database = database
        self._settings = settings
        self._reading = FirstReading(reader, settings) if reader is not None else None
        self._authorization = Authorization(settings)
        self._milestones = milestones

    async def ask(self, request: NewRequest) -> int:
        """Accept a request; returns the new task's number, or the old one's for a redelivered message."""
        text = checked_text(request.text)
        check_dependency(request.after, request.if_failed)
        settings = self._settings()
        request = replace(request, repo=requested_repository(settings, request.actor, request.repo))
        self._authorization.check_role(request.actor, Role.REQUESTER, request.repo)
        check_lane(settings, request.actor, request.repo, request.lane)
        if self._reading is not None:
            self._reading.check_request(text, request.lane)
        columns = self._columns_of(request, settings, text)
        self._milestones.reached("ask.received")
        try:
            number = await self._begin_requested(request, columns, text)
        except ConflictError:
            if request.dedup is None:
                raise
            number = await self._begin_requested(request, columns, text)  # another delivery of the message was first
        self._milestones.reached("ask.committed", number=number)
        return number

    @writes
    async def _begin_requested(self, tx: Tx, request: NewRequest, columns: Mapping[str, Any], text: str) -> int:
        if request.dedup is not None:
            known = await tasks.task_of_message(tx, request.actor.surface or "", request.dedup)
            if known is not None:
                return known
        about = QueueKeys(columns["requester"], request.lane, request.repo)
        await check_request_limits(tx, self._settings(), about)
        if request.after is not None:
            await visible_task(tx, self._settings(), request.after, request.actor)
        number = await self._begin(
            tx,
            TaskRow(id=tx.new_id("task"), **columns, created_ms=tx.now_ms, updated_ms=tx.now_ms),
            request.actor,
            text,
            dedup=request.dedup,
            basis=replace(FIRST_BASIS, authors=request.also_by),
        )
        if request.place is not None:
            await cards.bind(tx, number, request.place, request.reply_to)
        if (run := request.run_of) is not None:
            await events.append(
                tx,
                number=events.SYSTEM,
                kind="schedule.run",
                person=run.by.person,
                surface=run.by.surface,
                body={"schedule": run.schedule, "of": columns["requester"], "task": number},
            )
        return number

    def _columns_of(self, request: NewRequest, settings: Settings, text: str) -> dict[str, Any]:
        """The columns of a new task without id and times; raises `UsageError` for parameters that the lane refuses."""
        return {
            "state": START.to.value,
            "repo": request.repo,
            "scope": requesting_actor(settings, request.actor).scope.to_json(),
            "requester": settings.people.named(request.actor.person or "").name,
            "surface": request.actor.surface or "",
            "title": Intent(text).titled(settings.mask),
            "asked_lane": request.lane,
            "parameters": checked_parameters(settings, request.lane, request.parameters) or None,
            "priority": request.priority,
            "after": request.after,
            "if_failed": request.if_failed.value if request.if_failed else None,
            "deadline_ms": to_ms(request.deadline_at) if request.deadline_at else None,
        }

    async def reply(
        self, number: int, text: str, actor: Actor, dedup: str | None = None, origin: MessageOrigin = NOWHERE
    ) -> Task:
        """Begin the next revision of a task with what `actor` wrote.

        A text that cannot begin one leaves the task unchanged: this raises if it asks for nothing, cannot be read, or
        is not allowed by policy. A job reads what only a model can read; its writer is notified at `origin` if that
        begins no revision. The task is shown there from now on, unless a card is there already.
        """
        return await self._speak(number, TurnDraft(checked_text(text), actor, dedup, origin), None)

    @reads
    async def check_speaking(self, tx: Tx, number: int, actor: Actor, *, picks: bool = False) -> None:
        """Raise if `actor` may not reply to a task now; used before they are asked for the text."""
        task = await visible_task(tx, self._settings(), number, actor)
        await self._authorization.check_speaking(tx, task, actor, picks=picks)

    async def pick(
        self,
        number: int,
        selection: PartSelection,
        actor: Actor,
        dedup: str | None = None,
        origin: MessageOrigin = NOWHERE,
    ) -> Task:
        """Begin the next revision of a task with only the selected parts (see `core.services.partial_changes`).

        Raises `ConflictError` if they are not parts of the current diff.
        """
        draft = TurnDraft(checked_text(f"pick {selection.words}"), actor, dedup, origin)
        return await self._speak(number, draft, selection)

    async def _speak(self, number: int, draft: TurnDraft, selection: PartSelection | None) -> Task:
        self._milestones.reached("reply.received", number=number)
        task = await self._begin_next_revision(number, draft, selection)
        self._milestones.reached("reply.committed", number=number)
        return task

    @writes
    async def _begin_next_revision(
        self, tx: Tx, number: int, draft: TurnDraft, selection: PartSelection | None
    ) -> Task:
        actor = draft.actor
        task = await visible_task(tx, self._settings(), number, actor, lock=True)
        if draft.dedup is not None and await tasks.task_of_message(tx, actor.surface or "", draft.dedup):
            return task
        await self._authorization.check_speaking(tx, task, actor, picks=selection is not None)
        n = len(await tasks.turns_of(tx, number)) + 1
        basis, intent, changes = (
            await next_basis(tx, self._settings(), task, draft, n)
            if selection is None
            else await picked_basis(tx, task, selection, n, actor.person or "")
        )
        await show_where_asked(tx, number, draft.origin)
        if selection is None and self._reading is not None:
            lane = str(changes.get("asked_lane") or task.asked_lane or "") or None
            if await self._reading.owe(tx, ProposedReply(task, draft, basis, n, lane)):
                return task
        # policy decides for the author: a picker may perhaps not write in the lane, and a retry adds nothing
        is_author = selection is None and (n in basis.turns or bool(changes.keys() - {"after"}))
        author = actor.person or "" if is_author else task.current.author
        step = await take_step(
            tx,
            task,
            Fact.REPLIED,
            actor=actor,
            body={"text": draft.text} | ({"picked": basis.picked[-1].to_json()} if selection else {}),
            changes={**_OVER, "error": None, **changes},
            owed=OwedWork(person=author),
        )
        assert step.new_revision
        await tasks.begin_revision(tx, number, task.revision + 1, tx.now_ms, author, basis, intent)
        await tasks.add_turn(tx, tasks.turn_row(number, n, task.revision + 1, draft, tx.now_ms))
        return await tasks.load(tx, number)

    @writes
    async def cancel(self, tx: Tx, number: int, actor: Actor) -> Task:
        """Stop a task that has not reached the forge; a published task returns to its published revision."""
        task = await visible_task(tx, self._settings(), number, actor, lock=True)
        self._authorization.may_stop(task, actor)
        if task.state is State.APPROVED and any(job.fence for job in await queue_queries.active_of(tx, number)):
            raise ConflictError(  # also while no worker has the job: a dead one may have pushed
                "being_published", f"#{number} is being published", "Undo it once it is published."
            )
        await take_step(tx, task, Fact.CANCELLED, actor=actor, changes=dict(_OVER))
        return await tasks.load(tx, number)

    @writes
    async def merge(self, tx: Tx, number: int, actor: Actor, origin: MessageOrigin = NOWHERE) -> Task:
        """Owe the merge of a published task's pull request; the writer at `origin` is notified of its outcome."""
        task = await visible_task(tx, self._settings(), number, actor, lock=True)
        self._authorization.check_role(actor, Role.APPROVER, task.repo)
        advance(task, Fact.MERGE_ASKED)
        opened = task.pull_request
        published = await tasks.revision_of(tx, number, opened.revision) if opened else None
        self._authorization.may_merge(task, published, actor)
        merging = await self._owe_once(tx, task, Fact.MERGE_ASKED, actor)
        await notify_of_outcome(tx, number, "merge", origin)
        return merging

    @writes
    async def undo(self, tx: Tx, number: int, actor: Actor, origin: MessageOrigin = NOWHERE) -> int:
        """Undo a task: a merged one by a new task that reverts it, a published one by closing its pull request.

        Returns the number of the task to look at next. A new task is shown at `origin`; the outcome of a closing is
        reported to the writer at `origin`.
        """
        task = await visible_task(tx, self._settings(), number, actor, lock=True)
        self._authorization.check_role(actor, Role.REQUESTER, task.repo)
        if task.state is State.PUBLISHED:
            self._authorization.may_stop(task, actor)
            await self._owe_once(tx, task, Fact.CLOSE_ASKED, actor)
            await notify_of_outcome(tx, number, "undo", origin)
            return number
        advance(task, Fact.UNDO_ASKED)
        undo = await self._begin_undo(tx, task, actor)
        if origin.place is not None:
            await cards.bind(tx, undo, origin.place, None)
        await take_step(tx, task, Fact.UNDO_ASKED, actor=actor, body={"undo": undo})
        return undo

    async def _begin_undo(self, tx: Tx, task: Task, actor: Actor) -> int:
        """Begin the task that reverts what `task` merged; returns its number."""
        number, merged = task.number, task.pull_request
        assert merged is not None
        undone = await tasks.revision_of(tx, number, merged.revision) or task.current
        # undoing an undo brings back the words of the first task's authors
        basis = Basis((1,)).written_by(task.authors_of(undone))
        row = TaskRow(
            id=tx.new_id("task"),
            state=START.to.value,
            repo=task.repo,
            scope=actor.scope.to_json(),
            requester=actor.person or task.requester,
            surface=actor.surface or task.surface,
            title=shortened(f"Undo #{number}: {task.title}", 72),
            asked_lane=undone.lane,
            created_ms=tx.now_ms,
            updated_ms=tx.now_ms,
        )
        intent = Intent(row.title, revert_of=merged.head)
        return await self._begin(tx, row, actor, f"undo #{number}", intent=intent, basis=basis)

    async def _begin(
        self,
        tx: Tx,
        row: TaskRow,
        actor: Actor,
        text: str,
        *,
        dedup: str | None = None,
        intent: Intent | None = None,
        basis: Basis = FIRST_BASIS,
    ) -> int:
        """Write a new task, its first turn, its first event and the job it owes."""
        number = await tasks.create(tx, row, intent, basis)
        draft = TurnDraft(text, Actor(row.requester, actor.surface), dedup)
        await tasks.add_turn(tx, tasks.turn_row(number, 1, 1, draft, tx.now_ms))
        await events.append(
            tx,
            number=number,
            kind="task.requested",
            person=row.requester,
            surface=actor.surface,
            body={"text": text, "state": row.state, "repo": row.repo},
        )
        task = await tasks.load(tx, number)
        for kind in START.owes:
            await jobs.add(tx, owed_job(tx, task, kind, 1, OwedWork()))
        return number

    async def _owe_once(self, tx: Tx, task: Task, fact: Fact, actor: Actor) -> Task:
        """Take a step that owes a job, unless the task has unfinished jobs."""
        step = advance(task, fact)
        active = {job.kind for job in await queue_queries.active_of(tx, task.number)}
        if active:
            raise ConflictError(
                "already_on_its_way",
                f"#{task.number} has unfinished work ({', '.join(sorted(active))})",
                "Look again in a moment.",
            )
        assert step.owes
        await take_step(tx, task, fact, actor=actor, changes={"error": None})
        return await tasks.load(tx, task.number)
