"""Hearing: takes deliveries out of the inbox in order, has them understood, and sees that answers get out."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from bot.cards.wording import problem_sentence
from bot.messaging.inbox import DurableInbox, said_of
from bot.surfaces.port import ButtonPress, IncomingMessage, Response, Surface
from core.log import log
from core.model.errors import CountersignError, TransientError
from core.store import inbox, messages, notes
from core.store.database import Database
from core.store.inbox import KeptMessage
from core.store.unit_of_work import Tx

BATCH: Final = 200
AT_ONCE: Final = 8
MOST_ATTEMPTS: Final = 20
KEEP_S: Final = 7 * 24 * 3600
"""How long a delivery is known, so that its redelivery does nothing; platforms redeliver for a few days at most."""
PRUNE_EVERY_S: Final = 3600.0
_APOLOGY: Final = "Something went wrong here while I read this. It was written down; please say it again in a while."


class InboxListener(Protocol):
    """Who understands what was said."""

    async def hear(self, said: IncomingMessage | ButtonPress) -> Response:
        """Do what it asks; raises `TransientError` when it should be heard again later."""


@dataclass(slots=True)
class InboxConsumer:
    """The loop behind the ears. Everything is heard at least once, and what it does happens once."""

    database: Database
    ears: DurableInbox
    listener: InboxListener
    surfaces: Mapping[str, Surface]
    said: Callable[[], None] = lambda: None
    poll_s: float = 1.0
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _seen: set[asyncio.Task[None]] = field(default_factory=set)

    def wake(self) -> None:
        """There is something to hear."""
        self._wake.set()

    async def run(self) -> None:
        """Hear until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._prune())
            while True:
                try:
                    busy = await self.round()
                except TransientError as error:
                    log.warning("hearing_waits", problem=error.problem.message)
                    busy = False
                if not busy:
                    await self._sleep()

    async def round(self) -> bool:
        """Hear one batch: in order within a channel, channels side by side; whether there was anything."""

        async def look(tx: Tx) -> bool:
            return await inbox.any_due(tx)

        async def work(tx: Tx) -> list[KeptMessage]:
            return await inbox.begin(tx, BATCH)

        if not await self.database.read(look):
            return False
        channels: dict[tuple[str, str], list[KeptMessage]] = defaultdict(list)
        for kept in await self.database.write(work):
            channels[kept.delivery.surface, str(kept.delivery.body["place"]["channel"])].append(kept)
        gate = asyncio.Semaphore(AT_ONCE)

        async def channel(deliveries: list[KeptMessage]) -> None:
            async with gate:
                try:
                    for kept in deliveries:
                        await self._hear(kept)
                except TransientError as error:  # what was begun is heard again once its time is over
                    log.warning("hearing_waits", problem=error.problem.message)

        async with asyncio.TaskGroup() as group:
            for deliveries in channels.values():
                group.create_task(channel(deliveries))
        self.said()
        return bool(channels)

    async def _hear(self, kept: KeptMessage) -> None:
        said = said_of(kept.delivery)
        try:
            answer = await self.listener.hear(said)
        except TransientError as error:
            if kept.attempt < MOST_ATTEMPTS:
                await self._later(kept, error)
                return
            answer = Response(problem_sentence(error.problem, said.place.surface), refused=True)
        except CountersignError as error:
            answer = Response(problem_sentence(error.problem, said.place.surface), refused=True)
        except Exception:  # noqa: BLE001 - a message that breaks us must not stop the others; it is told and logged
            log.exception("hearing_broke", surface=said.place.surface, delivery=kept.id)
            answer = Response(_APOLOGY, refused=True)
        await self._conclude(kept, said, answer)

    async def _conclude(self, kept: KeptMessage, said: IncomingMessage | ButtonPress, answer: Response) -> None:
        async def work(tx: Tx) -> None:
            await inbox.finish(tx, kept.id, _kept(answer))
            if answer.text and (isinstance(said, IncomingMessage) or self._answers_forms_here(said)):
                only_to = said.identity if answer.refused or answer.personal else None
                offered = await messages.offer(tx, said.place, said.identity, said.dedup, answer.choices)
                await notes.add(
                    tx,
                    said.place,
                    answer.text,
                    reply_to=said.message_id,
                    only_to=only_to,
                    number=answer.about,
                    choices=offered,
                )

        await self.database.write(work)
        self.ears.answered(kept.id, answer)

    def _answers_forms_here(self, said: ButtonPress) -> bool:
        """Whether words typed into a button's form are answered in the conversation, for want of another way."""
        surface = self.surfaces.get(said.place.surface)
        return bool(said.text) and not getattr(surface, "answers_forms", False)

    async def _later(self, kept: KeptMessage, error: TransientError) -> None:
        wait_s = error.retry_after_s or min(120.0, 2.0**kept.attempt)
        log.warning("heard_later", delivery=kept.id, wait_s=wait_s, problem=error.problem.message)

        async def work(tx: Tx) -> None:
            await inbox.put_off(tx, kept.id, tx.now_ms + round(wait_s * 1000))

        await self.database.write(work)

    def acknowledge(self, said: IncomingMessage) -> None:
        """Show that it was seen, beside the work: a platform that is slow to show it holds nobody up."""
        surface = self.surfaces.get(said.place.surface)
        if surface is None:
            return
        task = asyncio.create_task(_quietly(surface.acknowledge(said.place, said.message_id), said))
        self._seen.add(task)
        task.add_done_callback(self._seen.discard)

    async def _prune(self) -> None:
        while True:
            try:
                await self.database.write(self._forget)
            except TransientError as error:
                log.warning("prune_failed", problem=error.problem.message)
            await asyncio.sleep(PRUNE_EVERY_S)

    async def _forget(self, tx: Tx) -> None:
        before_ms = tx.now_ms - KEEP_S * 1000
        await inbox.prune(tx, before_ms)
        await notes.prune(tx, before_ms)

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(self.poll_s):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()


async def _quietly(work: Awaitable[None], said: IncomingMessage) -> None:
    try:
        await work
    except CountersignError as error:  # only a sign: the card follows, and says more
        log.info("not_acknowledged", surface=said.place.surface, problem=error.problem.message)


def _kept(answer: Response) -> dict[str, Any]:
    return {
        "text": answer.text,
        "refused": answer.refused,
        "form": answer.form,
        "about": answer.about,
        "choices": [list(one) for one in answer.choices],
    }
