"""Doings: each command carried out for a person, on any surface; the answer is one or two plain sentences."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import bot.commands as c
from bot.cards.safe import visible
from bot.cards.wording import problem_sentence, render_advice
from bot.interpret.courtesy import is_courtesy
from bot.interpret.grammar import NotUnderstood, parse
from bot.messaging.awaited_answers import AwaitedAnswers, is_shown_in
from bot.messaging.hunk_prompts import Repositories, parts_of, picked
from bot.messaging.identities import IdentityDirectory
from bot.messaging.task_choice import Numbered, TaskChoice
from bot.messaging.task_views import TaskViews
from bot.surfaces.port import Response
from core.model.advice import BLANK, CommandName, Suggestion, advise
from core.model.errors import ConflictError, CountersignError, RefusedError, TransientError, UsageError
from core.model.place import Place
from core.model.staged_diff import TYPED_DIGITS, short_digest
from core.model.turn import Actor, MessageOrigin
from core.services.approvals import Approvals
from core.services.requests import NewRequest, Requests
from core.settings import SettingsSource
from core.store import cards, switches, tasks
from core.store.database import Database, Session

MAINTAINER: Final = "maintainer"
MOST_PARTS: Final = 60
"""Hunks that are listed; more are picked from the numbers that the diff has."""


@dataclass(frozen=True, slots=True)
class CommandActor:
    """Who says something and where; `dedup` names the saying, so that what it does is done once.

    `room` are the repositories that the place is for, None where it is for all. `also_by` are people whose words are
    in what is said.
    """

    person: str
    place: Place
    identity: str
    message_id: str
    dedup: str
    room: tuple[str, ...] | None = None
    also_by: tuple[str, ...] = ()

    @property
    def actor(self) -> Actor:
        """The same, as the heart knows them."""
        return Actor(self.person, self.place.surface)

    @property
    def heard(self) -> MessageOrigin:
        """Where they are told what became of it later."""
        return MessageOrigin(self.place, self.message_id, self.identity)


class RecurringRequests(Protocol):
    """Requests that are made again and again."""

    async def do(self, speaker: CommandActor, command: c.Command) -> Response | None:
        """Carry out a command about schedules; None for any other."""


CommandAction = Callable[[CommandActor, Any, int | None, str], Awaitable[Response]]


@dataclass(slots=True)
class CommandDispatcher:
    """The commands. Who may do what is judged by the heart, at this moment, never here."""

    database: Database
    settings: SettingsSource
    service: Requests
    verdicts: Approvals
    showing: TaskViews
    repository: Repositories
    recurring: RecurringRequests | None = None
    accounts: IdentityDirectory | None = None
    which: TaskChoice = field(init=False)
    awaiting: AwaitedAnswers = field(init=False)

    def __post_init__(self) -> None:
        self.which, self.awaiting = TaskChoice(self.database), AwaitedAnswers(self.database)

    async def do(self, speaker: CommandActor, command: c.Command, bound: int | None, context: str = "") -> Response:
        """Carry out `command`; `bound` is the task that the place or the answered message is about.

        Where neither names a task and several are open here, the answer asks which one is meant.
        """
        doing = self._table().get(type(command))
        if isinstance(command, Numbered):
            number = command.number if command.number is not None else bound
            found = number if number is not None else await self.which.meant(command, speaker.place, speaker.room)
            return found if isinstance(found, Response) else await self._about(speaker, found, command, context)
        if doing is not None:
            return await doing(speaker, command, bound, context)
        if isinstance(command, c.Link | c.Unlink) and self.accounts is not None:
            return await self.accounts.do(speaker.person, speaker.place.surface, command)
        answer = await self.recurring.do(speaker, command) if self.recurring else None
        if answer is None:
            mend = advise("See what does with ", Suggestion(CommandName.HELP), ".")
            raise UsageError("not_here", "this command does not work here", mend)
        return answer

    async def _about(self, speaker: CommandActor, number: int, command: Numbered, context: str) -> Response:
        """Carry out a command about one task; what is said of it, a refusal too, stays bound to that task."""
        await self._seeable(speaker, number)
        try:
            answer = await self._table()[type(command)](speaker, replace(command, number=number), number, context)
        except TransientError:
            raise
        except CountersignError as error:
            return Response(problem_sentence(error.problem, speaker.place.surface), refused=True, about=number)
        return replace(answer, about=number)

    def _table(self) -> dict[type, CommandAction]:
        return {
            c.Ask: self._ask,
            c.Reply: self._reply,
            c.Retry: self._retry,
            c.Pick: self._pick,
            c.Approve: self._approve,
            c.Reject: self._reject,
            c.Cancel: self._cancel,
            c.Merge: self._merge,
            c.Undo: self._undo,
            c.Show: self._show,
            c.Diff: self._diff,
            c.Why: self._why,
            c.Progress: self._progress,
            c.Queue: self._queue,
            c.Hold: self._hold,
            c.Release: self._release,
            c.Help: self._help,
        }

    # -- turns ------------------------------------------------------------------------------------------------

    async def _ask(self, speaker: CommandActor, command: c.Ask, _bound: int | None, context: str) -> Response:
        repo = command.repo
        if speaker.room is not None:
            if repo is not None and repo not in speaker.room:
                raise RefusedError(
                    "not_here", f"{repo} is not asked for here", f"Here it is: {', '.join(speaker.room)}."
                )
            if repo is None and len(speaker.room) == 1:
                repo = speaker.room[0]
        await self.service.ask(
            NewRequest(
                text=_with(context, command.text),
                actor=speaker.actor,
                repo=repo,
                lane=command.lane,
                priority=command.priority,
                parameters=dict(command.parameters),
                dedup=speaker.dedup,
                place=speaker.place,
                reply_to=speaker.message_id,
                also_by=speaker.also_by,
            )
        )
        return Response()  # the card says it

    async def _reply(self, speaker: CommandActor, command: c.Reply, bound: int | None, context: str) -> Response:
        number = _given(bound)
        await self._say_more(speaker, number, _with(context, command.text))
        return Response()

    async def _retry(self, speaker: CommandActor, _command: c.Retry, bound: int | None, _context: str) -> Response:
        await self._say_more(speaker, _given(bound), "retry")
        return Response()

    async def _say_more(self, speaker: CommandActor, number: int, text: str) -> None:
        await self.service.reply(number, text, speaker.actor, dedup=speaker.dedup, heard=speaker.heard)
        await self._answer_in(speaker, number)

    async def _answer_in(self, speaker: CommandActor, number: int) -> None:
        """The card of what somebody says from elsewhere comes to where they said it."""

        async def work(session: Session) -> None:
            now_ms = await self.database.now_ms(session)
            if not await is_shown_in(session, number, speaker.place, exactly=False):
                await cards.bind(session, number, speaker.place, speaker.message_id, now_ms)

        await self.database.write(work)

    async def _pick(self, speaker: CommandActor, command: c.Pick, bound: int | None, _context: str) -> Response:
        """Keep only some hunks of what is staged; without any named, say what there is to pick from."""
        number = _given(bound)
        if not command.what:
            parts = await parts_of(self.database, self.repository, number)
            return Response("\n".join(visible(part.label) for part in parts[:MOST_PARTS]))
        where = (self.database, self.repository, self.service)
        await picked(*where, number, command.what, speaker.actor, speaker.dedup)
        await self._answer_in(speaker, number)
        return Response()

    # -- verdicts ---------------------------------------------------------------------------------------------

    async def _approve(self, speaker: CommandActor, command: c.Approve, bound: int | None, _context: str) -> Response:
        number = _given(bound)
        if not command.digest:
            raise UsageError(
                "no_digest",
                "an approval names the bytes it is for",
                advise(
                    "Write ",
                    Suggestion(CommandName.APPROVE, number),
                    f" and at least {TYPED_DIGITS} hex digits of the digest that the card shows.",
                ),
            )
        return await self.approve(speaker, number, command.digest, typed_in=speaker.place)

    async def approve(self, speaker: CommandActor, number: int, digest: str, typed_in: Place | None = None) -> Response:
        """Countersign a digest: the one that a button stands for, or what was typed in `typed_in`."""
        doing = self.verdicts.approve(number, digest, speaker.actor, typed_in)
        answer = await self.awaiting.told_later(speaker.heard, number, "approve", doing)
        if answer.problem is not None:
            await self.awaiting.not_told(speaker.heard, number, "approve")
            return Response(problem_sentence(answer.problem, speaker.place.surface), refused=True)
        return Response(f"You countersigned {short_digest(digest)} of #{number}.")

    async def _reject(self, speaker: CommandActor, command: c.Reject, bound: int | None, _context: str) -> Response:
        number = _given(bound)
        if not command.reason:
            mend = advise("Write ", Suggestion(CommandName.REJECT, number, (BLANK,)), ".")
            raise UsageError("no_reason", "a rejection says why", mend)
        return await self.reject(speaker, number, command.reason, None)

    async def reject(self, speaker: CommandActor, number: int, reason: str, digest: str | None) -> Response:
        """Say no, with a reason, to what is staged; with a digest only if that still is what is staged."""
        answer = await self.verdicts.reject(number, reason, speaker.actor, digest)
        if answer.problem is not None:
            return Response(problem_sentence(answer.problem, speaker.place.surface), refused=True)
        return Response(f"You rejected #{number}.")

    # -- the task's way ---------------------------------------------------------------------------------------

    async def _cancel(self, speaker: CommandActor, _command: c.Cancel, bound: int | None, _context: str) -> Response:
        number = _given(bound)
        await self.service.cancel(number, speaker.actor)
        return Response(f"#{number} is cancelled.")

    async def _merge(self, speaker: CommandActor, _command: c.Merge, bound: int | None, _context: str) -> Response:
        number = _given(bound)
        await self.awaiting.told_later(speaker.heard, number, "merge", self.service.merge(number, speaker.actor))
        return Response(f"#{number} is being merged.")

    async def _undo(self, speaker: CommandActor, _command: c.Undo, bound: int | None, _context: str) -> Response:
        number = _given(bound)
        doing = self.service.undo(number, speaker.actor, speaker.place)
        undo = await self.awaiting.told_later(speaker.heard, number, "undo", doing)
        if undo == number:
            return Response(f"The pull request of #{number} is being closed.")
        await self.awaiting.not_told(speaker.heard, number, "undo")  # the new task has a card here
        return Response(f"#{undo} takes #{number} back; it is approved like anything else.")

    # -- looking ----------------------------------------------------------------------------------------------

    async def _show(self, speaker: CommandActor, _command: c.Show, bound: int | None, _context: str) -> Response:
        number = _given(bound)
        await self.showing.card(number, speaker.place, speaker.message_id)
        return Response()

    async def _diff(self, speaker: CommandActor, command: c.Diff, bound: int | None, _context: str) -> Response:
        number = _given(bound)
        return await self.showing.diff(number, command.path, speaker.place, speaker.message_id)

    async def _why(self, speaker: CommandActor, _command: c.Why, bound: int | None, _context: str) -> Response:
        number = _given(bound)
        return await self.showing.why(number, speaker.place.surface)

    async def _progress(self, speaker: CommandActor, command: c.Progress, bound: int | None, _context: str) -> Response:
        number = command.number or bound
        if number is not None:
            await self._seeable(speaker, number)
        return replace(await self.showing.progress(number, command.since, speaker.person), about=number)

    async def _queue(self, _speaker: CommandActor, _command: c.Queue, _bound: int | None, _context: str) -> Response:
        return await self.showing.queue()

    async def _help(self, speaker: CommandActor, command: c.Help, _bound: int | None, _context: str) -> Response:
        return Response(c.help_text(command.topic, speaker.place.surface), personal=True)

    # -- the queue --------------------------------------------------------------------------------------------

    async def _hold(self, speaker: CommandActor, command: c.Hold, _bound: int | None, _context: str) -> Response:
        await self._pause(speaker, {"reason": command.reason, "by": speaker.person})
        told = advise(
            "The queue is held: what runs is finished, requests are still taken in. ",
            Suggestion(CommandName.RELEASE),
            " lets it go on.",
        )
        return Response(render_advice(told, speaker.place.surface))

    async def _release(self, speaker: CommandActor, _command: c.Release, _bound: int | None, _context: str) -> Response:
        await self._pause(speaker, None)
        return Response("The queue runs.")

    async def _pause(self, speaker: CommandActor, value: dict[str, Any] | None) -> None:
        person = self.settings().people.named(speaker.person)
        if MAINTAINER not in person.roles:
            raise RefusedError("may_not_hold", f"{person.name} is not a maintainer", "Ask one to hold the queue.")

        async def work(session: Session) -> None:
            now_ms = await self.database.now_ms(session)
            await switches.set_pause(session, value, now_ms, speaker.person)

        await self.database.write(work)

    # -- which task -------------------------------------------------------------------------------------------

    async def _seeable(self, speaker: CommandActor, number: int) -> None:
        """Raise for a task that a chat is not for: it cannot be touched from there."""
        task = await self.database.read(lambda session: tasks.load(session, number))
        if speaker.room is not None and task.repo is not None and task.repo not in speaker.room:
            raise ConflictError("not_here", f"#{number} is not about a repository of this place", "Ask elsewhere.")


def _given(number: int | None) -> int:
    """The task that a command is about, which is known before it is carried out."""
    assert number is not None
    return number


def _with(context: str, text: str) -> str:
    """What was said, with what it is about before it; a sentence that says all by itself, or nothing, stands alone."""
    if not context or is_courtesy(text) or not isinstance(parse(text), NotUnderstood):
        return text
    return f"{context}: {text}"
