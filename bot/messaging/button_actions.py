"""Button actions: looks up a pressed button by its opaque id and carries out its command."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import bot.commands as c
from bot.cards.parts import ActionKind
from bot.cards.problem_text import problem_sentence
from bot.messaging.command_actor import CommandActor
from bot.messaging.command_dispatcher import CommandDispatcher
from bot.messaging.task_commands import TaskCommands
from bot.surfaces.port import ButtonPress, Response
from core.model.approval import Verdict
from core.model.card import Choice
from core.services.card_buttons import CardButtons, PressedButton
from core.services.note_outbox import NoteOutbox


@dataclass(frozen=True, slots=True)
class ButtonActions:
    """Carries out the actions of pressed buttons."""

    buttons: CardButtons
    notes: NoteOutbox
    commands: CommandDispatcher

    async def press(self, speaker: CommandActor, press: ButtonPress) -> Response:
        """Carry out a button's action, if it is pressed where it was shown and its card is current."""
        pressed = await self.buttons.pressed(press.button, press.place, speaker.identity, speaker.actor)
        if isinstance(pressed, Choice):
            return await self._choose(speaker, pressed)
        speaker = replace(speaker, place=pressed.card.place)
        response = await self._act(speaker, pressed, press.text.strip())
        return replace(response, about=pressed.button.number)

    async def _choose(self, speaker: CommandActor, choice: Choice) -> Response:
        """Carry out the command for the task that the person chose."""
        command = c.parse(choice.line, bound=False)
        assert not isinstance(command, c.InvalidCommand)
        return await self.commands.dispatch(replace(speaker, dedup=choice.dedup), command, None)

    async def _act(self, speaker: CommandActor, pressed: PressedButton, text: str) -> Response:
        button, task = pressed.button, pressed.task
        number, kind = button.number, ActionKind(button.kind)
        if kind is ActionKind.APPROVE:
            return await self._task_commands.approve(speaker, number, button.value)
        if kind is ActionKind.REJECT and text:
            return await self._task_commands.reject(speaker, number, text, button.value)
        if kind is ActionKind.SHOW:
            await self.commands.views.show_card(number, speaker, reply_to=None)
            return Response(f"#{number} is now at revision {task.revision}; its card is shown again below.")
        if button.revision != task.revision:
            current = f"#{number} is now at revision {task.revision}"
            return Response(f"This card shows revision {button.revision}; {current}.", refused=True)
        if kind is ActionKind.EXTEND:
            return await self._task_commands.extend(speaker, number, question=int(button.value))
        if kind in _FORMS and not text:
            return await self._ask_for_text(speaker, pressed, kind)
        return await self.commands.dispatch(speaker, _command(kind, number, text or button.value), number)

    async def _ask_for_text(self, speaker: CommandActor, pressed: PressedButton, kind: ActionKind) -> Response:
        """Ask for the text that a button needs; permissions are checked first, so that no text is typed in vain."""
        number = pressed.button.number
        if kind is ActionKind.REJECT:
            approvals = self._task_commands.approvals
            problem = await approvals.obstacle(number, speaker.actor, Verdict.REJECT, pressed.button.value)
            if problem is not None:
                return Response(problem_sentence(problem, speaker.place.surface), refused=True)
        else:
            picks = kind is ActionKind.PICK
            await self._task_commands.requests.check_speaking(number, speaker.actor, picks=picks)
        if kind is ActionKind.PICK:
            listed = await self.commands.dispatch(speaker, c.Pick(number, ""), number)
            if listed.refused:
                return listed
            await self.notes.add_below(pressed.card, listed.text)
        return Response(_FORMS[kind], form=kind.value)

    @property
    def _task_commands(self) -> TaskCommands:
        return self.commands.task_commands


def _command(kind: ActionKind, number: int, text: str) -> c.Command:
    """The command of a button."""
    match kind:
        case ActionKind.REPLY | ActionKind.ANSWER:
            return c.Reply(number, text)
        case ActionKind.PICK:
            return c.Pick(number, text)
        case ActionKind.DIFF:
            return c.Diff(number, None)
        case ActionKind.MERGE:
            return c.Merge(number)
        case ActionKind.UNDO:
            return c.Undo(number)
        case ActionKind.CANCEL:
            return c.Cancel(number)
        case _:
            return c.Why(number)


_FORMS: Final = {
    ActionKind.REJECT: "Why not? Your reason is saved with the task and given to the next attempt.",
    ActionKind.REPLY: "What should be different?",
    ActionKind.PICK: "Which parts stay? Give their numbers, such as 1,3-5.",
}
"""Buttons that need text first, and the question that asks for it."""
