"""The rows of model leases; every change of state is one UPDATE that names the states it may come from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from sqlalchemy import delete, func, update
from sqlmodel import col, select

from core.model.model_lease import ALIVE, LeaseState, ModelLease, ModelPlace, ModelWork
from core.store.lease_table import ModelLeaseRow
from core.store.unit_of_work import Tx, from_ms, to_ms

_ALIVE: Final = [state.value for state in ALIVE]


async def add(
    tx: Tx,
    model: str,
    work: ModelWork,
    *,
    key: str,
    kind: Iterable[str],
    until_ms: int,
    is_reservation: bool = False,
) -> str:
    """Add a lease that waits; returns its id."""
    row = ModelLeaseRow(
        id=tx.new_id("lease"),
        state=LeaseState.WAITING.value,
        model=model,
        job=work.job,
        is_chat=work.is_chat,
        key=key,
        kind=list(kind),
        arrived_ms=tx.now_ms,
        until_ms=until_ms,
        part=work.part,
        is_agent=work.is_agent,
        is_reservation=is_reservation,
        priority=work.priority,
        deadline_ms=to_ms(work.deadline_at) if work.deadline_at is not None else None,
    )
    tx.session.add(row)
    await tx.session.flush()
    return row.id


async def alive(tx: Tx) -> list[ModelLease]:
    """The leases that are waited for, granted or held, in the order of their arrival."""
    query = select(ModelLeaseRow).where(col(ModelLeaseRow.state).in_(_ALIVE))
    rows = await tx.session.exec(query.order_by(col(ModelLeaseRow.arrived_ms), col(ModelLeaseRow.id)))
    return [_lease(row) for row in rows]


async def of_ids(tx: Tx, ids: Collection[str]) -> dict[str, ModelLease]:
    """Each of these leases, however far it is."""
    rows = await tx.session.exec(select(ModelLeaseRow).where(col(ModelLeaseRow.id).in_(ids)))
    return {row.id: _lease(row) for row in rows}


async def arrived_since(tx: Tx, since_ms: int, limit: int) -> list[ModelLease]:
    """The newest leases that were asked for since `since_ms`, at most `limit`, however far they are."""
    query = select(ModelLeaseRow).where(
        col(ModelLeaseRow.state).in_([state.value for state in LeaseState]), col(ModelLeaseRow.arrived_ms) >= since_ms
    )
    return [
        _lease(row) for row in await tx.session.exec(query.order_by(col(ModelLeaseRow.arrived_ms).desc()).limit(limit))
    ]


async def of_jobs(tx: Tx, jobs: Collection[str]) -> list[ModelLease]:
    """The leases of these jobs that are alive."""
    query = select(ModelLeaseRow).where(col(ModelLeaseRow.job).in_(jobs), col(ModelLeaseRow.state).in_(_ALIVE))
    return [_lease(row) for row in await tx.session.exec(query.order_by(col(ModelLeaseRow.arrived_ms)))]


async def renew(tx: Tx, ids: Collection[str], until_ms: int) -> None:
    """Let these leases last until `until_ms`, but for those that are over or held."""
    renewable = [LeaseState.WAITING.value, LeaseState.GRANTED.value]
    await _update(tx, ids, renewable, {"until_ms": until_ms})


async def grant(tx: Tx, due_ms: Mapping[str, int], places: Mapping[str, ModelPlace], until_ms: int) -> None:
    """Grant leases that wait; `due_ms` is when each was promised to start, `places` is where it is granted."""
    for lease, due in due_ms.items():
        values = {"state": LeaseState.GRANTED.value, "granted_ms": tx.now_ms, "due_ms": due, "until_ms": until_ms}
        place = places[lease].to_json()
        await _update(tx, [lease], [LeaseState.WAITING.value], {**values, "reason": "", "place": place})


async def end(tx: Tx, ids: Collection[str]) -> None:
    """End leases, however far they are."""
    ended_ms = func.coalesce(ModelLeaseRow.ended_ms, tx.now_ms)
    await _update(tx, ids, _ALIVE, {"state": LeaseState.ENDED.value, "ended_ms": ended_ms})


async def hold(tx: Tx, lease: str, until_ms: int) -> None:
    """Hold a granted lease between two turns; `ended_ms` is when the turn ended."""
    values = {"state": LeaseState.HELD.value, "until_ms": until_ms, "ended_ms": tx.now_ms}
    await _update(tx, [lease], [LeaseState.GRANTED.value], values)


async def end_held(tx: Tx, jobs: Collection[str], model: str | None = None, part: str = "") -> None:
    """End what these jobs hold; if a model is named, of that model and for this part of the job.

    The next turn begins, or there is none.
    """
    held = [col(ModelLeaseRow.job).in_(jobs), col(ModelLeaseRow.state) == LeaseState.HELD.value]
    if model is not None:
        held += [col(ModelLeaseRow.model) == model, col(ModelLeaseRow.part) == part]
    await tx.session.execute(
        update(ModelLeaseRow)
        .where(*held)
        .values(state=LeaseState.ENDED.value)
        .execution_options(synchronize_session=False)
    )


async def prune(tx: Tx, before_ms: int) -> None:
    """Delete leases that ended before `before_ms`."""
    over = [LeaseState.ENDED.value, LeaseState.REFUSED.value]
    await tx.session.execute(
        delete(ModelLeaseRow)
        .where(col(ModelLeaseRow.state).in_(over), col(ModelLeaseRow.arrived_ms) < before_ms)
        .execution_options(synchronize_session=False)
    )


async def refuse(tx: Tx, reasons: Mapping[str, str]) -> None:
    """Refuse leases that wait, each with its reason."""
    for lease, reason in reasons.items():
        values = {"state": LeaseState.REFUSED.value, "ended_ms": tx.now_ms, "reason": reason}
        await _update(tx, [lease], [LeaseState.WAITING.value], values)


async def explain(tx: Tx, reasons: Mapping[str, str]) -> None:
    """Record why leases wait."""
    for lease, reason in reasons.items():
        await _update(tx, [lease], [LeaseState.WAITING.value], {"reason": reason})


async def recent(tx: Tx, limit: int) -> list[tuple[tuple[str, ...], float]]:
    """What the newest `limit` leases that were used took: their kind, and seconds from grant to end; oldest first."""
    query = select(ModelLeaseRow.kind, ModelLeaseRow.granted_ms, ModelLeaseRow.ended_ms).where(
        ModelLeaseRow.state == LeaseState.ENDED.value,
        col(ModelLeaseRow.granted_ms).is_not(None),
        col(ModelLeaseRow.is_reservation).is_(False),
    )
    rows = await tx.session.execute(query.order_by(col(ModelLeaseRow.arrived_ms).desc()).limit(limit))
    used = [
        (tuple(kind), (ended - granted) / 1000)
        for kind, granted, ended in rows
        if granted is not None and ended is not None
    ]
    return used[::-1]


async def _update(tx: Tx, ids: Collection[str], states: Iterable[str], values: dict[str, Any]) -> None:
    await tx.session.execute(
        update(ModelLeaseRow)
        .where(col(ModelLeaseRow.id).in_(ids), col(ModelLeaseRow.state).in_(list(states)))
        .values(**values)
        .execution_options(synchronize_session=False)
    )


def _lease(row: ModelLeaseRow) -> ModelLease:
    return ModelLease(
        id=row.id,
        state=LeaseState(row.state),
        model=row.model,
        work=ModelWork(
            row.job,
            row.is_chat,
            row.is_agent,
            row.priority,
            from_ms(row.deadline_ms) if row.deadline_ms is not None else None,
            row.part,
        ),
        key=row.key,
        kind=tuple(row.kind),
        arrived_at=from_ms(row.arrived_ms),
        until_at=from_ms(row.until_ms),
        granted_at=from_ms(row.granted_ms) if row.granted_ms is not None else None,
        due_at=from_ms(row.due_ms) if row.due_ms is not None else None,
        reason=row.reason,
        place=ModelPlace.from_json(row.place) if row.place else None,
        is_reservation=row.is_reservation,
    )
