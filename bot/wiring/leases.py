"""Wires model leases: the client that this process waits with, and the granter of its worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.queue.duty_lease import DutyLease
from core.queue.lease_granter import LeaseGranter
from core.services.model_leases import ModelLeaseBook
from core.store import leaders
from lanes.inventory.control import ModelControl

if TYPE_CHECKING:
    from bot.wiring.app import App


def build_granter(app: App, worker: str) -> LeaseGranter:
    """The granter of a worker; the lease client of this process wakes it, and is woken by it."""
    client = app.lease_client
    granter = LeaseGranter(
        book=ModelLeaseBook(app.database),
        inventory=app.inventory,
        duty=DutyLease(app.database, app.settings, leaders.LEASES, worker),
        control=ModelControl(lambda: app.config.models().endpoints),
        on_change=client.notify,
    )
    client.wake_granter = granter.wake.set
    return granter
