"""Conversations: which tasks a place shows, which task a message is about, and which channels got another id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from core.model.place import Place
from core.model.task import Task
from core.model.turn import Actor
from core.rules.visibility import visibility_of, visible_task
from core.settings import SettingsSource
from core.store import cards, identities, messages, notes, tasks
from core.store.database import Database
from core.store.unit_of_work import Tx, reads, writes


@dataclass(frozen=True, slots=True)
class MessageSubject:
    """The task that a message is about: `number`, or one of `candidates` if that is not clear."""

    number: int | None = None
    candidates: tuple[int, ...] = ()

    @property
    def is_about_tasks(self) -> bool:
        """True if text that is not a command counts as a reply."""
        return bool(self.candidates)


NO_TASK: Final = MessageSubject()


@dataclass(frozen=True, slots=True)
class Conversations:
    """Binds messages and places to tasks. Tasks outside an actor's scope do not exist for that actor."""

    database: Database
    settings: SettingsSource

    @reads
    async def subject_of(self, tx: Tx, place: Place, reply_to: str | None) -> MessageSubject:
        """The task that a message in `place` is about: that of the message it answers, else those shown in its thread.

        In a thread below one of Countersign's own messages, every message is about that message's task.
        """
        answered = (reply_to, place.thread) if place.thread_is_about_one_thing else (reply_to,)
        for message in filter(None, answered):
            number = await messages.task_of(tx, place.surface, place.channel, message)
            if number is not None:
                return MessageSubject(number, (number,))
        if place.thread is None or not place.thread_is_about_one_thing:
            return NO_TASK
        shown = await messages.shown_in(tx, place, whole_channel=False)
        return MessageSubject(shown[0] if len(shown) == 1 else None, tuple(shown))

    @reads
    async def tasks_in(self, tx: Tx, place: Place, actor: Actor, limit: int) -> tuple[Task, ...]:
        """The tasks with a card in a place, the newest first; for a channel with threads, those of all its threads."""
        whole_channel = place.thread is None and place.thread_is_about_one_thing
        numbers = await messages.shown_in(tx, place, whole_channel=whole_channel)
        shown = [await tasks.load(tx, number) for number in numbers[:limit]]
        visibility = visibility_of(self.settings(), actor)
        return tuple(task for task in shown if visibility.shows_task(task))

    @reads
    async def check_visible(self, tx: Tx, number: int, actor: Actor) -> None:
        """Raise `NotFoundError` for a task that does not exist in the actor's scope."""
        await visible_task(tx, self.settings(), number, actor)

    @writes
    async def show_card(self, tx: Tx, number: int, place: Place, reply_to: str | None, actor: Actor) -> None:
        """Have the task's card posted in `place`, as a new message if there is one already; raises `NotFoundError`."""
        await visible_task(tx, self.settings(), number, actor)
        await cards.bind(tx, number, place, reply_to)
        for card in await cards.of_task(tx, number):
            if card.place == place:
                await cards.touch(tx, card.id, anew=True)

    @writes
    async def whole_diff_delivered(
        self, tx: Tx, number: int, place: Place, message_ids: Sequence[str], digest: str | None
    ) -> None:
        """Record the messages that delivered the whole diff of `digest` to a place, which allows approving it there."""
        await messages.bind(tx, number, place, message_ids)
        for card in await cards.of_task(tx, number):
            if digest is not None and card.place.address == place.address:
                await cards.delivered(tx, card, digest)
                await cards.touch(tx, card.id)

    @writes
    async def bind_message(self, tx: Tx, place: Place, message_id: str, below: str) -> None:
        """Bind a message that a surface posted itself to the task of the message `below`."""
        number = await messages.task_of(tx, place.surface, place.channel, below)
        if number is not None:
            await messages.bind(tx, number, place, [message_id])

    @writes
    async def move_channel(self, tx: Tx, surface: str, channel: str, to: str) -> None:
        """Record that a channel has another id, and move its cards, messages and notes along."""
        await identities.moved(tx, surface, channel, to)
        await cards.move_channel(tx, surface, channel, to)
        await notes.move_channel(tx, surface, channel, to)
        await messages.move_channel(tx, surface, channel, to)

    @reads
    async def moved_channels(self, tx: Tx, surface: str) -> Mapping[str, str]:
        """The former ids of channels that moved, and their ids now."""
        return await identities.moves_of(tx, surface)
