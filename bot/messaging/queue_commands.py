"""The commands that control the queue in a chat: pause, resume and move."""

from __future__ import annotations

from dataclasses import dataclass

import bot.commands as c
from bot.cards.problem_text import render_advice
from bot.messaging.command_actor import CommandActor
from bot.surfaces.port import Response
from core.model.advice import CommandName, Suggestion, advise
from core.model.errors import UsageError
from core.services.inventory import Inventory
from core.services.queue_control import MoveTo, PauseScope, PauseScopeKind, QueueControl, QueueMove

_KINDS = {"lane": PauseScopeKind.LANE, "repo": PauseScopeKind.REPOSITORY}


@dataclass(frozen=True, slots=True)
class QueueCommands:
    """Carries out the commands that pause, resume and reorder; `core.services` checks who may."""

    control: QueueControl
    inventory: Inventory

    async def carry_out(self, speaker: CommandActor, command: c.Hold | c.Release) -> Response:
        """Pause or resume what the command names."""
        if command.scope == "endpoint":
            return await self._carry_out_at_endpoint(speaker, command)
        scope = PauseScope(_KINDS[command.scope], command.name) if command.scope is not None else None
        what = f"The {scope.kind.value} {scope.name}" if scope is not None else "The queue"
        if isinstance(command, c.Release):
            await self.control.resume(speaker.actor, scope)
            return Response(f"{what} is running.")
        await self.control.pause(speaker.actor, command.reason, scope)
        args = (f"--{command.scope}", command.name) if scope is not None else ()
        text = advise(
            f"{what} is paused: running jobs finish, and requests are still accepted. ",
            Suggestion(CommandName.RELEASE, args=args),
            " resumes it.",
        )
        return Response(render_advice(text, speaker.place.surface))

    async def _carry_out_at_endpoint(self, speaker: CommandActor, command: c.Hold | c.Release) -> Response:
        if isinstance(command, c.Release):
            await self.inventory.resume(speaker.actor, command.name)
            return Response(f"{command.name} gets work again.")
        await self.inventory.drain(speaker.actor, command.name, command.reason)
        return Response(f"{command.name} gets no new work; what runs there finishes.")

    async def move(self, speaker: CommandActor, command: c.Move, number: int | None) -> Response:
        """Move the waiting job of task `number`."""
        if number is None:
            raise UsageError("which_task", "it is not clear which task to move", "Name its number.")
        move = QueueMove(MoveTo(command.to), command.before, command.reason)
        await self.control.move(speaker.actor, number, move)
        places = {MoveTo.FIRST: "before all others", MoveTo.LAST: "after all others"}
        where = places.get(move.to, f"before #{move.before}")
        return Response(f"#{number} goes {where} now.", about=number)
