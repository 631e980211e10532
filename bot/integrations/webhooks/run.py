"""Outbound: turns new events into deliveries, each once, and delivers them, each receiver's in order."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

from bot.integrations.webhooks.client import CheckedClient
from bot.integrations.webhooks.hooks import Hook, body_of
from bot.integrations.webhooks.sign import DELIVERY, EVENT, SIGNATURE, TIMESTAMP, sign
from core.log import log
from core.model.errors import CountersignError, NotFoundError, TransientError
from core.model.event import Event
from core.model.masking import Mask, shows_all
from core.model.task import Task
from core.model.webhook_delivery import FAILED, SENT, WebhookDelivery
from core.store import deliveries, tasks
from core.store.database import Database
from core.store.unit_of_work import Tx

WAITS_S: Final = (10, 60, 300, 1_800, 7_200, 21_600, 43_200)
"""Between eight tries, 20.6 hours in all; up to a tenth is added to each, so that they do not come at once."""
TRIES: Final = len(WAITS_S) + 1
POLL_S: Final = 1.0
BATCH: Final = 200
AT_ONCE: Final = 8
KEEP_S: Final = 30 * 24 * 3600
PRUNE_EVERY_S: Final = 3600.0

HooksSource = Callable[[], Sequence[Hook]]
"""The hooks of the configuration in force."""


class WebhookReceivers(Protocol):
    """Receivers beside the hooks, such as an issue tracker; their names begin with one of `prefixes`."""

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What their names begin with."""

    async def owed(self, tx: Tx, event: Event, task: Task | None) -> Mapping[str, str]:
        """Who is to be told of an event, and what: name to body."""

    async def deliver(self, delivery: WebhookDelivery) -> None:
        """Tell them; raises `TransientError` to be asked again."""


class WebhookSender:
    """What `serve` runs beside the rest; any number of hosts may."""

    def __init__(
        self,
        database: Database,
        hooks: HooksSource,
        *,
        client: CheckedClient | None = None,
        receivers: WebhookReceivers | None = None,
        poll_s: float = POLL_S,
        mask: Mask = shows_all,
    ) -> None:
        self._database = database
        self._hooks = hooks
        self._client = client or CheckedClient()
        self._receivers = receivers
        self._poll_s, self._mask = poll_s, mask
        self._pruned_at_s = float("-inf")

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            try:
                busy = await self.round()
            except TransientError as error:
                log.warning("outbound_waits", problem=error.problem.message)
                busy = False
            if not busy:
                await asyncio.sleep(self._poll_s)

    async def round(self) -> bool:
        """Hand out new events, and try what is due once; whether there was anything."""
        handed = await self.hand_out()
        tried = await self.deliver()
        if time.monotonic() - self._pruned_at_s > PRUNE_EVERY_S:
            self._pruned_at_s = time.monotonic()
            await self._database.write(self._prune)
        return bool(handed or tried)

    # -- from events to deliveries ----------------------------------------------------------------------------------

    async def hand_out(self) -> int:
        """Owe every new event to who wants it, in one transaction with the cursor; how many events that were.

        Nobody is told what happened before there ever was a hook: the cursor begins at the newest event.
        """

        async def look(tx: Tx) -> bool:
            at = await deliveries.cursor(tx)
            return at is None or await deliveries.last_event(tx) > at

        async def work(tx: Tx) -> int:
            at = await deliveries.cursor(tx, lock=True)
            if at is None:
                await deliveries.set_cursor(tx, await deliveries.last_event(tx))
                return 0
            found = await deliveries.settled_since(tx, at, BATCH)
            for event in found:
                await deliveries.add(tx, await self._owed(tx, event))
            if found:
                await deliveries.set_cursor(tx, found[-1].id)
            return len(found)

        return await self._database.write(work) if await self._database.read(look) else 0

    async def _owed(self, tx: Tx, event: Event) -> list[tuple[str, str, int, str]]:
        wanting = [hook for hook in self._hooks() if hook.wants(event.kind)]
        if not wanting and self._receivers is None:
            return []
        task = await _task_of(tx, event)
        bodies = {hook.name: body_of(event, task, include_text=hook.include_text, mask=self._mask) for hook in wanting}
        if self._receivers is not None:
            bodies |= await self._receivers.owed(tx, event, task)
        return [(tx.new_id("delivery"), name, event.id, body) for name, body in bodies.items()]

    # -- from deliveries to the world -------------------------------------------------------------------------------

    async def deliver(self) -> int:
        """Try what is due, receivers side by side, one delivery of each; how many were tried."""
        hooks = {hook.name: hook for hook in self._hooks()}
        prefixes = self._receivers.prefixes if self._receivers else ()

        async def look(tx: Tx) -> bool:
            return await deliveries.any_due(tx)

        async def work(tx: Tx) -> list[WebhookDelivery]:
            await deliveries.drop(tx, hooks.keys(), prefixes)
            return await deliveries.begin(tx, AT_ONCE)

        if not await self._database.read(look):
            return 0
        taken = await self._database.write(work)
        async with asyncio.TaskGroup() as group:
            for delivery in taken:
                group.create_task(self._try(delivery, self._way_to(hooks.get(delivery.hook))))
        return len(taken)

    def _way_to(self, hook: Hook | None) -> Callable[[WebhookDelivery], Awaitable[None]]:
        if hook is None:
            assert self._receivers is not None  # what belongs to nobody was dropped
            return self._receivers.deliver
        return lambda delivery: self._post(hook, delivery)

    async def _post(self, hook: Hook, delivery: WebhookDelivery) -> None:
        content = delivery.body.encode()
        now_s = int(time.time())
        headers = {
            "Content-Type": "application/json",
            DELIVERY: delivery.id,
            EVENT: _kind_of(delivery.body),
            TIMESTAMP: str(now_s),
            SIGNATURE: sign(hook.secret, now_s, content),
        }
        await self._client.post(hook.url, content, headers, allow_private=hook.allow_private)

    async def _try(self, delivery: WebhookDelivery, way: Callable[[WebhookDelivery], Awaitable[None]]) -> None:
        try:
            await way(delivery)
        except TransientError as error:
            await self._later(delivery, error)
        except CountersignError as error:
            await self._conclude(delivery, FAILED, error.problem.message)
        except Exception:  # noqa: BLE001 (one that breaks us must not stop the others)
            log.exception("delivery_broke", delivery=delivery.id, hook=delivery.hook)
            await self._later(delivery, TransientError("broke", "a fault of our own"))
        else:
            await self._conclude(delivery, SENT, None)

    async def _later(self, delivery: WebhookDelivery, error: TransientError) -> None:
        said = error.problem.message
        if delivery.attempt >= TRIES:
            await self._conclude(delivery, FAILED, f"{said}, {TRIES} times")
            return
        wait_s = max(WAITS_S[delivery.attempt - 1] * random.uniform(1, 1.1), error.retry_after_s or 0)  # noqa: S311
        log.info("delivery_put_off", hook=delivery.hook, delivery=delivery.id, wait_s=round(wait_s), problem=said)

        async def work(tx: Tx) -> None:
            await deliveries.put_off(tx, delivery, tx.now_ms + round(wait_s * 1000), said)

        await self._database.write(work)

    async def _conclude(self, delivery: WebhookDelivery, state: str, problem: str | None) -> None:
        async def work(tx: Tx) -> None:
            await deliveries.conclude(tx, delivery, state, problem)

        await self._database.write(work)
        if problem is not None:
            log.warning("delivery_failed", hook=delivery.hook, delivery=delivery.id, problem=problem)

    async def _prune(self, tx: Tx) -> None:
        await deliveries.prune(tx, tx.now_ms - KEEP_S * 1000)


async def _task_of(tx: Tx, event: Event) -> Task | None:
    """The task as it is now, which may be further than the event; None for the whole system's events."""
    if not event.number:
        return None
    try:
        return await tasks.load(tx, event.number)
    except NotFoundError:
        return None


def _kind_of(body: str) -> str:
    return str(json.loads(body)["event"]["kind"])
