"""The inbox consumer: processes stored deliveries, in order within each channel, and sends the responses."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from bot.cards.problem_text import problem_sentence
from bot.messaging.inbox import DurableInbox
from bot.messaging.stored_messages import from_delivery, to_recorded
from bot.surfaces.port import ButtonPress, IncomingMessage, Response, Surface
from core.log import log
from core.model.errors import CountersignError, TransientError
from core.model.inbox import InboxEntry
from core.services.idle_looks import IdleLooks
from core.services.message_inbox import AnswerNote, MessageInbox

BATCH: Final = 200
CHANNELS_AT_ONCE: Final = 8
MAX_ATTEMPTS: Final = 20
KEEP_S: Final = 7 * 24 * 3600
"""How long a delivery is remembered, so that a redelivery has no effect; platforms redeliver for a few days at most."""
PRUNE_EVERY_S: Final = 3600.0
_APOLOGY: Final = "Something went wrong while I processed this. The error is logged; please send it again later."


class AnswersMessages(Protocol):
    """Processes messages and button presses."""

    async def process(self, message: IncomingMessage | ButtonPress) -> Response:
        """Carry it out; raises `TransientError` if it should be processed again later."""


@dataclass(slots=True)
class InboxConsumer:
    """The loop that empties the inbox. Every delivery is processed at least once, and its effects happen once.

    `on_processed` is called after each batch: cards and notes may be due. `idle` leaves out looks that find nothing.
    """

    messages: MessageInbox
    inbox: DurableInbox
    processor: AnswersMessages
    surfaces: Mapping[str, Surface]
    on_processed: Callable[[], None] = lambda: None
    idle: IdleLooks | None = None
    poll_s: float = 1.0
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _acknowledging: set[asyncio.Task[None]] = field(default_factory=set)

    def wake(self) -> None:
        """Look for deliveries now."""
        self._woken.set()

    async def run(self) -> None:
        """Process deliveries until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._prune())
            while True:
                try:
                    was_busy = await (self.idle.unless_idle(self.round) if self.idle is not None else self.round())
                except TransientError as error:
                    log.warning("inbox_waits", problem=error.problem.message)
                    was_busy = False
                if not was_busy:
                    await self._sleep()

    async def round(self) -> bool:
        """Process one batch, in order within a channel and channels concurrently; returns whether there was any."""
        entries = await self.messages.begin(BATCH)
        if not entries:
            return False
        channels: dict[tuple[str, str], list[InboxEntry]] = defaultdict(list)
        for entry in entries:
            channels[entry.delivery.surface, str(entry.delivery.body["place"]["channel"])].append(entry)
        gate = asyncio.Semaphore(CHANNELS_AT_ONCE)
        async with self.messages.held(entries), asyncio.TaskGroup() as group:
            for in_channel in channels.values():
                group.create_task(self._process_channel(in_channel, gate))
        self.on_processed()
        return True

    async def _process_channel(self, entries: Sequence[InboxEntry], gate: asyncio.Semaphore) -> None:
        async with gate:
            try:
                for entry in entries:
                    await self._process(entry)
            except TransientError as error:  # the rest is processed again once its leases end
                log.warning("inbox_waits", problem=error.problem.message)

    async def _process(self, entry: InboxEntry) -> None:
        message = from_delivery(entry.delivery)
        surface = message.place.surface
        try:
            response = await self.processor.process(message)
        except TransientError as error:
            if entry.attempt < MAX_ATTEMPTS:
                await self._put_off(entry, error)
                return
            response = Response(problem_sentence(error.problem, surface), refused=True)
        except CountersignError as error:
            response = Response(problem_sentence(error.problem, surface), refused=True)
        except Exception:  # noqa: BLE001 - one message's bug must not stop the others; it is answered and logged
            log.exception("processing_broke", surface=surface, delivery=entry.id)
            response = Response(_APOLOGY, refused=True)
        await self.messages.conclude(entry, to_recorded(response), self._note_for(message, response))
        self.inbox.answered(entry.id, response)

    def _note_for(self, message: IncomingMessage | ButtonPress, response: Response) -> AnswerNote | None:
        """The response as a separate message; None if it has no text or the surface shows it at the button."""
        if not response.text or (isinstance(message, ButtonPress) and not self._is_answered_below(message)):
            return None
        return AnswerNote(
            place=message.place,
            text=response.text,
            reply_to=message.message_id,
            only_to=message.identity if response.refused or response.personal else None,
            number=response.about,
            choices=response.choices,
            identity=message.identity,
            dedup=message.dedup,
        )

    def _is_answered_below(self, press: ButtonPress) -> bool:
        """Whether text typed into a button's form is answered in the conversation because the form cannot show it."""
        surface = self.surfaces.get(press.place.surface)
        return bool(press.text) and not getattr(surface, "answers_forms", False)

    async def _put_off(self, entry: InboxEntry, error: TransientError) -> None:
        wait_s = error.retry_after_s or min(120.0, 2.0**entry.attempt)
        log.warning("processing_put_off", delivery=entry.id, wait_s=wait_s, problem=error.problem.message)
        await self.messages.put_off(entry, wait_s)

    def acknowledge(self, message: IncomingMessage) -> None:
        """Show that it was seen, concurrently with the work, so that a slow platform does not delay it."""
        surface = self.surfaces.get(message.place.surface)
        if surface is None:
            return
        task = asyncio.create_task(_quietly(surface.acknowledge(message.place, message.message_id), message))
        self._acknowledging.add(task)
        task.add_done_callback(self._acknowledging.discard)

    async def _prune(self) -> None:
        while True:
            try:
                await self.messages.prune(KEEP_S)
            except TransientError as error:
                log.warning("prune_failed", problem=error.problem.message)
            await asyncio.sleep(PRUNE_EVERY_S)

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(self.poll_s):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()


async def _quietly(acknowledgement: Awaitable[None], message: IncomingMessage) -> None:
    try:
        await acknowledgement
    except CountersignError as error:  # optional: the card follows and says more
        log.info("not_acknowledged", surface=message.place.surface, problem=error.problem.message)
