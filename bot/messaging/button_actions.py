"""Clicks: what a button means is looked up, never read from it; a stale one explains itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import bot.commands as c
from bot.cards.parts import ActionKind
from bot.cards.wording import problem_sentence, render_advice
from bot.messaging.command_dispatcher import CommandActor, CommandDispatcher
from bot.surfaces.port import ButtonPress, Response
from core.model.advice import CommandName, Suggestion, advise
from core.model.approval import Verdict
from core.model.task import Task
from core.store import cards, messages, notes, tasks
from core.store.cards import Button, DeliveredCard
from core.store.database import Database, Session
from core.store.messages import Choice

_UNKNOWN: Final = advise(
    "This button is not one of ours, or is older than we remember. See the task's card with ",
    Suggestion(CommandName.SHOW, args=("N",)),
    ".",
)
_NOT_YOURS: Final = "This question is for the person who asked. Write the command with the task's number."


@dataclass(slots=True)
class ButtonActions:
    """Carries out presses of buttons."""

    database: Database
    doings: CommandDispatcher

    async def click(self, speaker: CommandActor, said: ButtonPress) -> Response:
        """Do what the button stands for, if it is pressed where it was shown and still means something."""

        async def look(session: Session) -> tuple[Button | None, DeliveredCard | None, Task | None, Choice | None]:
            button = await cards.button(session, said.button)
            if button is None:
                return None, None, None, await messages.choice(session, said.button)
            card = await cards.get(session, button.card_id)
            return button, card, await tasks.load(session, button.number), None

        button, card, task, choice = await self.database.read(look)
        shown = (card.place if card else choice) or None
        if shown is None or (shown.surface, shown.channel) != (said.place.surface, said.place.channel):
            # another chat's button (security.md 5, 34)
            return Response(render_advice(_UNKNOWN, said.place.surface), refused=True)
        if choice is not None:
            return await self._chosen(speaker, choice)
        assert button is not None
        assert card is not None
        assert task is not None
        answer = await self._do(replace(speaker, place=card.place), said, button, card, task)
        return replace(answer, about=button.number)

    async def _chosen(self, speaker: CommandActor, choice: Choice) -> Response:
        """The answer to which task was meant: the command of whoever was asked, carried out for them alone."""
        if choice.identity != speaker.identity:
            return Response(_NOT_YOURS, refused=True)
        command = c.parse(choice.line, bound=False)
        assert not isinstance(command, c.InvalidCommand)
        return await self.doings.do(replace(speaker, dedup=choice.dedup), command, None)

    async def _do(
        self, speaker: CommandActor, said: ButtonPress, button: Button, card: DeliveredCard, task: Task
    ) -> Response:
        number, kind = button.number, ActionKind(button.kind)
        words = said.text.strip()
        if kind is ActionKind.APPROVE:
            return await self.doings.approve(speaker, number, button.value)
        if kind is ActionKind.REJECT and words:
            return await self.doings.reject(speaker, number, words, button.value)
        if kind is ActionKind.SHOW:
            await self.doings.showing.card(number, card.place, None)
            return Response(f"#{number} is now at revision {task.revision}; its card comes again below.")
        if button.revision != task.revision:
            current = f"#{number} is now at revision {task.revision}"
            return Response(f"This card shows revision {button.revision}; {current}.", refused=True)
        if kind in _FORMS and not words:
            return await self._form(speaker, kind, button, card)
        return await self.doings.do(speaker, _command(kind, number, words or button.value), number)

    async def _form(self, speaker: CommandActor, kind: ActionKind, button: Button, card: DeliveredCard) -> Response:
        """Ask for the words that a button wants, if whoever pressed it may do what it does: judged before they type."""
        if kind is ActionKind.REJECT:
            problem = await self.doings.verdicts.obstacle(button.number, speaker.actor, Verdict.REJECT, button.value)
            if problem is not None:
                return Response(problem_sentence(problem, card.place.surface), refused=True)
        else:
            await self.doings.service.check_speaking(button.number, speaker.actor, picks=kind is ActionKind.PICK)
        if kind is ActionKind.PICK:
            listed = await self.doings.do(speaker, c.Pick(button.number, ""), button.number)
            if listed.refused:
                return listed
            await self._tell(card, listed.text)
        return Response(_FORMS[kind], form=kind.value)

    async def _tell(self, card: DeliveredCard, words: str) -> None:
        """Say something below the card, for whoever fills in the form that follows."""

        async def work(session: Session) -> None:
            now_ms = await self.database.now_ms(session)
            await notes.add(session, card.place, words, now_ms, reply_to=card.message_id, number=card.number)

        await self.database.write(work)


def _command(kind: ActionKind, number: int, words: str) -> c.Command:
    """The command that a button spares people to type."""
    match kind:
        case ActionKind.REPLY | ActionKind.ANSWER:
            return c.Reply(number, words)
        case ActionKind.PICK:
            return c.Pick(number, words)
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
    ActionKind.REJECT: "Why not? Your reason is kept with the task, and is the next turn's context.",
    ActionKind.REPLY: "What should be different?",
    ActionKind.PICK: "Which parts stay? Give their numbers, such as 1,3-5.",
}
"""Buttons that want words first."""
