"""Delivers every event to the notifiers of plugins, through the same rows as webhooks: at least once and in order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bot.integrations.webhooks.hooks import body_of
from bot.integrations.webhooks.sender import WebhookReceivers
from bot.plugins.ports import Notifier
from core.model.errors import CountersignError, PermanentError, TransientError

if TYPE_CHECKING:
    from core.model.event import Event
    from core.model.masking import Mask
    from core.model.task import Task
    from core.model.turn import Turn
    from core.model.webhook_delivery import WebhookDelivery

PREFIX: Final = "plugin:"
NOTIFY_S: Final = 45.0
"""Shorter than a delivery's lease (`core.store.outbox.LEASE_MS`), so that no other process attempts it meanwhile."""


@dataclass(frozen=True, slots=True)
class PluginNotifiers:
    """Webhook receivers that add one named ``plugin:NAME`` for each notifier to `builtin`.

    `mask` removes secrets from what the notifiers receive.
    """

    builtin: WebhookReceivers
    notifiers: Mapping[str, Notifier]
    mask: Mask
    notify_s: float = NOTIFY_S

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The prefixes of the receivers' names."""
        return (*self.builtin.prefixes, PREFIX)

    def wants(self, _event: Event) -> bool:
        """Every notifier receives every event."""
        return True

    def owed(self, event: Event, task: Task | None, turns: Sequence[Turn]) -> Mapping[str, str]:
        """The deliveries that an event owes: one to each notifier, and those of `builtin`."""
        deliveries = dict(self.builtin.owed(event, task, turns))
        for name, notifier in self.notifiers.items():
            include_text = getattr(notifier, "include_text", False) is True
            deliveries[f"{PREFIX}{name}"] = body_of(event, task, include_text=include_text, mask=self.mask)
        return deliveries

    async def deliver(self, delivery: WebhookDelivery) -> None:
        """Notify the plugin; any error but `PermanentError` is retried later."""
        if not delivery.hook.startswith(PREFIX):
            await self.builtin.deliver(delivery)
            return
        name = delivery.hook.removeprefix(PREFIX)
        notifier = self.notifiers.get(name)
        if notifier is None:
            raise PermanentError("no_notifier", f"The notifier {name} is no longer enabled", "Enable it again.")
        try:
            async with asyncio.timeout(self.notify_s):
                await notifier.notify({"delivery": delivery.id, **json.loads(delivery.body)})
        except CountersignError:
            raise
        except TimeoutError as error:
            message = f"the notifier {name} did not finish within {self.notify_s:g} s"
            raise TransientError("not_taken", message, "Countersign tries again.") from error
        except Exception as error:
            message = f"the notifier {name} failed: {type(error).__name__}: {error}"[:300]
            raise TransientError("not_taken", message, "Countersign tries again.") from error
