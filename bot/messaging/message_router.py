"""Talk: what a message means here and now: who says it, about which task, and which command it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bot.cards.wording import render_advice
from bot.commands import Command, InvalidCommand, Link, parse
from bot.interpret.courtesy import is_courtesy, sounds_like_approval
from bot.messaging.button_actions import ButtonActions
from bot.messaging.command_dispatcher import CommandActor, CommandDispatcher
from bot.messaging.identities import CODE, IdentityDirectory
from bot.messaging.quotations import with_quoted
from bot.messaging.rate_limits import RateLimits
from bot.messaging.task_choice import TASK_THREADS
from bot.surfaces.port import ButtonPress, IncomingMessage, Place, Response, Surface
from core.model.advice import BLANK, CommandName, Suggestion, advise
from core.store import events, messages
from core.store.database import Database, Session

_UNKNOWN: Final = advise(
    "Countersign does not know you. First write ", Suggestion(CommandName.LINK, args=(BLANK,)), " with your name."
)

STRANGER_S: Final = 3600.0
"""How often one stranger is told that nobody knows them."""

ScopeOfPlace = Callable[[Place], tuple[str, ...] | None]
"""The repositories that a place is for; None where it is for all of them."""


@dataclass(frozen=True, slots=True)
class MessageSubject:
    """What a message is about: one task, or one of several, `here`, of which it does not say which."""

    number: int | None = None
    here: tuple[int, ...] = ()

    @property
    def is_about_tasks(self) -> bool:
        """True where words that are no command are a reply."""
        return bool(self.here)


NOTHING: Final = MessageSubject()


@dataclass(slots=True)
class MessageRouter:
    """Hears what the surfaces heard. It knows no platform: a surface says only who wrote what, where."""

    database: Database
    directory: IdentityDirectory
    surfaces: Mapping[str, Surface]
    doings: CommandDispatcher
    clicks: ButtonActions
    limits: RateLimits
    rooms: ScopeOfPlace
    seen: Callable[[IncomingMessage], None] = lambda _said: None

    async def hear(self, said: IncomingMessage | ButtonPress) -> Response:
        """Do what it asks; the answer is for who said it."""
        about = await self._about(said) if isinstance(said, IncomingMessage) else NOTHING
        if (
            isinstance(said, IncomingMessage)
            and not said.addressed
            and not (about.is_about_tasks and _may_be_for_us(said))
        ):
            return Response()  # people talking to each other
        person = await self.directory.person(said.place.surface, said.identity)
        wait_s = self.limits.wait_s(person or f"{said.place.surface} {said.identity}")
        if person is None and wait_s:
            return Response()
        obstacle = await self.surfaces[said.place.surface].check_access(said)
        if obstacle is not None:
            return Response(obstacle, refused=True)
        if person is None:
            return await self._stranger(said)
        if wait_s:
            return Response(f"That is a lot at once. Please say it again in {max(1, round(wait_s))} s.", refused=True)
        speaker = CommandActor(person, said.place, said.identity, said.message_id, said.dedup, self.rooms(said.place))
        if isinstance(said, ButtonPress):
            return await self.clicks.click(speaker, said)
        self.seen(said)
        whole = await self.surfaces[said.place.surface].complete_message(said)
        return await self._heard(speaker, whole, about) if whole is not None else Response()

    async def _heard(self, speaker: CommandActor, said: IncomingMessage, about: MessageSubject) -> Response:
        if not about.is_about_tasks:
            speaker, said = await with_quoted(self.directory, speaker, said)
        command = parse(said.text, bound=about.is_about_tasks)
        if isinstance(command, InvalidCommand) and command.is_number_missing:
            command = parse(said.text, bound=True)  # which one is meant can be seen from what is open here
        if isinstance(command, InvalidCommand):
            return Response(command.sentence_on(speaker.place.surface), refused=True)
        return await self.doings.do(speaker, command, about.number, said.context)

    async def _about(self, said: IncomingMessage) -> MessageSubject:
        """What a message is about: the task of the message of ours that it answers, else those of its thread.

        In a thread that began with a message of ours everything is about that one's task.
        """
        place = said.place
        answered = (said.reply_to, place.thread) if place.surface in TASK_THREADS else (said.reply_to,)

        async def look(session: Session) -> MessageSubject:
            for message in filter(None, answered):
                number = await messages.task_of(session, place.surface, place.channel, message)
                if number is not None:
                    return MessageSubject(number, (number,))
            if place.thread is None or place.surface not in TASK_THREADS:
                return NOTHING
            here = await messages.shown_in(session, place, whole_channel=False)
            return MessageSubject(here[0] if len(here) == 1 else None, tuple(here))

        return await self.database.read(look)

    async def _stranger(self, said: IncomingMessage | ButtonPress) -> Response:
        """Somebody we do not know: they may say who they are, and nothing else."""
        if isinstance(said, ButtonPress):
            await self._record_stranger(said)
            return Response(render_advice(_UNKNOWN, said.place.surface), refused=True)
        if not said.addressed:
            return Response()
        command: Command | InvalidCommand = parse(said.text, bound=False)
        if isinstance(command, Link) and command.what and not CODE.fullmatch(command.what):
            return await self.directory.claim(said.place.surface, said.identity, command.what, said.name)
        await self._record_stranger(said)
        if not self.limits.first(f"{said.place.surface} {said.identity}", STRANGER_S):
            return Response(refused=True)  # told already: strangers must not take the pace of a chat from its people
        told = advise(
            f"I do not know you yet ({said.place.surface} {said.identity}). Write ",
            Suggestion(CommandName.LINK, args=(BLANK,)),
            " with your name as countersign.yaml has it, or ask its owner to add this id.",
        )
        return Response(render_advice(told, said.place.surface), refused=True)

    async def _record_stranger(self, said: IncomingMessage | ButtonPress) -> None:
        """One row of the audit trail; strangers share one allowance, so that they cannot fill it."""
        if self.limits.wait_s(f"stranger on {said.place.surface}"):
            return

        async def work(session: Session) -> None:
            await events.append(
                session,
                number=events.SYSTEM,
                kind="stranger.refused",
                at_ms=await self.database.now_ms(session),
                surface=said.place.surface,
                body={"identity": said.identity, "channel": said.place.channel},
            )

        await self.database.write(work)


def _may_be_for_us(said: IncomingMessage) -> bool:
    """Whether words in a task's thread that do not call us can be meant for us.

    Not those that call somebody else, and not the thanks and talk of people among each other.
    """
    if said.text.lstrip().startswith(("@", "<@")):
        return False
    return not is_courtesy(said.text) or sounds_like_approval(said.text)
