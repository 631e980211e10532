"""Workers and their nodes: which workers are alive, and which capabilities they offer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, update
from sqlmodel import col, select

from core.model.errors import ConflictError
from core.store.database import from_ms
from core.store.tables import NodeRow, WorkerRow
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


async def register(tx: Tx, row: WorkerRow, offers: Iterable[str] = ()) -> None:
    """Add a worker and the capabilities of its node; a worker registers before it claims jobs."""
    await _check_node_is_one_host(tx, row)
    tx.session.add(row)
    node = await tx.session.get(NodeRow, row.node) or NodeRow(name=row.node, offers=[], updated_ms=tx.now_ms)
    node.offers, node.updated_ms = sorted(offers), tx.now_ms
    tx.session.add(node)
    await tx.session.flush()


async def _check_node_is_one_host(tx: Tx, row: WorkerRow) -> None:
    """Raise `ConflictError` when a living worker of another host has the same node: its GPUs would be mixed up."""
    same_node = WorkerRow.node == row.node, WorkerRow.state == ALIVE, WorkerRow.host != row.host
    other = (await tx.session.exec(select(WorkerRow.host).where(*same_node).limit(1))).first()
    if other is not None:
        raise ConflictError(
            "node_taken",
            f"the host {other} already runs workers as the node {row.node!r}, and this host is {row.host}",
            "Give this one another name with `--node`; if the other worker just ended, wait a few seconds.",
        )


async def beat(tx: Tx, worker: str) -> bool:
    """Record that `worker` is alive; False if it was declared dead and must exit."""
    result = await tx.session.execute(
        update(WorkerRow)
        .where(col(WorkerRow.id) == worker, col(WorkerRow.state) == ALIVE)
        .values(heartbeat_ms=tx.now_ms)
    )
    return int(getattr(result, "rowcount", -1)) == 1


async def is_alive(tx: Tx, worker: str) -> bool:
    """Whether `worker` is neither stopped nor declared dead."""
    rows = await tx.session.exec(select(WorkerRow.id).where(WorkerRow.id == worker, WorkerRow.state == ALIVE))
    return rows.first() is not None


async def stop(tx: Tx, worker: str) -> None:
    """Record that `worker` stopped."""
    await tx.session.execute(
        update(WorkerRow).where(col(WorkerRow.id) == worker).values(state=STOPPED, heartbeat_ms=tx.now_ms)
    )


async def oldest_heartbeat_ms(tx: Tx, but: str = "") -> int | None:
    """The time of the oldest last heartbeat of all living workers except `but`; None if there is no other."""
    query = select(func.min(WorkerRow.heartbeat_ms)).where(WorkerRow.state == ALIVE, col(WorkerRow.id) != but)
    return (await tx.session.exec(query)).one()


async def declare_dead(tx: Tx, silent_since_ms: int, but: str = "") -> list[str]:
    """Declare every worker dead, except `but`, that sent no heartbeat since `silent_since_ms`; returns their ids."""
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
    """Every worker that is neither stopped nor declared dead."""
    rows = await tx.session.exec(select(WorkerRow).where(WorkerRow.state == ALIVE))
    return [WorkerView(r.id, r.node, r.host, r.pid, r.state, from_ms(r.heartbeat_ms)) for r in rows]


async def offered(tx: Tx) -> list[frozenset[str]]:
    """The capabilities of each node that has a living worker."""
    living = select(WorkerRow.node).where(WorkerRow.state == ALIVE)
    rows = await tx.session.exec(select(NodeRow.offers).where(col(NodeRow.name).in_(living)))
    return [frozenset(offers) for offers in rows]


def _silent(since_ms: int, but: str) -> tuple[Any, ...]:
    return WorkerRow.state == ALIVE, col(WorkerRow.heartbeat_ms) < since_ms, col(WorkerRow.id) != but
