"""Clicks: what a button means is looked up, never read from it; a stale one explains itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

import bot.commands as c
from bot.cards.parts import ActionKind
from bot.cards.wording import worded
from bot.conversation.doings import Doings, Speaker
from bot.surfaces.port import Answer, Clicked
from core.advice import CommandName, Suggestion, advise
from core.store import cards, notes, tasks
from core.store.cards import Button, Posted
from core.store.database import Database, Session
from core.task import Task

_UNKNOWN = advise(
    "This button is not one of ours, or is older than we remember. See the task's card with ",
    Suggestion(CommandName.SHOW, args=("N",)),
    ".",
)


@dataclass(slots=True)
class Clicks:
    """Carries out presses of buttons."""

    database: Database
    doings: Doings

    async def click(self, speaker: Speaker, said: Clicked) -> Answer:
        """Do what the button stands for, if it is pressed where it was shown and still means something."""

        async def look(session: Session) -> tuple[Button | None, Posted | None, Task | None]:
            button = await cards.button(session, said.button)
            if button is None:
                return None, None, None
            return button, await cards.get(session, button.card_id), await tasks.load(session, button.number)

        button, card, task = await self.database.read(look)
        if button is None or card is None or task is None:
            return Answer(worded(_UNKNOWN, said.place.surface), refused=True)
        shown = (card.place.surface, card.place.channel)
        if shown != (said.place.surface, said.place.channel):  # another chat's button (security.md 5, 34)
            return Answer(worded(_UNKNOWN, said.place.surface), refused=True)
        return await self._do(replace(speaker, place=card.place), said, button, card, task)

    async def _do(self, speaker: Speaker, said: Clicked, button: Button, card: Posted, task: Task) -> Answer:
        number, kind = button.number, ActionKind(button.kind)
        words = said.text.strip()
        if kind is ActionKind.APPROVE:
            return await self.doings.approve(speaker, number, button.value)
        if kind is ActionKind.REJECT and words:
            return await self.doings.reject(speaker, number, words, button.value)
        if kind is ActionKind.SHOW:
            await self.doings.showing.card(number, card.place, None)
            return Answer(f"#{number} is now at revision {task.revision}; its card comes again below.")
        if button.revision != task.revision:
            current = f"#{number} is now at revision {task.revision}"
            return Answer(f"This card shows revision {button.revision}; {current}.", refused=True)
        if kind is ActionKind.PICK and not words:
            listed = await self.doings.do(speaker, c.Pick(number, ""), number)
            await self._tell(card, listed.text)
        if kind in _FORMS and not words:
            return Answer(_FORMS[kind], form=kind.value)
        return await self.doings.do(speaker, _command(kind, number, words or button.value), number)

    async def _tell(self, card: Posted, words: str) -> None:
        """Say something below the card, for whoever fills in the form that follows."""

        async def work(session: Session) -> None:
            now_ms = await self.database.now_ms(session)
            await notes.add(session, card.place, words, now_ms, reply_to=card.message_id)

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


_FORMS = {
    ActionKind.REJECT: "Why not? Your reason is kept with the task, and is the next turn's context.",
    ActionKind.REPLY: "What should be different?",
    ActionKind.PICK: "Which parts stay? Give their numbers, such as 1,3-5.",
}
"""Buttons that want words first."""
