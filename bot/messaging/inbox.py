"""The durable inbox: stores what surfaces receive, in batches of one transaction, before it is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bot.messaging.stored_messages import from_recorded, storable, to_delivery
from bot.surfaces.port import ButtonPress, IncomingMessage, Response, TakenMessage
from core.log import fault_of, log
from core.model.errors import CountersignError, PermanentError, TransientError
from core.model.inbox import InboxDelivery
from core.model.place import Place
from core.services.conversations import Conversations
from core.services.message_inbox import MessageInbox

MAX_BATCH: Final = 500
"""Maximum deliveries stored by one transaction."""
MAX_PENDING: Final = 20_000
"""Maximum deliveries waiting to be stored; beyond it platforms are asked to deliver again later."""


@dataclass(slots=True)
class _Pending:
    delivery: InboxDelivery
    accepted: asyncio.Future[TakenMessage]


@dataclass(slots=True)
class DurableInbox:
    """`bot.surfaces.port.Inbox` on the database. `on_stored` is called when there is something new to process.

    Under load many deliveries share one commit, and so one wait for the disk.
    """

    messages: MessageInbox
    conversations: Conversations
    on_stored: Callable[[], None] = lambda: None
    on_channel_moved: Callable[[str, str, str], None] = lambda _surface, _channel, _to: None
    _pending: list[_Pending] = field(default_factory=list)
    _writer: asyncio.Task[None] | None = None
    _waiting: dict[int, asyncio.Future[Response]] = field(default_factory=dict)

    async def accept(self, message: IncomingMessage | ButtonPress) -> TakenMessage:
        """Store a delivery; returns once it is on the disk.

        Raises `TransientError` if it should be delivered again, `PermanentError` if it can never be stored.
        """
        if len(self._pending) >= MAX_PENDING:
            raise TransientError(
                "too_much", "Too many messages are arriving at once", "Try again in a moment.", retry_after_s=5
            )
        accepted: asyncio.Future[TakenMessage] = asyncio.get_running_loop().create_future()
        self._pending.append(_Pending(to_delivery(storable(message)), accepted))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._store_pending())
        return await accepted

    async def wait_for_response(self, accepted: TakenMessage, within_s: float) -> Response | None:
        """The response to a delivery, or None if there is none within `within_s` seconds."""
        recorded = await self.messages.response_to(accepted.id)
        if recorded is not None:
            return from_recorded(recorded)
        response = self._waiting.setdefault(accepted.id, asyncio.get_running_loop().create_future())
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.shield(response)
        except TimeoutError:
            self._waiting.pop(accepted.id, None)
            recorded = await self.messages.response_to(accepted.id)
            return from_recorded(recorded) if recorded is not None else None

    def answered(self, delivery_id: int, response: Response) -> None:
        """Give the response to the caller of `wait_for_response` in this process, if any."""
        waiting = self._waiting.pop(delivery_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(response)

    async def record_channel_move(self, surface: str, channel: str, to: str) -> None:
        """Record that a channel has another id; its cards and notes move to it."""
        await self.conversations.move_channel(surface, channel, to)
        self.on_channel_moved(surface, channel, to)

    async def load_state(self, surface: str) -> Mapping[str, Any]:
        """The state that a surface saved last; empty if it saved none."""
        return await self.messages.surface_state(surface)

    async def save_state(self, surface: str, value: Mapping[str, Any]) -> None:
        """Save the state of a surface."""
        await self.messages.save_surface_state(surface, value)

    async def record_message(self, place: Place, message_id: str, below: str) -> None:
        """Record that a message which a surface posted by itself is about the task of the message `below`."""
        await self.conversations.bind_message(place, message_id, below)

    async def _store_pending(self) -> None:
        while self._pending:
            batch, self._pending = self._pending[:MAX_BATCH], self._pending[MAX_BATCH:]
            try:
                await self._store_all(batch)
            except CountersignError as error:  # the database failed, not a message: the batch must be delivered again
                transient = TransientError(error.problem.code, error.problem.message, error.problem.mend)
                _fail(batch, error if isinstance(error, TransientError) else transient)
                continue
            except BaseException:
                _fail(batch, TransientError("not_kept", "This cannot be stored now", "Try again in a moment."))
                raise
            self.on_stored()

    async def _store_all(self, batch: Sequence[_Pending]) -> None:
        """Store a batch in one transaction; if the database rejects a delivery of it, store each one separately."""
        try:
            await self._store(batch)
        except Exception as error:
            if isinstance(error, CountersignError) and error.problem.code != "unkeepable":
                raise
            if len(batch) > 1:
                for pending in batch:
                    await self._store_all([pending])
                return
            log.error("delivery_was_unkeepable", surface=batch[0].delivery.surface, **fault_of(error))
            _fail(batch, PermanentError("unkeepable", "This message cannot be stored"))

    async def _store(self, batch: Sequence[_Pending]) -> None:
        deliveries = await self.messages.keep([pending.delivery for pending in batch])
        for pending, delivery in zip(batch, deliveries, strict=True):
            if not pending.accepted.done():
                pending.accepted.set_result(TakenMessage(delivery.id, delivery.is_new))


def _fail(batch: Sequence[_Pending], error: CountersignError) -> None:
    for pending in batch:
        if not pending.accepted.done():
            pending.accepted.set_exception(error)
