"""How long granted leases waited, by class, and whether they were granted by the promised start."""

from __future__ import annotations

from sqlalchemy import case, func
from sqlmodel import col, select

from core.scheduler.demand import WorkClass
from core.scheduler.wait_figures import WaitFigures
from core.store.lease_table import ModelLeaseRow
from core.store.unit_of_work import Tx


async def between(tx: Tx, from_ms: int, to_ms: int) -> dict[WorkClass, WaitFigures]:
    """The figures of the leases that arrived from `from_ms` on, before `to_ms`, and were granted."""
    granted, arrived, due = col(ModelLeaseRow.granted_ms), col(ModelLeaseRow.arrived_ms), col(ModelLeaseRow.due_ms)
    rows = await tx.session.execute(
        select(
            col(ModelLeaseRow.is_chat),
            func.count(),
            func.sum(granted - arrived),
            func.sum(case((granted > due, 1), else_=0)),
        )
        .where(arrived >= from_ms, arrived < to_ms, granted.is_not(None))
        .group_by(col(ModelLeaseRow.is_chat))
    )
    figures = {each: WaitFigures() for each in WorkClass}
    for is_chat, count, wait_ms, broken in rows:
        work_class = WorkClass.CHAT if is_chat else WorkClass.BULK
        figures[work_class] = WaitFigures(int(count), float(wait_ms) / 1000, int(broken))
    return figures
