"""Adding a lane's file to the home by an admin, with its event in the audit trail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from core.model.role import Role
from core.model.turn import Actor
from core.rules.authorization import Authorization
from core.settings import SettingsSource
from core.store import events
from core.store.database import Database
from core.store.unit_of_work import Tx, writes


@dataclass(frozen=True, slots=True)
class LaneImports:
    """Lets admins and the operator of the home add and replace lanes."""

    database: Database
    settings: SettingsSource

    def check(self, actor: Actor) -> None:
        """Raise `RefusedError` unless `actor` may add lanes."""
        Authorization(self.settings).check_home_role(actor, Role.ADMIN)

    @writes
    async def add(self, tx: Tx, actor: Actor, lane: str, digest: str, write: Callable[[], None]) -> None:
        """Record that `actor` adds the lane with this digest, and `write` its file, which may be called again.

        Raises what `write` raises; then nothing is recorded.
        """
        self.check(actor)
        await events.append(
            tx,
            number=events.SYSTEM,
            kind="lane.imported",
            person=actor.person,
            surface=actor.surface,
            body={"lane": lane, "digest": digest},
        )
        await asyncio.to_thread(write)
