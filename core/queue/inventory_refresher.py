"""The inventory refresher: every worker measures its host, and one of all looks at the model servers."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final

from core.log import fault_of, log
from core.model.endpoint_snapshot import EndpointSnapshot
from core.model.errors import CountersignError
from core.model.inventory import ServerState
from core.ports.inventory import EndpointWatch, HardwareReader
from core.queue.duty_lease import DutyLease
from core.services.inventory import Inventory

REFRESH_EVERY_S: Final = 5.0
LEAST_LEASE_S: Final = 3 * REFRESH_EVERY_S
"""The leader keeps its duty between two looks, and with it what it knows of the canaries."""
EMPTY_FACTOR: Final = 2
"""While no model is loaded and none is used there is nothing to supervise, and looks are so many times as rare."""
MEASURE_EVERY_S: Final = 10.0
"""How often the host is measured, at most."""


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
        measured_s = float("-inf")
        try:
            while True:
                is_empty = False
                measures = time.monotonic() - measured_s >= MEASURE_EVERY_S - self.every_s / 2
                if measures:
                    measured_s = time.monotonic()
                try:
                    is_empty = await self.refresh(measures=measures)
                except CountersignError as error:
                    log.warning("inventory_not_refreshed", problem=error.problem.message)
                except Exception as error:  # noqa: BLE001 - a server's odd answer must not stop the worker
                    log.error("inventory_broke", **fault_of(error))
                await self._sleep(self.every_s * (EMPTY_FACTOR if is_empty else 1))
        finally:
            self.watch.close()

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.wake.wait()
        except TimeoutError:
            pass
        self.wake.clear()

    async def refresh(self, *, measures: bool = True) -> bool:
        """Measure the host, and look at every endpoint if this worker is the one that does.

        Returns whether nothing was changed, loaded or used there.
        """
        if measures:
            await self.inventory.record_hardware(self.node, await self.hardware.read())
        if not self.watch.names() or not await self.lease.is_ours():
            return False
        state = await self.inventory.state()
        seen = await self.watch.look(state.snapshots, state.hardware, state.in_use, state.now)
        await self.inventory.record(seen, state.snapshots)
        return not state.in_use and all(_is_empty(each, state.snapshots.get(each.name)) for each in seen)


def _is_empty(now: EndpointSnapshot, before: EndpointSnapshot | None) -> bool:
    """Whether an endpoint is up as before, and has no model loaded."""
    is_up = now.state is ServerState.UP and before is not None and before.state is ServerState.UP
    return is_up and not now.residents
