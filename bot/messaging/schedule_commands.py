"""Recurring requests in chat: the commands that add, list, pause, resume and delete them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import bot.commands as c
from bot.cards.problem_text import render_advice
from bot.cards.safe import one_line
from bot.messaging.command_actor import CommandActor
from bot.schedule.next_time import next_words
from bot.surfaces.port import Response
from core.model.advice import CommandName, Suggestion, advise
from core.model.schedule import Schedule
from core.services.schedules import Schedules, WantedSchedule

MAX_ROWS: Final = 20

ScheduleCommand = c.Every | c.ListSchedules | c.Unschedule | c.PauseSchedule | c.ResumeSchedule
"""Commands about recurring requests."""


@dataclass(frozen=True, slots=True)
class ChatSchedules:
    """Carries out commands about recurring requests in a conversation."""

    schedules: Schedules

    async def carry_out(self, speaker: CommandActor, command: ScheduleCommand) -> Response:
        """Carry out a command about recurring requests."""
        match command:
            case c.Every():
                return await self._add(speaker, command)
            case c.ListSchedules():
                return await self._list(speaker)
            case c.Unschedule(name):
                removed = await self.schedules.remove(name, speaker.actor)
                return Response(f"{removed.id} is deleted: {_describe(removed)}")
            case c.PauseSchedule(name):
                paused = await self.schedules.pause(name, speaker.actor)
                resume = Suggestion(CommandName.RESUME_SCHEDULE, args=(paused.id,))
                text = advise(f"{paused.id} is paused. ", resume, " resumes it.")
                return Response(render_advice(text, speaker.place.surface))
            case c.ResumeSchedule(name):
                resumed = await self.schedules.resume(name, speaker.actor)
                return Response(f"{resumed.id} is resumed, {next_words(resumed)}.")

    async def _add(self, speaker: CommandActor, command: c.Every) -> Response:
        added = await self.schedules.add(
            WantedSchedule(
                when=command.when,
                text=command.text,
                actor=speaker.actor,
                repo=command.repo,
                lane=command.lane,
                zone=command.zone,
                parameters=dict(command.parameters),
                place=speaker.place,
            )
        )
        text = advise(
            f"{added.id}: {added.phrase}, {next_words(added)}. ",
            Suggestion(CommandName.UNSCHEDULE, args=(added.id,)),
            " deletes it.",
        )
        return Response(render_advice(text, speaker.place.surface))

    async def _list(self, speaker: CommandActor) -> Response:
        """List the speaker's own recurring requests; those of others are not shown in a channel."""
        own = await self.schedules.list(speaker.actor, own=True)
        if not own:
            every = Suggestion(CommandName.EVERY, args=('"weekday 09:00"', "TEXT"))
            text = advise("You have no recurring requests. Add one with ", every, ".")
            return Response(render_advice(text, speaker.place.surface))
        lines = [f"{schedule.id}: {_describe(schedule)}" for schedule in own[:MAX_ROWS]]
        omitted = len(own) - len(lines)
        return Response("\n".join([*lines, *([f"and {omitted} more"] if omitted > 0 else [])]))


def _describe(schedule: Schedule) -> str:
    where = f" in {schedule.repo}" if schedule.repo else ""
    where += "".join(f" {name}={one_line(value, 40)}" for name, value in schedule.parameters.items())
    return f"{schedule.phrase} ({next_words(schedule)}){where}: {one_line(schedule.text, 120)}"
