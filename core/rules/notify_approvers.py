"""Notifies those who may approve a revision that it waits for them, once each, by a message that mentions them."""

from __future__ import annotations

from typing import Final

from core.model.approval import QuorumStatus
from core.model.person import People
from core.model.place import Place
from core.model.task import Task
from core.store import identities, notes, notified_approvers
from core.store.unit_of_work import Tx

MOST_AT_ONCE: Final = 20
"""People that one message mentions; of more approvers than that, the first by name are notified."""


async def notify_approvers(tx: Tx, task: Task, needs: QuorumStatus, people: People, place: Place, card: str) -> None:
    """Owe a message below `card` that mentions everyone for whom `task` waits and who was not notified yet.

    Cards are edited, and platforms notify no one of edits, so this is a separate message, once for each revision and
    person wherever else the task is shown. People without an account on the surface are left out; in a direct message
    no one is mentioned.
    """
    if place.private:
        return
    accounts = [(name, identity) for name in needs.missing if (identity := await account_of(tx, people, name, place))]
    names = [name for name, _ in accounts[:MOST_AT_ONCE]]
    not_notified = await notified_approvers.record(tx, task.number, task.revision, names)
    mentions = [(name, identity) for name, identity in accounts if name in not_notified]
    if mentions:
        text = f"#{task.number} waits for {', '.join(name for name, _ in mentions)}."
        await notes.add(tx, place, text, reply_to=card, number=task.number, mentions=mentions)


async def account_of(tx: Tx, people: People, name: str, place: Place) -> str | None:
    """The account of a person on the surface of `place`, configured or linked."""
    person = people.get(name)
    if person is not None and place.surface in person.identities:
        return person.identities[place.surface]
    linked = [identity for surface, identity in await identities.links_of(tx, name) if surface == place.surface]
    return linked[0] if person is not None and linked else None
