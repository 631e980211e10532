"""Leader election: a duty that one of all workers has, as a lease by the database's clock."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CursorResult, or_, update
from sqlmodel import col

from core.store.tables import LeaderRow
from core.store.unit_of_work import Tx

SWEEP: Final = "sweep"
"""The duty of running the reconciler."""
INVENTORY: Final = "inventory"
"""The duty of looking at the model servers."""
FORECAST: Final = "forecast"
"""The duty of forecasting the queue, where no models are scheduled; else the granter does it."""
INSIGHT: Final = "insight"
"""The duty of counting the days for the page of insights."""
ALERTS: Final = "alerts"
"""The duty of evaluating objectives and of alerting operators."""
LEASES: Final = "leases"
"""The duty of granting model leases."""


async def lease_of(tx: Tx, duty: str) -> tuple[str | None, int]:
    """(worker, milliseconds left) of the lease on the duty; (None, 0) if no worker has it."""
    row = await tx.session.get(LeaderRow, duty, populate_existing=True)
    left_ms = row.until_ms - tx.now_ms if row is not None else 0
    return (row.worker, left_ms) if row is not None and left_ms > 0 else (None, 0)


async def lead(tx: Tx, duty: str, worker: str, lease_ms: int) -> bool:
    """Take the duty, or keep it, for `lease_ms` from now; False while another worker has it."""
    result = await tx.session.execute(
        update(LeaderRow)
        .where(
            col(LeaderRow.duty) == duty,
            or_(col(LeaderRow.worker) == worker, col(LeaderRow.until_ms) <= tx.now_ms),
        )
        .values(worker=worker, until_ms=tx.now_ms + lease_ms)
        .execution_options(synchronize_session=False)
    )
    return isinstance(result, CursorResult) and result.rowcount == 1


async def resign(tx: Tx, worker: str) -> None:
    """Give up every duty that `worker` has, so that another may take it at once."""
    await tx.session.execute(
        update(LeaderRow)
        .where(col(LeaderRow.worker) == worker)
        .values(worker=None, until_ms=0)
        .execution_options(synchronize_session=False)
    )
