"""The inbox: the tasks that wait for a person, and for whom each task waits (see `core.rules.attention`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from core.model.attention import AttentionAction, review_minutes
from core.model.task import Task
from core.model.turn import Actor
from core.rules.attention import ATTENTION_STATES, REQUESTERS_TURN, attention_of
from core.rules.visibility import visible_task
from core.services.task_document import TaskDocument, read_document
from core.settings import SettingsSource
from core.store import tasks
from core.store.database import Database
from core.store.unit_of_work import Tx, reads

MAX_SEARCHED: Final = 100
"""How many of the newest tasks of each state are searched for those that wait for a person."""
MAX_SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class InboxItem:
    """A task that waits for a person: what they can do, who else could, and about how many minutes it takes."""

    document: TaskDocument
    action: AttentionAction
    others: tuple[str, ...]
    minutes: int

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
        settings, mine, is_partial = self.settings(), [], False
        for state in ATTENTION_STATES:
            newest = await tasks.summaries(tx, state=state, limit=MAX_SEARCHED)
            is_partial = is_partial or len(newest) == MAX_SEARCHED
            for summary in newest:
                if state in REQUESTERS_TURN and summary.requester != person:
                    continue
                task = await tasks.load(tx, summary.number)
                people = await attention_of(tx, settings, task)
                if person in people:
                    mine.append((task, people))
        mine.sort(key=lambda found: (len(found[1]) > 1, found[0].updated_at, found[0].number))
        items = [
            InboxItem(
                await read_document(tx, settings, task),
                people[person],
                tuple(sorted(set(people) - {person})),
                _minutes(task, people[person]),
            )
            for task, people in mine[:MAX_SHOWN]
        ]
        return PersonalInbox(tuple(items), is_partial or len(mine) > MAX_SHOWN)

    @reads
    async def of_task(self, tx: Tx, number: int, actor: Actor) -> Mapping[str, AttentionAction]:
        """Everyone whose turn it is on task `number`; raises `NotFoundError`."""
        return await attention_of(tx, self.settings(), await visible_task(tx, number, actor))


def _minutes(task: Task, action: AttentionAction) -> int:
    return review_minutes(task.staged) if action is AttentionAction.APPROVE and task.staged else 1
