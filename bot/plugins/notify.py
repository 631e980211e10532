"""Notifiers of plugins: told of every event through the same rows as webhooks, so at least once, and in order."""

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
    from core.model.task import Task
    from core.model.turn import Turn
    from core.model.webhook_delivery import WebhookDelivery

PREFIX: Final = "plugin:"
NOTIFY_S: Final = 45.0
"""Less than what a delivery is held for (`core.store.outbox.LEASE_MS`): nobody else tries it meanwhile."""


@dataclass(frozen=True, slots=True)
class PluginNotifiers:
    """Receivers for `WebhookSender`: `ours`, and one called ``plugin:NAME`` for each notifier."""

    ours: WebhookReceivers
    notifiers: Mapping[str, Notifier]
    notify_s: float = NOTIFY_S

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What their names begin with."""
        return (*self.ours.prefixes, PREFIX)

    def wants(self, _event: Event) -> bool:
        """Every notifier receives every event."""
        return True

    def owed(self, event: Event, task: Task | None, turns: Sequence[Turn]) -> Mapping[str, str]:
        """Every event to every notifier, and what `ours` owe."""
        found = dict(self.ours.owed(event, task, turns))
        for name, notifier in self.notifiers.items():
            include_text = getattr(notifier, "include_text", False) is True
            found[f"{PREFIX}{name}"] = body_of(event, task, include_text=include_text)
        return found

    async def deliver(self, delivery: WebhookDelivery) -> None:
        """Tell the notifier; whatever it raises that is no `PermanentError` is tried again later."""
        if not delivery.hook.startswith(PREFIX):
            await self.ours.deliver(delivery)
            return
        name = delivery.hook.removeprefix(PREFIX)
        notifier = self.notifiers.get(name)
        if notifier is None:
            raise PermanentError("no_notifier", f"The notifier {name} is not enabled any more", "Enable it again.")
        try:
            async with asyncio.timeout(self.notify_s):
                await notifier.notify({"delivery": delivery.id, **json.loads(delivery.body)})
        except CountersignError:
            raise
        except TimeoutError as error:
            message = f"the notifier {name} did not take it within {self.notify_s:g} s"
            raise TransientError("not_taken", message, "It is tried again.") from error
        except Exception as error:
            message = f"the notifier {name} broke: {type(error).__name__}: {error}"[:300]
            raise TransientError("not_taken", message, "It is tried again.") from error
