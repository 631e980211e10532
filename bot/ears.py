"""The ears: keep what surfaces hear, many at once in one transaction, before anything is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from bot.surfaces.port import Answer, Clicked, Heard, Taken
from core.errors import CountersignError, TransientError
from core.place import Place
from core.store import cards, inbox, links, messages
from core.store.database import Database, Session
from core.store.inbox import Delivery

MOST_AT_ONCE: Final = 500
"""Deliveries kept by one transaction."""
MOST_WAITING: Final = 20_000
"""Deliveries that may wait to be kept; beyond that platforms are asked to come again."""
HEARD, CLICKED = "heard", "clicked"


@dataclass(slots=True)
class _Pending:
    delivery: Delivery
    kept: asyncio.Future[Taken]


@dataclass(slots=True)
class DurableEars:
    """`Ears` on the database. `wake` is called when there is something new to hear.

    Under load many deliveries share one commit: the disk is waited for once for all of them.
    """

    database: Database
    wake: Callable[[], None] = lambda: None
    told_move: Callable[[str, str, str], None] = lambda _surface, _channel, _to: None
    _pending: list[_Pending] = field(default_factory=list)
    _writer: asyncio.Task[None] | None = None
    _answers: dict[int, asyncio.Future[Answer]] = field(default_factory=dict)

    async def take(self, said: Heard | Clicked) -> Taken:
        """Keep a delivery; returns once it is on the disk."""
        if len(self._pending) >= MOST_WAITING:
            raise TransientError(
                "too_much", "More comes in than can be kept", "Try again in a moment.", retry_after_s=5
            )
        kept: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
        self._pending.append(_Pending(delivery_of(said), kept))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        return await kept

    async def answer(self, taken: Taken, within_s: float) -> Answer | None:
        """What became of it, or None while that is not known."""
        known = await self.database.read(lambda session: inbox.answer_to(session, taken.id))
        if known is not None:
            return answer_of(known)
        waiting = self._answers.setdefault(taken.id, asyncio.get_running_loop().create_future())
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.shield(waiting)
        except TimeoutError:
            self._answers.pop(taken.id, None)
            known = await self.database.read(lambda session: inbox.answer_to(session, taken.id))
            return answer_of(known) if known is not None else None

    def answered(self, id_: int, answer: Answer) -> None:
        """Tell whoever waits in this process."""
        waiting = self._answers.pop(id_, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    async def moved(self, surface: str, channel: str, to: str) -> None:
        """A channel has another id: remember it, and take its cards along."""

        async def work(session: Session) -> None:
            now_ms = await self.database.now_ms(session)
            await links.moved(session, surface, channel, to, now_ms)
            await cards.move(session, surface, channel, to)
            await messages.move(session, surface, channel, to)

        await self.database.write(work)
        self.told_move(surface, channel, to)

    async def posted(self, place: Place, message_id: str, below: str) -> None:
        """A message that a surface posted by itself is about the task of the message `below`."""

        async def work(session: Session) -> None:
            number = await messages.task_of(session, place.surface, place.channel, below)
            if number is not None:
                await messages.remember(session, number, place, [message_id], await self.database.now_ms(session))

        await self.database.write(work)

    async def _write(self) -> None:
        while self._pending:
            batch, self._pending = self._pending[:MOST_AT_ONCE], self._pending[MOST_AT_ONCE:]

            async def work(session: Session, batch: list[_Pending] = batch) -> list[tuple[int, bool]]:
                now_ms = await self.database.now_ms(session)
                return await inbox.keep(session, [one.delivery for one in batch], now_ms)

            try:
                kept = await self.database.write(work)
            except CountersignError as error:
                _fail(batch, error)
                continue
            except BaseException:
                _fail(batch, TransientError("not_kept", "This could not be kept now", "Try again in a moment."))
                raise
            for one, (id_, new) in zip(batch, kept, strict=True):
                if not one.kept.done():
                    one.kept.set_result(Taken(id_, new))
            self.wake()


def _fail(batch: list[_Pending], error: CountersignError) -> None:
    for one in batch:
        if not one.kept.done():
            one.kept.set_exception(error)


def delivery_of(said: Heard | Clicked) -> Delivery:
    """What was said, as it is kept."""
    body: dict[str, Any] = {name: getattr(said, name) for name in said.__slots__ if name not in ("place", "dedup")}
    body["place"] = said.place.to_json()
    kind = HEARD if isinstance(said, Heard) else CLICKED
    return Delivery(said.place.surface, said.dedup, kind, body)


def said_of(delivery: Delivery) -> Heard | Clicked:
    """What `delivery_of` kept."""
    body = {**delivery.body, "place": Place.from_json(delivery.body["place"]), "dedup": delivery.dedup}
    return Heard(**body) if delivery.kind == HEARD else Clicked(**body)


def answer_of(kept: dict[str, Any]) -> Answer:
    """The answer as it was kept."""
    choices = tuple((label, line) for label, line in kept.get("choices", ()))
    return Answer(**{**kept, "choices": choices})
