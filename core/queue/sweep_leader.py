"""The sweeper: of all workers, the one with the lease for it runs the reconciler."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from core.log import log
from core.model.errors import TransientError
from core.queue.duty_lease import DutyLease
from core.queue.reconciler import Reconciler
from core.settings import SettingsSource
from core.store import leaders
from core.store.unit_of_work import RunsTransactions

SWEEP_EVERY_S: Final = 2.0
"""The time between two sweeps, unless a quarter of a lease is shorter."""


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Sweeps on behalf of one worker while that is the leader; `wake` is called if a sweep changed something.

    See `DutyLease` for how long it leads.
    """

    database: RunsTransactions
    settings: SettingsSource
    reconciler: Reconciler
    worker: str
    wake: Callable[[], None]

    async def run(self) -> None:
        """Sweep until cancelled."""
        every_s = min(SWEEP_EVERY_S, self.settings().timing.lease_s / 4)
        while True:
            try:
                if await self.leads() and await self.reconciler.sweep(self.worker):
                    self.wake()
            except TransientError as error:
                log.warning("sweep_failed", problem=error.problem.message)
            await asyncio.sleep(every_s)

    async def leads(self) -> bool:
        """Whether this worker is the leader; it takes the lease if no worker has it."""
        return await DutyLease(self.database, self.settings, leaders.SWEEP, self.worker).is_ours()
