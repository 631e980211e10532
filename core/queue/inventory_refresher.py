"""The inventory refresher: every worker measures its host, and one of all looks at the model servers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from core.log import fault_of, log
from core.model.errors import CountersignError
from core.ports.inventory import EndpointWatch, HardwareReader
from core.queue.duty_lease import DutyLease
from core.services.inventory import Inventory

REFRESH_EVERY_S: Final = 5.0
LEAST_LEASE_S: Final = 3 * REFRESH_EVERY_S
"""The leader keeps its duty between two looks, and with it what it knows of the canaries."""
MEASURE_EVERY: Final = 2
"""The host is measured in one of so many rounds."""


@dataclass(frozen=True, slots=True)
class InventoryRefresher:
    """Keeps the inventory up to date on behalf of one worker, for its `node`; failures are logged, and never end it.

    `lease` is that of the duty `core.store.leaders.INVENTORY`. Once `wake` is set it looks at once.
    """

    inventory: Inventory
    lease: DutyLease
    watch: EndpointWatch
    hardware: HardwareReader
    node: str
    every_s: float = REFRESH_EVERY_S
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Refresh again and again, until cancelled."""
        try:
            rounds = 0
            while True:
                try:
                    await self.refresh(measures=rounds % MEASURE_EVERY == 0)
                except CountersignError as error:
                    log.warning("inventory_not_refreshed", problem=error.problem.message)
                except Exception as error:  # noqa: BLE001 - a server's odd answer must not stop the worker
                    log.error("inventory_broke", **fault_of(error))
                rounds += 1
                await self._sleep()
        finally:
            self.watch.close()

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(self.every_s):
                await self.wake.wait()
        except TimeoutError:
            pass
        self.wake.clear()

    async def refresh(self, *, measures: bool = True) -> None:
        """Measure the host, and look at every endpoint if this worker is the one that does."""
        if measures:
            await self.inventory.record_hardware(self.node, await self.hardware.read())
        if not self.watch.names() or not await self.lease.is_ours():
            return
        state = await self.inventory.state()
        seen = await self.watch.look(state.snapshots, state.hardware, state.in_use, state.now)
        await self.inventory.record(seen, state.snapshots)
