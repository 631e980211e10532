"""Wires the inventory: the probes of the configured endpoints, this host's hardware, and the worker's refresher."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from core.model.endpoint_snapshot import EndpointSnapshot
from core.model.inventory import HostHardware
from core.queue.duty_lease import DutyLease
from core.queue.inventory_refresher import LEAST_LEASE_S, InventoryRefresher
from core.store import leaders
from lanes.inventory.host import HostReader

if TYPE_CHECKING:
    from bot.wiring.app import App
    from core.ports.inventory import EndpointWatch

QUICK_LOOK_S: Final = 3.0
"""How long each request may take while a person waits for the list."""


@dataclass(slots=True)
class LateWatch:
    """`core.ports.inventory.EndpointWatch` whose clients are imported when there is an endpoint to look at.

    A `serve` without models keeps several MiB less in memory.
    """

    app: App
    node: str
    _watch: EndpointWatch | None = None

    def names(self) -> frozenset[str]:
        """The names of the configured endpoints."""
        return frozenset(self.app.config.endpoint_kinds)

    async def look(
        self,
        known: Mapping[str, EndpointSnapshot],
        hardware: Mapping[str, HostHardware],
        in_use: frozenset[str],
        now: datetime,
    ) -> tuple[EndpointSnapshot, ...]:
        """See `core.ports.inventory.EndpointWatch.look`."""
        if self._watch is None:
            from lanes.inventory.snapshots import SnapshotTaker

            self._watch = SnapshotTaker(lambda: self.app.config.models().endpoints, self.node)
        return await self._watch.look(known, hardware, in_use, now)

    def close(self) -> None:
        """Give up what is under way."""
        if self._watch is not None:
            self._watch.close()


def build_refresher(app: App, worker: str, node: str, wake: asyncio.Event) -> InventoryRefresher:
    """The refresher of a worker on `node`, which looks at once when `wake` is set."""
    return InventoryRefresher(
        inventory=app.inventory,
        lease=DutyLease(app.database, app.settings, leaders.INVENTORY, worker, LEAST_LEASE_S),
        watch=LateWatch(app, node),
        hardware=HostReader(),
        node=node,
        wake=wake,
    )


async def look_now(app: App) -> None:
    """Look at every endpoint once and record it; for commands, when no worker does so all the time.

    Raises `ConfigError` when the configuration of models is not valid.
    """
    from lanes.inventory.snapshots import SnapshotTaker

    here = socket.gethostname()
    state = await app.inventory.state()
    hardware = {**state.hardware, here: await HostReader().read()}
    taker = SnapshotTaker(lambda: app.config.models().endpoints, here, limit_s=QUICK_LOOK_S, sends_canaries=False)
    await app.inventory.record(await taker.look(state.snapshots, hardware, state.in_use, state.now))
