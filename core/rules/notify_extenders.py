"""Tells those who may extend a budget that a task asks for more, by a message that mentions them."""

from __future__ import annotations

from collections.abc import Sequence

from core.model.person import People
from core.rules.notify_approvers import MOST_AT_ONCE, account_of
from core.store import cards, notes
from core.store.unit_of_work import Tx


async def notify_extenders(tx: Tx, people: People, number: int, question: str, names: Sequence[str]) -> None:
    """Owe a message to every place that shows task `number`: its question, and who may answer it.

    Those who have an account on the surface of the place are mentioned; in a direct message no one is.
    """
    who = ", ".join(names[:MOST_AT_ONCE]) or "No one but the operator"
    text = f"#{number}: {question} {who} may extend it."
    for card in await cards.of_task(tx, number):
        mentions = []
        if not card.place.private:
            accounts = [(name, await account_of(tx, people, name, card.place)) for name in names[:MOST_AT_ONCE]]
            mentions = [(name, identity) for name, identity in accounts if identity]
        await notes.add(tx, card.place, text, reply_to=card.message_id, number=number, mentions=mentions)
