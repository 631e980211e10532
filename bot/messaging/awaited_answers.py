"""Who waits to hear what becomes of something that they typed where no card shows it."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, TypeVar

from bot.messaging.task_choice import TASK_THREADS
from core.model.errors import CountersignError
from core.model.place import Place
from core.model.turn import MessageOrigin
from core.store import cards, outcomes
from core.store.database import Database
from core.store.unit_of_work import Tx

T = TypeVar("T")

WHOLE_REPOSITORIES: Final = frozenset({"github"})
"""Where a channel is a whole repository, so that one thread says nothing of another."""


@dataclass(frozen=True, slots=True)
class AwaitedAnswers:
    """Writes down who is to be told, and where, before what they asked for is done."""

    database: Database

    async def told_later(self, heard: MessageOrigin, number: int, asked: str, doing: Awaitable[T]) -> T:
        """Do it; where no card shows what becomes of it, whoever typed it is told there.

        That they wait is written down first, for it may be over before this returns.
        """

        async def work(tx: Tx) -> None:
            if heard.place is not None and not await is_shown_in(tx, number, heard.place, exactly=True):
                await outcomes.wait(tx, number, asked, heard)

        await self.database.write(work)
        try:
            return await doing
        except CountersignError:
            await self.not_told(heard, number, asked)
            raise

    async def not_told(self, heard: MessageOrigin, number: int, asked: str) -> None:
        """Nothing will come of it: the answer says so at once."""

        async def work(tx: Tx) -> None:
            waiting = await outcomes.of_task(tx, number)
            mine = [one.id for one in waiting if (one.asked, one.heard) == (asked, heard)]
            await outcomes.forget(tx, mine)

        await self.database.write(work)


async def is_shown_in(tx: Tx, number: int, place: Place, *, exactly: bool) -> bool:
    """Whether a card of the task stands where somebody speaks or, unless `exactly` there, in a thread beside it."""
    shown = [card.place for card in await cards.of_task(tx, number)]
    near = [one for one in shown if (one.surface, one.channel) == (place.surface, place.channel)]
    apart = place.surface in (TASK_THREADS if exactly else WHOLE_REPOSITORIES)
    return any(one.thread == place.thread for one in near) if apart else bool(near)
