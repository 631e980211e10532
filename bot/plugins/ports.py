"""What plugins are written against: the context of a factory, and the two ports that only plugins implement.

Plugins also implement ports of `core.ports` and `bot.surfaces.port`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from core.model.change import Change
from core.model.decision import ApprovalRequirements
from core.model.errors import Problem
from core.model.lane import Lane
from core.model.staged_diff import GuardReport
from core.ports import BlobReader

if TYPE_CHECKING:
    from lanes.sandbox import Sandbox


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


@dataclass(frozen=True, slots=True)
class PluginContext:
    """What a plugin works with: its `name`, and its `settings` from countersign.yaml.

    `sandbox` returns the sandbox of a kind (bwrap, podman, docker, landlock), or the problem why this host has none.
    `log` is a structlog logger with the plugin's name bound.
    """

    name: str
    settings: Mapping[str, Any]
    folder: Path
    sandbox: Callable[[str], Sandbox | Problem]
    log: Any = field(repr=False)

    @property
    def scratch(self) -> Path:
        """The plugin's own folder in the home's state, created when it is first read; never deleted."""
        for folder in (*self.folder.parents[1::-1], self.folder):
            folder.mkdir(mode=0o700, exist_ok=True)
        return self.folder
