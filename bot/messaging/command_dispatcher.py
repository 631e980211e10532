"""The command dispatcher: carries out commands for people on any surface and answers in a sentence or two."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

import bot.commands as c
from bot.cards.problem_text import problem_sentence
from bot.messaging.command_actor import CommandActor
from bot.messaging.identities import IdentityDirectory
from bot.messaging.inventory_views import InventoryViews
from bot.messaging.queue_commands import QueueCommands
from bot.messaging.schedule_commands import ChatSchedules
from bot.messaging.task_choice import TaskChoice, TaskCommand
from bot.messaging.task_commands import TaskCommands, with_context
from bot.messaging.task_views import TaskViews
from bot.messaging.web_links import WebLinks
from bot.surfaces.port import Response
from core.model.errors import CountersignError, TransientError
from core.services.conversations import Conversations
from core.services.requests import NewRequest, Requests


@dataclass(frozen=True, slots=True)
class CommandDispatcher:
    """Carries out commands. Permissions are checked by `core.services` when a command runs, never here."""

    requests: Requests
    task_commands: TaskCommands
    views: TaskViews
    conversations: Conversations
    task_choice: TaskChoice
    queue_commands: QueueCommands
    schedules: ChatSchedules
    identities: IdentityDirectory
    inventory: InventoryViews
    web_links: WebLinks

    async def dispatch(
        self, speaker: CommandActor, command: c.Command, subject: int | None, context: str = ""
    ) -> Response:
        """Carry out `command`; `subject` is the task that the place or the answered message is about.

        If neither names a task and several are open here, the response asks which one is meant.
        """
        if isinstance(command, TaskCommand):
            return await self._dispatch_to_task(speaker, command, subject, context)
        match command:
            case c.Ask():
                response = await self._ask(speaker, command, context)
            case c.Progress(number=number, since=since):
                about = number or subject
                response = replace(await self.views.progress(about, since, speaker), about=about)
            case c.Queue():
                response = await self.views.queue(speaker)
            case c.ShowGpus():
                response = await self.inventory.gpus()
            case c.OpenWeb():
                response = await self.web_links.link(speaker)
            case c.Hold() | c.Release():
                response = await self.queue_commands.carry_out(speaker, command)
            case c.Move():
                response = await self.queue_commands.move(speaker, command, command.number or subject)
            case c.Help(topic=topic):
                response = Response(c.help_text(topic, speaker.place.surface), personal=True)
            case c.Link() | c.Unlink():
                response = await self.identities.carry_out(speaker.person, speaker.place.surface, command)
            case c.Every() | c.ListSchedules() | c.Unschedule() | c.PauseSchedule() | c.ResumeSchedule():
                response = await self.schedules.carry_out(speaker, command)
            case _:
                assert_never(command)
        return response

    async def _dispatch_to_task(
        self, speaker: CommandActor, command: TaskCommand, subject: int | None, context: str
    ) -> Response:
        """Carry out a command about one task; every response, refusals included, is bound to that task."""
        number = command.number if command.number is not None else subject
        if number is None:
            choice = await self.task_choice.choose(command, speaker)
            if isinstance(choice, Response):
                return choice
            number = choice
        await self.conversations.check_visible(number, speaker.actor)
        try:
            response = await self.task_commands.carry_out(speaker, command, number, context)
        except TransientError:
            raise
        except CountersignError as error:
            return Response(problem_sentence(error.problem, speaker.place.surface), refused=True, about=number)
        return replace(response, about=number)

    async def _ask(self, speaker: CommandActor, command: c.Ask, context: str) -> Response:
        await self.requests.ask(
            NewRequest(
                text=with_context(context, command.text),
                actor=speaker.actor,
                repo=command.repo,
                lane=command.lane,
                priority=command.priority,
                parameters=dict(command.parameters),
                dedup=speaker.dedup,
                place=speaker.place,
                reply_to=speaker.message_id,
                also_by=speaker.also_by,
            )
        )
        return Response()  # the card shows the outcome
