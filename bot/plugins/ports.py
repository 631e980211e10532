"""The ports that only plugins implement; plugins also implement ports of `core.ports` and `bot.surfaces.port`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from core.model.change import Change
from core.model.decision import ApprovalRequirements
from core.model.lane import Lane
from core.model.staged_diff import GuardReport
from core.ports import BlobReader


class ExtraGuard(Protocol):
    """Judges a change beside our own guard; it can add findings and remove none.

    It may also have ``leaks(text) -> bool``: whether a short text must not leave for the forge.
    """

    async def judge(self, change: Change, lane: Lane, terms: ApprovalRequirements, read: BlobReader) -> GuardReport:
        """Report findings; one finding with the verdict block blocks the change."""


class Notifier(Protocol):
    """Receives every event, at least once and in order.

    With an attribute ``include_text = True`` it also receives what people and models wrote.
    """

    async def notify(self, event: Mapping[str, Any]) -> None:
        """Handle one event: ``delivery`` (the same for every try), ``event`` and ``task``, see docs/webhooks.md.

        Raises `TransientError` to receive it again later, `PermanentError` to give up on this event.
        """
