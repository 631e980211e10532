"""Notifying: whoever may approve a revision is told once that it waits for them, by a message that reaches them."""

from __future__ import annotations

from typing import Final

from core.model.approval import QuorumStatus
from core.model.person import People
from core.model.place import Place
from core.model.task import Task
from core.store import identities, notes, notified_approvers
from core.store.unit_of_work import Tx

MOST_AT_ONCE: Final = 20
"""People that one message mentions; of more approvers than that, the first by name are told."""


async def notify_approvers(tx: Tx, task: Task, needs: QuorumStatus, people: People, place: Place, card: str) -> None:
    """Owe a message below `card` that mentions whoever `task` waits for, has an account there, and was not told yet.

    A platform tells nobody of an edit, and a card is edited; so this is a message of its own, once a revision and
    person, wherever else the task is shown. A direct message waits for nobody but its own person.
    """
    if place.private:
        return
    waiting = needs.missing
    reached = [(name, identity) for name in waiting if (identity := await _identity(tx, people, name, place))]
    told = await notified_approvers.record(tx, task.number, task.revision, [name for name, _ in reached[:MOST_AT_ONCE]])
    mentions = [(name, identity) for name, identity in reached if name in told]
    if mentions:
        words = f"#{task.number} waits for {', '.join(name for name, _ in mentions)}."
        await notes.add(tx, place, words, reply_to=card, number=task.number, mentions=mentions)


async def _identity(tx: Tx, people: People, name: str, place: Place) -> str | None:
    """The account by which a person is known on the surface of `place`."""
    person = people.get(name)
    if person is not None and place.surface in person.identities:
        return person.identities[place.surface]
    linked = [identity for surface, identity in await identities.links_of(tx, name) if surface == place.surface]
    return linked[0] if person is not None and linked else None
