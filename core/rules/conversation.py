"""Conversations: whether a task is shown in one, and who is notified there of an outcome."""

from __future__ import annotations

from core.model.place import Place
from core.model.turn import MessageOrigin
from core.store import cards, outcomes
from core.store.unit_of_work import Tx


async def notify_of_outcome(tx: Tx, number: int, action: str, origin: MessageOrigin) -> None:
    """Have the writer of a message notified of the outcome of an `action`, unless a card shows it there."""
    place = origin.place
    if place is None or await _is_shown(tx, number, place, same_thread=place.thread_is_about_one_thing):
        return
    await outcomes.add(tx, number, action, origin)


async def show_where_asked(tx: Tx, number: int, origin: MessageOrigin) -> None:
    """Show the task's card in the conversation from which someone replied, unless that channel has one already.

    If a channel is a whole repository, only a card in the same thread counts.
    """
    place = origin.place
    if place is None or await _is_shown(tx, number, place, same_thread=place.channel_is_a_repository):
        return
    await cards.bind(tx, number, place, origin.reply_to)


async def _is_shown(tx: Tx, number: int, place: Place, *, same_thread: bool) -> bool:
    places = [card.place for card in await cards.of_task(tx, number)]
    in_channel = [shown for shown in places if (shown.surface, shown.channel) == (place.surface, place.channel)]
    return any(shown.thread == place.thread for shown in in_channel) if same_thread else bool(in_channel)
