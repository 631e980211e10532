"""The workers' rows: who claims jobs, and who has not been heard of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlmodel import col, select

from core.store.database import from_ms
from core.store.tables import WorkerRow
from core.store.unit_of_work import Tx

ALIVE, STOPPED, DEAD = "alive", "stopped", "dead"


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One worker as `stats` and `doctor` show it."""

    id: str
    node: str
    host: str
    pid: int
    state: str
    heartbeat_at: datetime
    offers: frozenset[str]


async def register(tx: Tx, row: WorkerRow) -> None:
    """Add a worker; it must be here before it claims anything."""
    tx.session.add(row)
    await tx.session.flush()


async def beat(tx: Tx, worker: str) -> bool:
    """Say that `worker` lives; False when it has been declared dead and must exit."""
    done = await tx.session.execute(
        update(WorkerRow)
        .where(col(WorkerRow.id) == worker, col(WorkerRow.state) == ALIVE)
        .values(heartbeat_ms=tx.now_ms)
    )
    return int(getattr(done, "rowcount", -1)) == 1


async def stop(tx: Tx, worker: str) -> None:
    """Say that `worker` ended by itself."""
    await tx.session.execute(
        update(WorkerRow).where(col(WorkerRow.id) == worker).values(state=STOPPED, heartbeat_ms=tx.now_ms)
    )


async def any_silent(tx: Tx, silent_since_ms: int, but: str = "") -> bool:
    """Whether `bury` would find anybody; one look at an index."""
    rows = await tx.session.exec(select(WorkerRow.id).where(*_silent(silent_since_ms, but)).limit(1))
    return rows.first() is not None


async def bury(tx: Tx, silent_since_ms: int, but: str = "") -> list[str]:
    """Declare dead every worker `but` the asking one that was not heard of since `silent_since_ms`; their ids."""
    rows = await tx.session.exec(
        select(WorkerRow).where(*_silent(silent_since_ms, but)).with_for_update(skip_locked=True)
    )
    silent = list(rows)
    for row in silent:
        row.state = DEAD
        tx.session.add(row)
    await tx.session.flush()
    return [row.id for row in silent]


async def alive(tx: Tx) -> list[WorkerView]:
    """Every worker believed to live."""
    rows = await tx.session.exec(select(WorkerRow).where(WorkerRow.state == ALIVE))
    return [
        WorkerView(r.id, r.node, r.host, r.pid, r.state, from_ms(r.heartbeat_ms), frozenset(r.offers)) for r in rows
    ]


def _silent(since_ms: int, but: str) -> tuple[Any, ...]:
    return WorkerRow.state == ALIVE, col(WorkerRow.heartbeat_ms) < since_ms, col(WorkerRow.id) != but
