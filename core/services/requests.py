"""What people do to tasks: ask, reply, cancel, merge, undo. Each is one transaction: load, advance, save."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from core.model.advice import CommandName, Suggestion, advise
from core.model.errors import ConflictError, UsageError
from core.model.intent import Intent
from core.model.lifecycle import START, Fact, State, advance
from core.model.place import Place
from core.model.shorten import shortened
from core.model.task import FIRST_BASIS, Basis, Task
from core.model.turn import NOWHERE, Actor, MessageOrigin, TurnDraft
from core.model.workflow import values_of
from core.ports import Milestones, Reader
from core.rules.authorization import Authorization
from core.rules.basis import next_basis, picked_basis
from core.services.first_reading import FirstReading, ProposedReply
from core.settings import Settings, SettingsSource
from core.store import cards, events, jobs, queue_queries, tasks
from core.store.database import Database, to_ms
from core.store.tables import TaskRow
from core.store.transition import OwedWork, owed_job, take_step
from core.store.unit_of_work import Tx

MAX_TEXT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRequest:
    """One request as it came in. `dedup` is the surface's own id of the message, where it has one.

    `place` is where its card belongs, in answer to the message `reply_to`. `parameters` are what it sets of its
    lane's; those that are missing are asked for. `also_by` are other people whose words are in the text.
    """

    text: str
    actor: Actor
    repo: str | None = None
    lane: str | None = None
    priority: int = 0
    deadline_at: datetime | None = None
    after: int | None = None
    dedup: str | None = None
    place: Place | None = None
    reply_to: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    also_by: tuple[str, ...] = ()


class Requests:
    """The doors' way to the heart. Every method commits, or raises and leaves everything as it was."""

    def __init__(
        self,
        database: Database,
        settings: SettingsSource,
        milestones: Milestones,
        reader: Reader | None = None,
    ) -> None:
        """Without a `reader` nothing is read before it changes a task."""
        self._database = database
        self._settings = settings
        self._reading = FirstReading(reader, settings) if reader is not None else None
        self._rights = Authorization(settings)
        self._milestones = milestones

    async def ask(self, request: NewRequest) -> int:
        """Take in a request; returns the new task's number, or the old one's for a redelivered message."""
        text = _checked_text(request.text)
        settings = self._settings()
        _check_names(settings, request)
        if self._reading is not None:
            self._reading.check_request(text, request.lane)
        row = self._row_of(request, settings, text)

        async def work(tx: Tx) -> int:
            if request.dedup is not None:
                seen = await tasks.turn_seen(tx, request.actor.surface or "", request.dedup)
                if seen is not None:
                    return seen
            if request.after is not None:
                await tasks.load(tx, request.after)
            number = await self._begin(
                tx,
                TaskRow(id=tx.new_id("task"), **row, created_ms=tx.now_ms, updated_ms=tx.now_ms),
                request.actor,
                text,
                dedup=request.dedup,
                basis=replace(FIRST_BASIS, authors=request.also_by),
            )
            if request.place is not None:
                await cards.bind(tx, number, request.place, request.reply_to)
            return number

        self._milestones.reached("ask.received")
        try:
            number = await self._database.write(work)
        except ConflictError:
            if request.dedup is None:
                raise
            number = await self._database.write(work)  # delivered twice at once, and the other one was faster
        self._milestones.reached("ask.committed", number=number)
        return number

    def _row_of(self, request: NewRequest, settings: Settings, text: str) -> dict[str, Any]:
        """The columns of a new task without id and times; raises `UsageError` for what the request may not set."""
        return {
            "state": START.to.value,
            "repo": request.repo or _only(settings.repositories),
            "requester": settings.people.named(request.actor.person or "").name,
            "surface": request.actor.surface or "",
            "title": Intent(text).titled(settings.mask),
            "asked_lane": request.lane,
            "parameters": _checked_parameters(settings, request) or None,
            "priority": request.priority,
            "after": request.after,
            "deadline_ms": to_ms(request.deadline_at) if request.deadline_at else None,
        }

    async def reply(
        self, number: int, text: str, actor: Actor, dedup: str | None = None, heard: MessageOrigin = NOWHERE
    ) -> Task:
        """Begin the next revision of a task with what `actor` said, once it is read.

        Words that can lead to no revision leave the task as it is: those that ask for nothing, that nobody can read,
        or that policy does not allow raise. What only a model can read is read by a job; `heard` is where its writer
        is told if nothing comes of it.
        """
        return await self._speak(number, text, actor, dedup, pick=None, heard=heard)

    async def check_speaking(self, number: int, actor: Actor, *, picks: bool = False) -> None:
        """Raise what keeps `actor` from saying more about a task now, before they are asked for the words."""

        async def look(tx: Tx) -> None:
            task = await tasks.load(tx, number)
            await self._rights.check_speaking(tx, task, actor, picks=picks)

        await self._database.read(look)

    async def pick(self, number: int, what: str, actor: Actor, dedup: str | None = None) -> Task:
        """Begin the next revision of a task with only what `what` names of the staged one (see `hunk_selection`)."""
        return await self._speak(number, f"pick {what}", actor, dedup, pick=what)

    async def _speak(
        self,
        number: int,
        text: str,
        actor: Actor,
        dedup: str | None,
        *,
        pick: str | None,
        heard: MessageOrigin = NOWHERE,
    ) -> Task:
        text = _checked_text(text)

        async def work(tx: Tx) -> Task:
            task = await tasks.load(tx, number, lock=True)
            if dedup is not None and await tasks.turn_seen(tx, actor.surface or "", dedup):
                return task
            await self._rights.check_speaking(tx, task, actor, picks=pick is not None)
            said = await tasks.turns_of(tx, number)
            n = len(said) + 1
            basis, intent, changes = (
                await next_basis(tx, task, text, n)
                if pick is None
                else await picked_basis(tx, task, pick, n, actor.person or "")
            )
            words = TurnDraft(text, actor, dedup, heard)
            if pick is None and self._reading is not None:
                lane = str(changes.get("asked_lane") or task.asked_lane or "") or None
                reply = ProposedReply(task, words, basis, n, lane)
                if await self._reading.owe(tx, reply):
                    return task
            # policy is asked about whom it let in: who may approve may pick, but perhaps not write in the lane; and who
            # has the same work done again wrote nothing of it
            writes = pick is None and (n in basis.turns or bool(changes))
            author = actor.person or "" if writes else task.current.author
            step = await take_step(
                tx,
                task,
                Fact.REPLIED,
                actor=actor,
                body={"text": text},
                changes={"digest": None, "question": None, "error": None, "expires_ms": None, **changes},
                owed=OwedWork(person=author),
            )
            assert step.new_revision
            await tasks.begin_revision(tx, number, task.revision + 1, tx.now_ms, author, basis, intent)
            await tasks.add_turn(tx, tasks.turn_row(number, n, task.revision + 1, words, tx.now_ms))
            return await tasks.load(tx, number)

        self._milestones.reached("reply.received", number=number)
        task = await self._database.write(work)
        self._milestones.reached("reply.committed", number=number)
        return task

    async def cancel(self, number: int, actor: Actor) -> Task:
        """Stop a task that has not reached the forge; a revision of a published task falls back to it."""

        async def work(tx: Tx) -> Task:
            task = await tasks.load(tx, number, lock=True)
            self._rights.may_stop(task, actor)
            if task.state is State.APPROVED and any(job.fence for job in await queue_queries.active_of(tx, number)):
                raise ConflictError(  # not only while somebody holds the job: a dead worker may have pushed
                    "being_published", f"#{number} is on its way to the forge", "Undo it once it is published."
                )
            changes = {"digest": None, "question": None, "expires_ms": None}
            await take_step(tx, task, Fact.CANCELLED, actor=actor, changes=changes)
            return await tasks.load(tx, number)

        return await self._database.write(work)

    async def merge(self, number: int, actor: Actor) -> Task:
        """Owe the merge of a published task's pull request."""

        async def work(tx: Tx) -> Task:
            task = await tasks.load(tx, number, lock=True)
            advance(task, Fact.MERGE_ASKED)
            opened = task.pull_request
            published = await tasks.revision_of(tx, number, opened.revision) if opened else None
            self._rights.may_merge(task, published, actor)
            return await self._owe_once(tx, task, Fact.MERGE_ASKED, actor)

        return await self._database.write(work)

    async def undo(self, number: int, actor: Actor, place: Place | None = None) -> int:
        """Take a task back: a merged one by a new task that reverts it, a published one by closing it.

        Returns the number of the task to look at next; a new one is shown in `place`.
        """

        async def work(tx: Tx) -> int:
            task = await tasks.load(tx, number, lock=True)
            if task.state is State.PUBLISHED:
                self._rights.may_stop(task, actor)
                await self._owe_once(tx, task, Fact.CLOSE_ASKED, actor)
                return number
            advance(task, Fact.UNDO_ASKED)
            assert task.pull_request is not None
            undone = await tasks.revision_of(tx, number, task.pull_request.revision) or task.current
            # taking back what took back somebody's words brings them in again
            basis = Basis((1,)).written_by(task.authors_of(undone))
            row = TaskRow(
                id=tx.new_id("task"),
                state=START.to.value,
                repo=task.repo,
                requester=actor.person or task.requester,
                surface=actor.surface or task.surface,
                title=shortened(f"Undo #{number}: {task.title}", 72),
                asked_lane=undone.lane,
                created_ms=tx.now_ms,
                updated_ms=tx.now_ms,
            )
            text = f"undo #{number}"
            intent = Intent(row.title, revert_of=task.pull_request.head)
            undo = await self._begin(tx, row, actor, text, intent=intent, basis=basis)
            if place is not None:
                await cards.bind(tx, undo, place, None)
            await take_step(tx, task, Fact.UNDO_ASKED, actor=actor, body={"undo": undo})
            return undo

        return await self._database.write(work)

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
        said_by = Actor(row.requester, actor.surface)
        await tasks.add_turn(tx, tasks.turn_row(number, 1, 1, TurnDraft(text, said_by, dedup), tx.now_ms))
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
        """Take a step that owes a job, unless that job is on its way already."""
        step = advance(task, fact)
        alive = {job.kind for job in await queue_queries.active_of(tx, task.number)}
        if alive:
            raise ConflictError(
                "already_on_its_way",
                f"#{task.number} has work on its way ({', '.join(sorted(alive))})",
                "Look again in a moment.",
            )
        assert step.owes
        await take_step(tx, task, fact, actor=actor, changes={"error": None})
        return await tasks.load(tx, task.number)


def _checked_text(text: str) -> str:
    text = text.strip()
    if not text:
        raise UsageError("empty", "nothing was asked", 'Say what to change, e.g. "set a.b to 1 in x.yaml".')
    if len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
        raise UsageError("too_long", f"the text is longer than {MAX_TEXT_BYTES} bytes", "Say it in fewer words.")
    if any(0xD800 <= ord(c) <= 0xDFFF for c in text) or "\0" in text:
        raise UsageError("not_text", "the text is not valid Unicode", "Type it again as UTF-8.")
    return text


def _check_names(settings: Settings, request: NewRequest) -> None:
    """Whether the repository and the lane that a request names are there; raises `UsageError`."""
    if request.repo is not None:
        settings.repository(request.repo)
    if request.lane is not None and request.lane not in settings.lanes:
        known = ", ".join(sorted(settings.lanes)) or "none"
        raise UsageError("no_such_lane", f"no lane called {request.lane!r} is configured", f"Known: {known}.")


def _checked_parameters(settings: Settings, request: NewRequest) -> dict[str, str]:
    """What the request sets, checked as far as its lane is known; raises `UsageError` naming what is wrong."""
    if not request.parameters:
        return {}
    if request.lane is None:
        mend = advise(
            "Name the lane that has them with --lane; see ",
            Suggestion(CommandName.LANES),
            ".",
            otherwise="Name the lane that has them with --lane.",
        )
        raise UsageError("which_lane", f"it is not clear whose parameter {next(iter(request.parameters))} is", mend)
    return values_of(request.lane, settings.lanes[request.lane].parameters, request.parameters, whole=False)


def _only(names: object) -> str | None:
    known = list(names) if isinstance(names, dict) else []
    return str(known[0]) if len(known) == 1 else None
