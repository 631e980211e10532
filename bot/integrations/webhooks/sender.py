"""Sends events to webhooks and other receivers, at least once to each and in order for each."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from bot.integrations.webhooks.client import CheckedClient
from bot.integrations.webhooks.hooks import Hook, body_of
from bot.integrations.webhooks.sign import (
    DELIVERY,
    EVENT,
    SIGNATURE,
    STANDARD_ID,
    STANDARD_SIGNATURE,
    STANDARD_TIMESTAMP,
    TIMESTAMP,
    sign,
    sign_standard,
)
from core.log import log
from core.model.errors import CountersignError, TransientError
from core.model.event import Event
from core.model.masking import Mask, no_mask
from core.model.task import Task
from core.model.turn import Turn
from core.model.webhook_delivery import FAILED, SENT, WebhookDelivery
from core.services.idle_looks import IdleLooks
from core.services.webhooks import Webhooks

WAITS_S: Final = (10, 60, 300, 1_800, 7_200, 21_600, 43_200)
"""The waits between eight attempts, 20.6 hours in total; up to 10% is added to each to spread the load."""
TRIES: Final = len(WAITS_S) + 1
POLL_S: Final = 1.0
AT_ONCE: Final = 8
KEEP_S: Final = 30 * 24 * 3600
PRUNE_EVERY_S: Final = 3600.0

HooksSource = Callable[[], Sequence[Hook]]
"""The hooks of the configuration in force."""


class WebhookReceivers(Protocol):
    """Receivers other than hooks, such as an issue tracker; their names begin with one of `prefixes`."""

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The prefixes of their names."""

    def wants(self, event: Event) -> bool:
        """Whether any of them may receive this event."""

    def owed(self, event: Event, task: Task | None, turns: Sequence[Turn]) -> Mapping[str, str]:
        """The message for each receiver of this event, by name; `turns` are the turns of its task."""

    async def deliver(self, delivery: WebhookDelivery) -> None:
        """Deliver it; raises `TransientError` to be called again later."""


@dataclass(frozen=True, slots=True)
class _Subscribers:
    """`core.services.webhooks.EventReceivers`: the hooks in force, and the other receivers."""

    hooks: Sequence[Hook]
    others: WebhookReceivers | None
    mask: Mask

    def wants(self, event: Event) -> bool:
        return any(hook.wants(event.kind) for hook in self.hooks) or (
            self.others is not None and self.others.wants(event)
        )

    def messages(self, event: Event, task: Task | None, turns: Sequence[Turn]) -> Mapping[str, str]:
        bodies = {
            hook.name: body_of(event, task, include_text=hook.include_text, mask=self.mask)
            for hook in self.hooks
            if hook.wants(event.kind) and hook.is_for(task)
        }
        return bodies if self.others is None else {**bodies, **self.others.owed(event, task, turns)}


class WebhookSender:
    """The loop of `serve` that delivers events; any number of hosts may run it."""

    def __init__(
        self,
        webhooks: Webhooks,
        hooks: HooksSource,
        *,
        client: CheckedClient | None = None,
        receivers: WebhookReceivers | None = None,
        idle: IdleLooks | None = None,
        poll_s: float = POLL_S,
        mask: Mask = no_mask,
    ) -> None:
        self._webhooks = webhooks
        self._hooks = hooks
        self._client = client or CheckedClient()
        self._receivers = receivers
        self._idle = idle
        self._poll_s, self._mask = poll_s, mask
        self._pruned_at_s = float("-inf")

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            try:
                busy = await (self._idle.unless_idle(self.round) if self._idle is not None else self.round())
            except TransientError as error:
                log.warning("outbound_waits", problem=error.problem.message)
                busy = False
            if not busy:
                await asyncio.sleep(self._poll_s)

    async def round(self) -> bool:
        """Create deliveries for new events, and attempt those that are due; returns whether there were any."""
        handed_out = await self.hand_out()
        tried = await self.deliver()
        if time.monotonic() - self._pruned_at_s > PRUNE_EVERY_S:
            self._pruned_at_s = time.monotonic()
            await self._webhooks.prune(KEEP_S)
        return bool(handed_out or tried)

    async def hand_out(self) -> int:
        """Create a delivery of each new event for each of its receivers; returns the number of events."""
        return await self._webhooks.hand_out(_Subscribers(self._hooks(), self._receivers, self._mask))

    async def deliver(self) -> int:
        """Attempt the due deliveries, one for each receiver, concurrently; returns their number."""
        hooks = {hook.name: hook for hook in self._hooks()}
        prefixes = self._receivers.prefixes if self._receivers else ()
        due = await self._webhooks.take_due(AT_ONCE, hooks.keys(), prefixes)
        if due:
            async with self._webhooks.held(due), asyncio.TaskGroup() as group:
                for delivery in due:
                    group.create_task(self._try(delivery, self._sender_of(hooks.get(delivery.hook))))
        return len(due)

    def _sender_of(self, hook: Hook | None) -> Callable[[WebhookDelivery], Awaitable[None]]:
        if hook is None:
            assert self._receivers is not None  # deliveries of unknown hooks were given up
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
            STANDARD_ID: delivery.id,
            STANDARD_TIMESTAMP: str(now_s),
            STANDARD_SIGNATURE: sign_standard(hook.secret, delivery.id, now_s, content),
        }
        await self._client.post(hook.url, content, headers, allow_private=hook.allow_private)

    async def _try(self, delivery: WebhookDelivery, send: Callable[[WebhookDelivery], Awaitable[None]]) -> None:
        try:
            await send(delivery)
        except TransientError as error:
            await self._later(delivery, error)
        except CountersignError as error:
            await self._conclude(delivery, FAILED, error.problem.message)
        except Exception:  # noqa: BLE001 (one broken delivery must not stop the others)
            log.exception("delivery_broke", delivery=delivery.id, hook=delivery.hook)
            await self._later(delivery, TransientError("broke", "an error in Countersign"))
        else:
            await self._conclude(delivery, SENT, None)

    async def _later(self, delivery: WebhookDelivery, error: TransientError) -> None:
        problem = error.problem.message
        if delivery.attempt >= TRIES:
            await self._conclude(delivery, FAILED, f"{problem}, {TRIES} times")
            return
        wait_s = max(WAITS_S[delivery.attempt - 1] * random.uniform(1, 1.1), error.retry_after_s or 0)  # noqa: S311
        log.info("delivery_put_off", hook=delivery.hook, delivery=delivery.id, wait_s=round(wait_s), problem=problem)
        await self._webhooks.put_off(delivery, wait_s, problem)

    async def _conclude(self, delivery: WebhookDelivery, state: str, problem: str | None) -> None:
        await self._webhooks.conclude(delivery, state, problem)
        if problem is not None:
            log.warning("delivery_failed", hook=delivery.hook, delivery=delivery.id, problem=problem)


def _kind_of(body: str) -> str:
    return str(json.loads(body)["event"]["kind"])
