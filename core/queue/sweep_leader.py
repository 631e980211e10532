"""The sweeper: of all workers, the one with the lease for it runs the reconciler."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from core.log import log
from core.model.errors import TransientError
from core.queue.duty_lease import DutyLease
from core.queue.reconciler import Reconciler
from core.services.idle_looks import IdleLooks
from core.settings import SettingsSource
from core.store import leaders
from core.store.database import Database

SWEEP_EVERY_S: Final = 2.0
"""The time between two sweeps, unless a quarter of a lease is shorter."""


@dataclass(slots=True)
class Sweeper:
    """Sweeps on behalf of one worker while that is the leader; `wake` is called if a sweep changed something.

    See `DutyLease` for how long it leads. While nothing is committed it sweeps less often, but as soon as another
    worker counts as dead.
    """

    database: Database
    settings: SettingsSource
    reconciler: Reconciler
    worker: str
    wake: Callable[[], None]
    _duty: DutyLease = field(init=False)
    _idle: IdleLooks = field(init=False)

    def __post_init__(self) -> None:
        self._duty = DutyLease(self.database, self.settings, leaders.SWEEP, self.worker)
        self._idle = IdleLooks(self.database)

    async def run(self) -> None:
        """Sweep until cancelled."""
        every_s = min(SWEEP_EVERY_S, self.settings().timing.lease_s / 4)
        while True:
            try:
                if await self.leads():
                    await self._idle.unless_idle(self._sweep)
            except TransientError as error:
                log.warning("sweep_failed", problem=error.problem.message)
            await asyncio.sleep(every_s)

    async def leads(self) -> bool:
        """Whether this worker is the leader; it takes the lease if no worker has it."""
        return await self._duty.is_ours()

    async def _sweep(self) -> int:
        changed = await self.reconciler.sweep(self.worker)
        self._idle.look_within(self.reconciler.next_silence_s)
        if changed:
            self.wake()
        return changed
