"""The message router: finds who sent a message, which task it is about and which command it is, and dispatches it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bot.cards.problem_text import render_advice
from bot.commands import Command, InvalidCommand, Link, parse
from bot.interpret.courtesy import is_courtesy, sounds_like_approval
from bot.messaging.button_actions import ButtonActions
from bot.messaging.command_actor import CommandActor
from bot.messaging.command_dispatcher import CommandDispatcher
from bot.messaging.identities import CODE, IdentityDirectory
from bot.messaging.quotations import with_quoted
from bot.messaging.rate_limits import RateLimits
from bot.surfaces.port import ButtonPress, IncomingMessage, Response, Surface
from core.model.advice import BLANK, CommandName, Suggestion, advise
from core.model.place import RepositoryScope, ScopeOfPlace
from core.services.conversations import NO_TASK, Conversations, MessageSubject

_UNKNOWN: Final = advise(
    "Countersign does not know you yet. First write ", Suggestion(CommandName.LINK, args=(BLANK,)), " with your name."
)

UNKNOWN_ACCOUNT_S: Final = 3600.0
"""Minimum time between two answers to the same unknown account."""


@dataclass(slots=True)
class MessageRouter:
    """Routes what surfaces received; nothing here depends on the platform.

    `acknowledge` is called with each message of a known person before the work on it begins.
    """

    conversations: Conversations
    directory: IdentityDirectory
    surfaces: Mapping[str, Surface]
    commands: CommandDispatcher
    button_actions: ButtonActions
    limits: RateLimits
    scope_of: ScopeOfPlace
    acknowledge: Callable[[IncomingMessage], None] = lambda _message: None

    async def process(self, message: IncomingMessage | ButtonPress) -> Response:
        """Carry it out; the response is for its sender."""
        subject = NO_TASK
        if isinstance(message, IncomingMessage):
            subject = await self.conversations.subject_of(message.place, message.reply_to)
            if not message.addressed and not (subject.is_about_tasks and _may_be_for_us(message)):
                return Response()  # people talking to each other
        person = await self.directory.person(message.place.surface, message.identity)
        wait_s = self.limits.wait_s(person or f"{message.place.surface} {message.identity}")
        if person is None and wait_s:
            return Response()
        obstacle = await self.surfaces[message.place.surface].check_access(message)
        if obstacle is not None:
            return Response(obstacle, refused=True)
        if person is None:
            return await self._answer_unknown(message)
        if wait_s:
            return Response(
                f"You are sending messages too fast. Send it again in {max(1, round(wait_s))} s.", refused=True
            )
        return await self._process_for(person, message, subject)

    async def _process_for(
        self, person: str, message: IncomingMessage | ButtonPress, subject: MessageSubject
    ) -> Response:
        place = message.place
        scope = RepositoryScope(self.scope_of(place))
        speaker = CommandActor(person, place, message.identity, message.message_id, message.dedup, scope)
        if isinstance(message, ButtonPress):
            return await self.button_actions.press(speaker, message)
        self.acknowledge(message)
        complete = await self.surfaces[place.surface].complete_message(message)
        return await self._carry_out(speaker, complete, subject) if complete is not None else Response()

    async def _carry_out(self, speaker: CommandActor, message: IncomingMessage, subject: MessageSubject) -> Response:
        if not subject.is_about_tasks:
            speaker, message = await with_quoted(self.directory, speaker, message)
        command = parse(message.text, bound=subject.is_about_tasks)
        if isinstance(command, InvalidCommand) and command.is_number_missing:
            command = parse(message.text, bound=True)  # the tasks that are open here decide which one is meant
        if isinstance(command, InvalidCommand):
            return Response(command.sentence_on(speaker.place.surface), refused=True)
        return await self.commands.dispatch(speaker, command, subject.number, message.context)

    async def _answer_unknown(self, message: IncomingMessage | ButtonPress) -> Response:
        """Answer an unknown account: it may say whose it is, and nothing else."""
        surface = message.place.surface
        if isinstance(message, ButtonPress):
            await self._record_unknown(message)
            return Response(render_advice(_UNKNOWN, surface), refused=True)
        if not message.addressed:
            return Response()
        command: Command | InvalidCommand = parse(message.text, bound=False)
        if isinstance(command, Link) and command.name_or_code and not CODE.fullmatch(command.name_or_code):
            return await self.directory.claim(surface, message.identity, command.name_or_code, message.name)
        await self._record_unknown(message)
        if not self.limits.is_first_within(f"{surface} {message.identity}", UNKNOWN_ACCOUNT_S):
            return Response(refused=True)  # answered already: unknown accounts must not use up a chat's rate limit
        text = advise(
            f"I do not know you yet ({surface} {message.identity}). Write ",
            Suggestion(CommandName.LINK, args=(BLANK,)),
            " with your name as countersign.yaml has it, or ask its owner to add this id.",
        )
        return Response(render_advice(text, surface), refused=True)

    async def _record_unknown(self, message: IncomingMessage | ButtonPress) -> None:
        """Add a row to the audit trail; unknown accounts share one rate limit, so that they cannot fill it."""
        place = message.place
        if not self.limits.wait_s(f"unknown accounts on {place.surface}"):
            await self.directory.identities.record_stranger(place.surface, place.channel, message.identity)


def _may_be_for_us(message: IncomingMessage) -> bool:
    """Whether text in a task's thread that does not mention the bot can be meant for it.

    Text that mentions another person is not, nor is thanks or small talk.
    """
    if message.text.lstrip().startswith(("@", "<@")):
        return False
    return not is_courtesy(message.text) or sounds_like_approval(message.text)
