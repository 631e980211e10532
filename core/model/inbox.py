"""Inbound deliveries: what a platform handed over, as it is kept until it is processed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class InboxDelivery:
    """One delivery of a platform: `dedup` is the platform's own name of it, `kind` says what `body` is.

    It is processed `wait_ms` after it came, or later. `edits` and `rest_of` name an earlier delivery by its `dedup`:
    the one that this is a new version of, or the one whose text goes on in this one.
    """

    surface: str
    dedup: str
    kind: str
    body: dict[str, Any]
    wait_ms: int = 0

    @property
    def text(self) -> str:
        """The text that somebody wrote."""
        return str(self.body.get("text", ""))

    @property
    def edits(self) -> str:
        """The delivery that this one is a later version of; empty for a new message."""
        return str(self.body.get("edits", ""))

    @property
    def rest_of(self) -> str:
        """The delivery whose text goes on in this one; empty for a text of its own."""
        return str(self.body.get("rest_of", ""))


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """A kept delivery: `attempt` counts how often its processing began, `fence` names the lease of this time."""

    id: int
    delivery: InboxDelivery
    attempt: int
    received_ms: int
    fence: int = 0
