"""The two ports that only plugins have; the others are Executor and Forge of `core.ports`, and `bot.surfaces.port`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from core.model.change import Change
from core.model.decision import ApprovalRequirements
from core.model.lane import Lane
from core.model.staged_diff import GuardReport
from core.ports import BlobReader


class ExtraGuard(Protocol):
    """Judges a change beside our own guard: what it finds is added, and takes nothing of ours away.

    It may also have ``leaks(text) -> bool``: whether a short text must not leave for the forge.
    """

    async def judge(self, change: Change, lane: Lane, terms: ApprovalRequirements, read: BlobReader) -> GuardReport:
        """What it finds; one finding that blocks, blocks the change."""


class Notifier(Protocol):
    """Is told of every event, at least once and in order.

    With an attribute ``include_text = True`` it is also told what people and models wrote.
    """

    async def notify(self, event: Mapping[str, Any]) -> None:
        """`event` has ``delivery`` (the same for every try), ``event`` and ``task``, as docs/webhooks.md tells them.

        Raises `TransientError` to be told again later, `PermanentError` to be told no more of this one.
        """
