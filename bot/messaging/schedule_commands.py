"""Recurring requests in chat: the commands about them, carried out for whoever speaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import bot.commands as c
from bot.cards.safe import one_line
from bot.cards.wording import render_advice
from bot.messaging.command_dispatcher import CommandActor
from bot.schedule.next_time import next_words
from bot.surfaces.port import Response
from core.model.advice import CommandName, Suggestion, advise
from core.model.errors import RefusedError
from core.model.schedule import Schedule
from core.services.schedules import Schedules, WantedSchedule

MOST_ROWS: Final = 20


@dataclass(frozen=True, slots=True)
class ChatSchedules:
    """What `bot.messaging.command_dispatcher.RecurringRequests` asks for."""

    schedules: Schedules

    async def do(self, speaker: CommandActor, command: c.Command) -> Response | None:
        """Carry out a command about recurring requests; None for any other."""
        match command:
            case c.Every():
                return await self._every(speaker, command)
            case c.ListSchedules():
                return await self._listed(speaker)
            case c.Unschedule(name):
                gone = await self.schedules.remove(name, speaker.actor)
                return Response(f"{gone.id} is deleted: {_words(gone)}")
            case c.PauseSchedule(name):
                paused = await self.schedules.pause(name, speaker.actor)
                resume = Suggestion(CommandName.RESUME_SCHEDULE, args=(paused.id,))
                told = advise(f"{paused.id} is paused. ", resume, " lets it go on.")
                return Response(render_advice(told, speaker.place.surface))
            case c.ResumeSchedule(name):
                resumed = await self.schedules.resume(name, speaker.actor)
                return Response(f"{resumed.id} goes on, {next_words(resumed)}.")
            case _:
                return None

    async def _every(self, speaker: CommandActor, command: c.Every) -> Response:
        """In a room that is for some repositories only, it must be one of them, as for any request."""
        repo = command.repo
        if speaker.room is not None:
            if repo is not None and repo not in speaker.room:
                mend = f"Here it is: {', '.join(speaker.room)}."
                raise RefusedError("not_here", f"{repo} is not asked for here", mend)
            repo = speaker.room[0] if repo is None and len(speaker.room) == 1 else repo
        made = await self.schedules.add(
            WantedSchedule(
                when=command.when,
                text=command.text,
                actor=speaker.actor,
                repo=repo,
                lane=command.lane,
                zone=command.zone,
                parameters=dict(command.parameters),
                place=speaker.place,
            )
        )
        told = advise(
            f"{made.id}: {made.phrase}, {next_words(made)}. ",
            Suggestion(CommandName.UNSCHEDULE, args=(made.id,)),
            " deletes it.",
        )
        return Response(render_advice(told, speaker.place.surface))

    async def _listed(self, speaker: CommandActor) -> Response:
        """The speaker's own; whose text is whose is nobody else's matter in a room."""
        mine = await self.schedules.list(speaker.person)
        if not mine:
            every = Suggestion(CommandName.EVERY, args=('"weekday 09:00"', "TEXT"))
            return Response(
                render_advice(
                    advise("You have no recurring requests. Add one with ", every, "."), speaker.place.surface
                )
            )
        lines = [f"{schedule.id}: {_words(schedule)}" for schedule in mine[:MOST_ROWS]]
        left = len(mine) - len(lines)
        return Response("\n".join([*lines, *([f"and {left} more"] if left > 0 else [])]))


def _words(schedule: Schedule) -> str:
    where = f" in {schedule.repo}" if schedule.repo else ""
    where += "".join(f" {name}={one_line(value, 40)}" for name, value in schedule.parameters.items())
    return f"{schedule.phrase} ({next_words(schedule)}){where}: {one_line(schedule.text, 120)}"
