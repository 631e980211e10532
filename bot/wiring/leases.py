"""Wires model leases: the client that this process waits with, and the granter of its worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.queue.duty_lease import DutyLease
from core.queue.lease_granter import LeaseGranter
from core.services.model_leases import ModelLeaseBook
from core.store import leaders

if TYPE_CHECKING:
    from bot.wiring.app import App
    from core.ports.leases import EndpointControl


@dataclass(frozen=True, slots=True)
class LateControl:
    """`core.ports.leases.EndpointControl` whose clients are imported with the first load."""

    app: App

    async def load(self, endpoint: str, model: str) -> None:
        """Load a model."""
        await self._control().load(endpoint, model)

    async def unload(self, endpoint: str, model: str) -> None:
        """Unload a model."""
        await self._control().unload(endpoint, model)

    def _control(self) -> EndpointControl:
        from lanes.inventory.control import ModelControl

        return ModelControl(lambda: self.app.config.models().endpoints)


def build_granter(app: App, worker: str, on_moved: Callable[[], None]) -> LeaseGranter:
    """The granter of a worker; the lease client of this process wakes it, and is woken by it.

    `on_moved` is called when a load ended.
    """
    client = app.lease_client
    granter = LeaseGranter(
        book=ModelLeaseBook(app.database),
        inventory=app.inventory,
        duty=DutyLease(app.database, app.settings, leaders.LEASES, worker),
        control=LateControl(app),
        on_change=client.notify,
        on_moved=on_moved,
    )
    client.wake_granter = granter.wake.set
    return granter
