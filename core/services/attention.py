"""The inbox: the tasks that wait for a person, and for whom each task waits (see `core.rules.attention`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from core.model.attention import AttentionAction, review_minutes
from core.model.turn import Actor
from core.rules.attention import (
    ATTENTION_STATES,
    REQUESTERS_TURN,
    TaskAttention,
    attention_of,
    attention_of_all,
)
from core.rules.low_risk import why_alone
from core.rules.visibility import visibility_of, visible_task
from core.services.task_document import TaskDocument, brief_documents
from core.settings import SettingsSource
from core.store import tasks
from core.store.database import Database
from core.store.unit_of_work import Tx, reads

MAX_SEARCHED: Final = 100
"""How many of the newest tasks of each state are searched for those that wait for a person."""
MAX_SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class InboxItem:
    """A task that waits for a person: what they can do, who else could, and about how many minutes it takes.

    `document` has what a list shows (see `brief_documents`). With `may_join` it may be approved together with others.
    """

    document: TaskDocument
    action: AttentionAction
    others: tuple[str, ...]
    minutes: int
    may_join: bool = False

    @property
    def is_only_me(self) -> bool:
        """Whether it waits for this person alone."""
        return not self.others


@dataclass(frozen=True, slots=True)
class PersonalInbox:
    """The tasks that wait for one person: those that wait for them alone first, then the longest waiting.

    `is_partial` is true if there may be more than were searched or are shown.
    """

    items: tuple[InboxItem, ...]
    is_partial: bool

    @property
    def minutes(self) -> int:
        """About how many minutes all of it takes."""
        return sum(item.minutes for item in self.items)


@dataclass(frozen=True, slots=True)
class Attention:
    """Reads whose turn it is."""

    database: Database
    settings: SettingsSource

    @reads
    async def inbox(self, tx: Tx, person: str) -> PersonalInbox:
        """What waits for `person`; empty for a name that is not configured."""
        settings = self.settings()
        visibility = visibility_of(settings, Actor(person))
        found, are_more = await tasks.newest_by_state(
            tx, ATTENTION_STATES, MAX_SEARCHED, REQUESTERS_TURN, person, visibility.repositories.names
        )
        newest = [task for task in found if visibility.shows_task(task)]
        attention = await attention_of_all(tx, settings, newest)
        mine = [(task, attention[task.number]) for task in newest if person in attention[task.number].people]
        mine.sort(key=lambda found: (len(found[1].people) > 1, found[0].updated_at, found[0].number))
        shown = mine[:MAX_SHOWN]
        documents = await brief_documents(
            tx, settings, [task for task, _ in shown], {t.number: a.needs for t, a in shown}
        )
        items = [_item(person, document, found) for document, (_, found) in zip(documents, shown, strict=True)]
        return PersonalInbox(tuple(items), are_more or len(mine) > MAX_SHOWN)

    @reads
    async def of_task(self, tx: Tx, number: int, actor: Actor) -> Mapping[str, AttentionAction]:
        """Everyone whose turn it is on task `number`; raises `NotFoundError`."""
        return await attention_of(tx, self.settings(), await visible_task(tx, self.settings(), number, actor))


def _item(person: str, document: TaskDocument, found: TaskAttention) -> InboxItem:
    task, action = document.task, found.people[person]
    approves = action is AttentionAction.APPROVE and task.staged is not None
    return InboxItem(
        document,
        action,
        others=tuple(sorted(set(found.people) - {person})),
        minutes=review_minutes(task.staged) if approves and task.staged else 1,
        may_join=approves and task.staged is not None and not why_alone(task.staged, found.needs),
    )
