"""The audit trail: append-only events, chained by hash within each task (`core.model.event`)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import func
from sqlmodel import col, select

from core.model.event import GENESIS, Event, canonical, link
from core.model.place import RepositoryScope
from core.store.database import from_ms
from core.store.tables import EventRow, TaskRow
from core.store.unit_of_work import Tx

SYSTEM = 0
"""The `number` of events that belong to no task."""


async def append(
    tx: Tx,
    *,
    number: int,
    kind: str,
    person: str | None = None,
    surface: str | None = None,
    body: dict[str, Any] | None = None,
) -> EventRow:
    """Add an event to the end of its task's chain; the caller's transaction has locked the task."""
    last = (
        await tx.session.exec(
            select(EventRow).where(EventRow.number == number).order_by(col(EventRow.seq).desc()).limit(1)
        )
    ).first()
    seq, previous = (last.seq + 1, last.hash) if last else (1, GENESIS)
    body_json = canonical(body or {})
    row = EventRow(
        number=number,
        seq=seq,
        kind=kind,
        at_ms=tx.now_ms,
        person=person,
        surface=surface,
        body=body_json,
        previous=previous,
        hash=link(previous, number, seq, kind, tx.now_ms, person, surface, body_json),
    )
    tx.session.add(row)
    await tx.session.flush()
    return row


async def chain_of(tx: Tx, number: int) -> list[Event]:
    """All events of a task, in order."""
    rows = await tx.session.exec(select(EventRow).where(EventRow.number == number).order_by(col(EventRow.seq)))
    return [_event(row) for row in rows]


async def of_kinds(tx: Tx, numbers: Collection[int], kinds: Collection[str]) -> dict[int, list[Event]]:
    """The events of some kinds of tasks, in order; tasks without such events are left out."""
    if not numbers:
        return {}
    rows = await tx.session.exec(
        select(EventRow)
        .where(col(EventRow.number).in_(numbers), col(EventRow.kind).in_(kinds))
        .order_by(col(EventRow.number), col(EventRow.seq))
    )
    found: dict[int, list[Event]] = {}
    for row in rows:
        found.setdefault(row.number, []).append(_event(row))
    return found


async def last_id(tx: Tx, number: int) -> int:
    """The id of a task's newest event; 0 if it has none."""
    newest = select(EventRow.id).where(EventRow.number == number).order_by(col(EventRow.seq).desc()).limit(1)
    return (await tx.session.exec(newest)).first() or 0


async def newest_id(tx: Tx) -> int:
    """The id of the newest event of all; 0 without any."""
    return (await tx.session.exec(select(EventRow.id).order_by(col(EventRow.id).desc()).limit(1))).first() or 0


async def since(
    tx: Tx,
    *,
    after_id: int = 0,
    number: int | None = None,
    since_ms: int | None = None,
    limit: int = 1000,
) -> list[Event]:
    """Events after `after_id`, oldest first, at most `limit`."""
    query = select(EventRow).where(col(EventRow.id) > after_id)
    if number is not None:
        query = query.where(EventRow.number == number)
    if since_ms is not None:
        query = query.where(EventRow.at_ms >= since_ms)
    rows = await tx.session.exec(query.order_by(col(EventRow.id)).limit(limit))
    return [_event(row) for row in rows]


async def newest(tx: Tx, number: int, before_id: int | None, limit: int) -> list[Event]:
    """The newest events of a task (0: of the system), or those before the one with the id `before_id`."""
    query = select(EventRow).where(EventRow.number == number)
    if before_id is not None:
        query = query.where(col(EventRow.id) < before_id)
    rows = await tx.session.exec(query.order_by(col(EventRow.id).desc()).limit(limit))
    return [_event(row) for row in rows]


async def since_with_task(
    tx: Tx, *, after_id: int, number: int | None, since_ms: int | None, limit: int
) -> list[tuple[Event, str | None, RepositoryScope, str]]:
    """Like `since`, with the repository, the scope and the requester of each event's task.

    They are None, no limits and empty for an event of the system.
    """
    query = (
        select(EventRow, TaskRow.repo, TaskRow.scope, TaskRow.requester)
        .outerjoin(TaskRow, col(TaskRow.number) == col(EventRow.number))
        .where(col(EventRow.id) > after_id)
    )
    if number is not None:
        query = query.where(EventRow.number == number)
    if since_ms is not None:
        query = query.where(EventRow.at_ms >= since_ms)
    rows = await tx.session.exec(query.order_by(col(EventRow.id)).limit(limit))
    return [(_event(row), repo, RepositoryScope.from_json(scope), by or "") for row, repo, scope, by in rows]


async def numbers_between(tx: Tx, since_ms: int, until_ms: int) -> tuple[int, ...]:
    """The numbers that have an event from `since_ms` on and before `until_ms`, in order."""
    rows = await tx.session.exec(
        select(EventRow.number)
        .where(col(EventRow.at_ms) >= since_ms, col(EventRow.at_ms) < until_ms)
        .distinct()
        .order_by(col(EventRow.number))
    )
    return tuple(rows)


async def count_by_kind(tx: Tx, since_ms: int) -> dict[str, int]:
    """The number of events of each kind since `since_ms`."""
    rows = await tx.session.execute(
        select(EventRow.kind, func.count()).where(col(EventRow.at_ms) >= since_ms).group_by(EventRow.kind)
    )
    return {str(kind): int(count) for kind, count in rows}


def _event(row: EventRow) -> Event:
    assert row.id is not None
    return Event(
        row.id,
        row.number,
        row.seq,
        row.kind,
        from_ms(row.at_ms),
        row.at_ms,
        row.person,
        row.surface,
        row.body,
        row.previous,
        row.hash,
    )
