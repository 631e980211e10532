"""Buttons: which ones a card has, what a pressed one stands for, and who may press it where.

A button is an opaque id; its action is looked up here. An Approve button exists only where the whole diff of its digest
was shown: a card with a truncated diff gets none until the diff was delivered beside it (security.md 42).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from core.model.advice import CommandName, Suggestion, advise
from core.model.approval import Verdict
from core.model.card import Button, Choice, DeliveredCard
from core.model.errors import NotFoundError, RefusedError
from core.model.place import Place
from core.model.task import Task
from core.model.turn import Actor
from core.rules.visibility import visible_task
from core.settings import SettingsSource
from core.store import cards, messages
from core.store.database import Database
from core.store.unit_of_work import Tx, reads, writes

ButtonKey = tuple[str, str]
"""The kind and the value of a button."""


@dataclass(frozen=True, slots=True)
class PressedButton:
    """A button of a card, with that card and its task as they are now."""

    button: Button
    card: DeliveredCard
    task: Task


def new_button_id() -> str:
    """An id that cannot be guessed: 22 characters, within the 64 bytes of Telegram."""
    return secrets.token_urlsafe(16)


@dataclass(frozen=True, slots=True)
class CardButtons:
    """Records the buttons of cards, and looks up pressed ones."""

    database: Database
    settings: SettingsSource

    @reads
    async def recorded(self, tx: Tx, card: DeliveredCard, revision: int) -> Mapping[ButtonKey, str]:
        """The ids that a card's buttons for this revision have already."""
        return await cards.known_buttons(tx, card, revision)

    @writes
    async def record(
        self, tx: Tx, card: DeliveredCard, revision: int, buttons: Mapping[ButtonKey, str], *, hides_diff: bool
    ) -> None:
        """Record new buttons of a card before it is shown; `hides_diff` says that the card omits a part of the diff.

        Such a card gets an Approve button only if the whole diff was delivered in its place. Raises `ConflictError`
        if another process recorded buttons for this revision meanwhile.
        """
        current = await cards.get(tx, card.id)
        for (kind, value), id_ in buttons.items():
            is_delivered = current is not None and current.delivered == value
            if kind == Verdict.APPROVE.value and hides_diff and not is_delivered:
                continue
            await cards.add_button(tx, Button(id_, card.id, card.number, revision, kind, value))

    @reads
    async def pressed(
        self, tx: Tx, button_id: str, place: Place, identity: str, actor: Actor
    ) -> PressedButton | Choice:
        """What a button that `identity` pressed in `place` stands for.

        Raises `NotFoundError` for an id that is not known in that channel (security.md 5, 34) and for a task outside
        the actor's scope, and `RefusedError` for a question to someone else.
        """
        button = await cards.button(tx, button_id)
        if button is None:
            return await self._choice(tx, button_id, place, identity)
        card = await cards.get(tx, button.card_id)
        if card is None or (card.place.surface, card.place.channel) != (place.surface, place.channel):
            raise _unknown_button()
        return PressedButton(button, card, await visible_task(tx, self.settings(), button.number, actor))

    async def _choice(self, tx: Tx, button_id: str, place: Place, identity: str) -> Choice:
        choice = await messages.choice(tx, button_id)
        if choice is None or (choice.surface, choice.channel) != (place.surface, place.channel):
            raise _unknown_button()
        if choice.identity != identity:
            mend = "Write the command with the task's number."
            raise RefusedError("not_yours", "this question is for someone else", mend)
        return choice


def _unknown_button() -> NotFoundError:
    mend = advise("See the task's card with ", Suggestion(CommandName.SHOW, args=("N",)), ".")
    return NotFoundError("no_such_button", "this button is not known here, or is too old", mend)
