"""The audit trail of the home for those who operate it: its newest events, and whether every chain still holds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from core.model.event import ChainCheck, Event, canonical
from core.model.masking import masked
from core.model.role import Role
from core.model.turn import Actor
from core.rules.authorization import Authorization
from core.settings import SettingsSource
from core.store import events
from core.store.database import Database
from core.store.unit_of_work import Tx, reads

PAGE: Final = 100
BATCH: Final = 2000
CHECK_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class ChainStatus:
    """The result of a check: how many events hold, the first fault, and whether every event was read in time."""

    checked: int
    fault: str | None
    is_whole: bool


@dataclass(frozen=True, slots=True)
class AuditTrail:
    """Reads events of the home, not of tasks; for operators, admins and the operator of the home."""

    database: Database
    settings: SettingsSource

    @reads
    async def page(self, tx: Tx, actor: Actor, before: int | None = None) -> tuple[Event, ...]:
        """The newest events of the home, or those before the one with the id `before`; secrets are masked.

        Raises `RefusedError` for a role that may not see them.
        """
        Authorization(self.settings).check_home_role(actor, Role.OPERATOR)
        return tuple(map(self._masked, await events.newest(tx, events.SYSTEM, before, PAGE)))

    async def check(self, actor: Actor, within_s: float = CHECK_S) -> ChainStatus:
        """Follow the chains of the home and of all tasks from their first events, for at most `within_s` seconds."""
        Authorization(self.settings).check_home_role(actor, Role.OPERATOR)
        check, last = ChainCheck(), 0
        try:
            async with asyncio.timeout(within_s):
                while batch := await self._batch(last):
                    if not await asyncio.to_thread(lambda: all(map(check.add, batch))):
                        break
                    last = batch[-1].id
        except TimeoutError:
            return ChainStatus(check.checked, check.fault, is_whole=False)
        return ChainStatus(check.checked, check.fault, is_whole=True)

    @reads
    async def _batch(self, tx: Tx, after: int) -> list[Event]:
        return await events.since(tx, after_id=after, limit=BATCH)

    def _masked(self, event: Event) -> Event:
        body: Mapping[str, Any] = json.loads(event.body)
        return replace(event, body=canonical(masked(body, self.settings().mask)))
