"""Schedules: recurring requests, a row each; the process that makes a request moves its `next_ms` on."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import CursorResult, delete, func, update
from sqlmodel import col, select

from core.model.place import Place
from core.model.schedule import ACTIVE, Schedule
from core.store.message_tables import ScheduleRow
from core.store.unit_of_work import Tx


async def add(tx: Tx, schedule: Schedule) -> None:
    """Store a new schedule."""
    tx.session.add(
        ScheduleRow(
            id=schedule.id,
            person=schedule.person,
            surface=schedule.surface,
            place=schedule.place.to_json() if schedule.place else None,
            text=schedule.text,
            repo=schedule.repo,
            lane=schedule.lane,
            parameters=dict(schedule.parameters) or None,
            phrase=schedule.phrase,
            zone=schedule.zone,
            state=schedule.state,
            missed=schedule.missed,
            next_ms=schedule.next_ms,
            last_ms=schedule.last_ms,
            created_ms=schedule.created_ms,
            updated_ms=schedule.created_ms,
        )
    )
    await tx.session.flush()


async def get(tx: Tx, name: str, *, lock: bool = False) -> Schedule | None:
    """The schedule with this id, or None."""
    row = await tx.session.get(ScheduleRow, name, with_for_update=lock or None, populate_existing=True)
    return _schedule(row) if row else None


async def beginning(tx: Tx, start: str, limit: int) -> list[str]:
    """The ids that begin with `start`, in order, at most `limit`."""
    rows = await tx.session.exec(
        select(ScheduleRow.id)
        .where(col(ScheduleRow.id).startswith(start, autoescape=True))
        .order_by(col(ScheduleRow.id))
        .limit(limit)
    )
    return list(rows)


async def listed(tx: Tx, person: str | None = None) -> list[Schedule]:
    """All schedules, or one person's, the oldest first."""
    query = select(ScheduleRow)
    if person is not None:
        query = query.where(ScheduleRow.person == person)
    rows = await tx.session.exec(query.order_by(col(ScheduleRow.created_ms), col(ScheduleRow.id)))
    return [_schedule(row) for row in rows]


async def count_of(tx: Tx, person: str) -> int:
    """The number of schedules of a person."""
    result = await tx.session.execute(select(func.count()).where(ScheduleRow.person == person))
    return int(result.scalar_one())


async def remove(tx: Tx, name: str) -> bool:
    """Delete a schedule; False if there was none."""
    result = await tx.session.execute(delete(ScheduleRow).where(col(ScheduleRow.id) == name))
    return cast("CursorResult[Any]", result).rowcount == 1


async def set_state(tx: Tx, name: str, state: str, next_ms: int | None, problem: str | None = None) -> None:
    """Pause a schedule (`next_ms` None), or continue it at `next_ms`; `problem` is why it was paused."""
    await tx.session.execute(
        update(ScheduleRow)
        .where(col(ScheduleRow.id) == name)
        .values(state=state, next_ms=next_ms, updated_ms=tx.now_ms, problem=problem)
        .execution_options(synchronize_session=False)
    )


async def next_due_ms(tx: Tx) -> int | None:
    """When the next request is due, or was; None if no schedule is active. One index lookup."""
    query = select(func.min(ScheduleRow.next_ms)).where(ScheduleRow.state == ACTIVE)
    return (await tx.session.exec(query)).one()


async def due(tx: Tx, limit: int) -> list[Schedule]:
    """The schedules that are due, the longest due first."""
    rows = await tx.session.exec(
        select(ScheduleRow)
        .where(ScheduleRow.state == ACTIVE, col(ScheduleRow.next_ms) <= tx.now_ms)
        .order_by(col(ScheduleRow.next_ms), col(ScheduleRow.id))
        .limit(limit)
    )
    return [_schedule(row) for row in rows]


async def advance(tx: Tx, name: str, seen_ms: int, next_ms: int | None, *, made_ms: int | None = None) -> bool:
    """Move a schedule on from `seen_ms`; False if another process did, or it was paused or deleted meanwhile.

    `made_ms` is the time for which its request was made, None if that time was skipped.
    """
    values: dict[str, Any] = {"next_ms": next_ms, "updated_ms": tx.now_ms}
    if made_ms is not None:
        values["last_ms"] = made_ms
    result = await tx.session.execute(
        update(ScheduleRow)
        .where(col(ScheduleRow.id) == name, col(ScheduleRow.state) == ACTIVE, col(ScheduleRow.next_ms) == seen_ms)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", result).rowcount == 1


def _schedule(row: ScheduleRow) -> Schedule:
    return Schedule(
        id=row.id,
        person=row.person,
        surface=row.surface,
        place=Place.from_json(row.place) if row.place else None,
        text=row.text,
        repo=row.repo,
        lane=row.lane,
        phrase=row.phrase,
        zone=row.zone,
        state=row.state,
        missed=row.missed,
        next_ms=row.next_ms,
        last_ms=row.last_ms,
        created_ms=row.created_ms,
        parameters=row.parameters or {},
        problem=row.problem,
    )
