"""Wires the inventory: the probes of the configured endpoints, this host's hardware, and the worker's refresher."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from core.queue.duty_lease import DutyLease
from core.queue.inventory_refresher import LEAST_LEASE_S, InventoryRefresher
from core.store import leaders
from lanes.inventory.host import HostReader
from lanes.inventory.snapshots import SnapshotTaker

if TYPE_CHECKING:
    from bot.wiring.app import App

QUICK_LOOK_S: Final = 3.0
"""How long each request may take while a person waits for the list."""


def build_refresher(app: App, worker: str, node: str) -> InventoryRefresher:
    """The refresher of a worker on `node`."""
    return InventoryRefresher(
        inventory=app.inventory,
        lease=DutyLease(app.database, app.settings, leaders.INVENTORY, worker, LEAST_LEASE_S),
        watch=SnapshotTaker(lambda: app.config.models().endpoints, node),
        hardware=HostReader(),
        node=node,
    )


async def look_now(app: App) -> None:
    """Look at every endpoint once and record it; for commands, when no worker does so all the time.

    Raises `ConfigError` when the configuration of models is not valid.
    """
    here = socket.gethostname()
    state = await app.inventory.state()
    hardware = {**state.hardware, here: await HostReader().read()}
    taker = SnapshotTaker(lambda: app.config.models().endpoints, here, limit_s=QUICK_LOOK_S, sends_canaries=False)
    await app.inventory.record(await taker.look(state.snapshots, hardware, state.in_use, datetime.now(UTC)))
