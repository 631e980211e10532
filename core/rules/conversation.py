"""Conversations: whether a task is shown where somebody speaks, and who is notified of an outcome there."""

from __future__ import annotations

from core.model.place import Place
from core.model.turn import MessageOrigin
from core.store import cards, outcomes
from core.store.unit_of_work import Tx


async def notify_of_outcome(tx: Tx, number: int, asked: str, origin: MessageOrigin) -> None:
    """Have the writer of a message notified of the outcome of what they `asked`, unless a card shows it there."""
    place = origin.place
    if place is None or await _is_shown(tx, number, place, same_thread=place.thread_is_about_one_thing):
        return
    await outcomes.wait(tx, number, asked, origin)


async def show_where_asked(tx: Tx, number: int, origin: MessageOrigin) -> None:
    """Show the task's card in the conversation from which somebody replied, unless it stands in that channel already.

    Where a channel is a whole repository, only a card in the same thread counts.
    """
    place = origin.place
    if place is None or await _is_shown(tx, number, place, same_thread=place.channel_is_a_repository):
        return
    await cards.bind(tx, number, place, origin.reply_to)


async def _is_shown(tx: Tx, number: int, place: Place, *, same_thread: bool) -> bool:
    shown = [card.place for card in await cards.of_task(tx, number)]
    near = [one for one in shown if (one.surface, one.channel) == (place.surface, place.channel)]
    return any(one.thread == place.thread for one in near) if same_thread else bool(near)
