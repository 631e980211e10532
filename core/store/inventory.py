"""The rows of the inventory: the newest snapshot of each endpoint, drains, hardware, and what was learned."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import update
from sqlmodel import col, select

from core.model.circuit_breaker import CircuitBreaker
from core.model.endpoint_snapshot import EndpointSnapshot
from core.model.family_figures import FamilyTimings, MemoryCorrection, TimingKind
from core.model.inventory import HostHardware, ServerState
from core.model.job import JobKind, JobState
from core.store.database import from_ms, to_ms
from core.store.inventory_tables import EndpointRow, FamilyMemoryRow, FamilyTimingRow
from core.store.tables import JobRow, NodeRow
from core.store.unit_of_work import Tx
from core.store.upsert import insert_into


@dataclass(frozen=True, slots=True)
class Drain:
    """Who wants an endpoint to get no new work, why and since when; `by` is None for the local operator."""

    reason: str
    by: str | None
    at: datetime

    def to_json(self) -> dict[str, str | None]:
        """The ``drained`` object of ``endpoints --json``."""
        return {"reason": self.reason, "by": self.by, "at": self.at.isoformat()}


@dataclass(frozen=True, slots=True)
class StoredEndpoint:
    """An endpoint's newest snapshot, if it was ever looked at, and its drain, if there is one."""

    snapshot: EndpointSnapshot | None
    drain: Drain | None


@dataclass(frozen=True, slots=True)
class StoredNode:
    """A node: what it offers, its hardware and when that was measured, if it was."""

    name: str
    offers: tuple[str, ...]
    hardware: HostHardware | None
    measured_at: datetime | None


async def snapshot_of(tx: Tx, endpoint: str) -> EndpointSnapshot | None:
    """The newest snapshot of an endpoint; None if it was never looked at."""
    value = (await tx.session.exec(select(EndpointRow.snapshot).where(EndpointRow.name == endpoint))).first()
    return EndpointSnapshot.from_json(value) if value else None


async def endpoints(tx: Tx) -> dict[str, StoredEndpoint]:
    """Every endpoint that was ever looked at or drained, configured now or not."""
    rows = await tx.session.exec(select(EndpointRow))
    return {row.name: _stored(row) for row in rows}


async def save_snapshot(tx: Tx, snapshot: EndpointSnapshot) -> None:
    """Keep the newest snapshot of an endpoint; a drain stays."""
    row = await _row(tx, snapshot.name)
    row.snapshot, row.state = snapshot.to_json(), snapshot.state.value
    row.checked_ms = to_ms(snapshot.checked_at) if snapshot.checked_at else tx.now_ms
    row.seen_ms = to_ms(snapshot.seen_at) if snapshot.seen_at else None
    tx.session.add(row)
    await tx.session.flush()


@dataclass(frozen=True, slots=True)
class EndpointGate:
    """What decides whether an endpoint may be asked: its drain, its state when it was last looked at, its breaker."""

    state: ServerState
    problem: str
    checked_ms: int
    drain: Drain | None
    failures: int
    openings: int
    open_until_ms: int
    is_trial_running: bool
    cause: str


async def gate(tx: Tx, endpoint: str) -> EndpointGate | None:
    """The gate of an endpoint; None when nothing is known of it."""
    row = await tx.session.get(EndpointRow, endpoint)
    return _gate(row) if row is not None else None


async def lock_gate(tx: Tx, endpoint: str) -> EndpointGate:
    """The gate of an endpoint, which no other transaction changes until this one ends."""
    return _gate(await _row(tx, endpoint))


async def save_breaker(tx: Tx, endpoint: str, breaker: CircuitBreaker, cause: str) -> None:
    """Keep the breaker of an endpoint, and why it failed last."""
    until_ms = round(breaker.until_s * 1000) if breaker.until_s is not None else 0
    await tx.session.execute(
        update(EndpointRow)
        .where(col(EndpointRow.name) == endpoint)
        .values(
            failures=breaker.failures,
            openings=breaker.openings,
            open_until_ms=until_ms,
            is_trial_running=breaker.is_trial_running,
            cause=cause,
        )
        .execution_options(synchronize_session=False)
    )


async def set_drain(tx: Tx, endpoint: str, *, by: str | None, reason: str) -> None:
    """Drain an endpoint."""
    row = await _row(tx, endpoint)
    row.drained_ms, row.drained_by, row.drained_reason = tx.now_ms, by, reason
    tx.session.add(row)
    await tx.session.flush()


async def clear_drain(tx: Tx, endpoint: str) -> None:
    """Let an endpoint get work again."""
    await tx.session.execute(
        update(EndpointRow)
        .where(col(EndpointRow.name) == endpoint)
        .values(drained_ms=None, drained_by=None, drained_reason="")
    )


async def nodes(tx: Tx) -> list[StoredNode]:
    """Every node that ever had a worker, by name."""
    rows = await tx.session.exec(select(NodeRow).order_by(col(NodeRow.name)))
    return [
        StoredNode(
            row.name,
            tuple(row.offers),
            HostHardware.from_json(row.hardware) if row.hardware else None,
            from_ms(row.hardware_ms) if row.hardware_ms is not None else None,
        )
        for row in rows
    ]


async def save_hardware(tx: Tx, node: str, hardware: HostHardware) -> None:
    """Keep what was measured of a node."""
    await tx.session.execute(
        update(NodeRow)
        .where(col(NodeRow.name) == node)
        .values(hardware=hardware.to_json(), hardware_ms=tx.now_ms)
        .execution_options(synchronize_session=False)
    )


async def work_under_way(tx: Tx) -> set[tuple[JobKind, str | None]]:
    """The kind and the lane of every job that runs."""
    rows = await tx.session.execute(
        select(JobRow.kind, JobRow.lane).where(JobRow.state == JobState.RUNNING.value).distinct()
    )
    return {(JobKind(kind), lane) for kind, lane in rows}


async def timings(tx: Tx) -> dict[tuple[str, str, TimingKind], FamilyTimings]:
    """The learned times by endpoint, family and kind."""
    rows = await tx.session.exec(select(FamilyTimingRow))
    return {
        (row.endpoint, row.family, TimingKind(row.kind)): FamilyTimings(row.count, row.average_s, tuple(row.recent))
        for row in rows
    }


async def add_timing(tx: Tx, endpoint: str, family: str, kind: TimingKind, seconds: float) -> None:
    """Learn from one more load, wake or unload."""
    row = await tx.session.get(FamilyTimingRow, (endpoint, family, kind.value), with_for_update=True)
    before = FamilyTimings(row.count, row.average_s, tuple(row.recent)) if row else FamilyTimings()
    after = before.after(seconds)
    await tx.session.merge(
        FamilyTimingRow(
            endpoint=endpoint,
            family=family,
            kind=kind.value,
            count=after.count,
            average_s=after.average_s,
            recent=list(after.recent),
            updated_ms=tx.now_ms,
        )
    )


async def corrections(tx: Tx) -> dict[tuple[str, str], MemoryCorrection]:
    """The learned corrections of memory estimates by endpoint and family."""
    rows = await tx.session.exec(select(FamilyMemoryRow))
    return {(row.endpoint, row.family): MemoryCorrection(row.factor, row.count) for row in rows}


async def add_observation(tx: Tx, endpoint: str, family: str, estimate_bytes: int, observed_bytes: int) -> None:
    """Learn from one more load: its estimate, and the memory that it was seen to take."""
    row = await tx.session.get(FamilyMemoryRow, (endpoint, family), with_for_update=True)
    before = MemoryCorrection(row.factor, row.count) if row else MemoryCorrection()
    after = before.after(estimate_bytes, observed_bytes)
    await tx.session.merge(
        FamilyMemoryRow(
            endpoint=endpoint,
            family=family,
            count=after.count,
            factor=after.factor,
            observed_bytes=observed_bytes,
            updated_ms=tx.now_ms,
        )
    )


async def _row(tx: Tx, endpoint: str) -> EndpointRow:
    """The row of an endpoint, locked; the first who needs it adds it."""
    row = await tx.session.get(EndpointRow, endpoint, with_for_update=True)
    if row is not None:
        return row
    blank = EndpointRow(name=endpoint, state=ServerState.UNKNOWN.value, checked_ms=0)
    insert = insert_into(tx, EndpointRow).values(blank.model_dump())
    await tx.session.execute(insert.on_conflict_do_nothing(index_elements=["name"]))
    return await tx.session.get_one(EndpointRow, endpoint, with_for_update=True)


def _gate(row: EndpointRow) -> EndpointGate:
    return EndpointGate(
        state=ServerState(row.state),
        problem=str(row.snapshot["problem"]) if row.snapshot else "",
        checked_ms=row.checked_ms,
        drain=_drain(row),
        failures=row.failures,
        openings=row.openings,
        open_until_ms=row.open_until_ms,
        is_trial_running=row.is_trial_running,
        cause=row.cause,
    )


def _drain(row: EndpointRow) -> Drain | None:
    if row.drained_ms is None:
        return None
    return Drain(row.drained_reason, row.drained_by, from_ms(row.drained_ms))


def _stored(row: EndpointRow) -> StoredEndpoint:
    return StoredEndpoint(EndpointSnapshot.from_json(row.snapshot) if row.snapshot else None, _drain(row))
