"""Pausing and resuming the queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.model.turn import Actor
from core.rules.authorization import Authorization
from core.settings import SettingsSource
from core.store import switches
from core.store.database import Database
from core.store.unit_of_work import Tx, writes


@dataclass(frozen=True, slots=True)
class QueuePause:
    """Why the queue is paused, and who paused it; `by` is None for the local operator."""

    reason: str
    by: str | None

    def to_json(self) -> dict[str, Any]:
        """The ``paused`` object of ``queue --json``."""
        return {"reason": self.reason, "by": self.by}

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> QueuePause | None:
        """The stored pause; None if the queue is not paused."""
        return cls(str(value.get("reason") or ""), value.get("by")) if value else None


@dataclass(frozen=True, slots=True)
class QueueControl:
    """Stops workers from claiming jobs, and lets them claim again.

    Only maintainers and the local operator may do so; both methods raise `RefusedError` for others.
    """

    database: Database
    settings: SettingsSource

    @writes
    async def pause(self, tx: Tx, actor: Actor, reason: str) -> QueuePause:
        """Pause the queue: running jobs finish, no other job starts, requests are still accepted."""
        Authorization(self.settings).may_pause_queue(actor, "pause")
        pause = QueuePause(reason, actor.person)
        await switches.set_pause(tx, pause.to_json(), actor.person)
        return pause

    @writes
    async def resume(self, tx: Tx, actor: Actor) -> None:
        """Let workers claim jobs again."""
        Authorization(self.settings).may_pause_queue(actor, "resume")
        await switches.set_pause(tx, None, actor.person)
