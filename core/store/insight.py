"""The figures by day: writing a day, and sums of a time."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, func, insert, select
from sqlmodel import col

from core.model.insight import Figure, Measure
from core.store.insight_table import DayFigureRow
from core.store.tables import TaskRow
from core.store.unit_of_work import Tx


async def replace_day(tx: Tx, day_ms: int, figures: Iterable[Figure]) -> None:
    """Write the figures of a day in the place of those that it had."""
    await tx.session.execute(delete(DayFigureRow).where(col(DayFigureRow.day_ms) == day_ms))
    rows = [
        {
            "day_ms": day_ms,
            "measure": figure.measure.value,
            "name": figure.name,
            "repository": figure.repository,
            "count": figure.count,
            "total": figure.total,
            "bins": {str(key): count for key, count in figure.bins.items()},
        }
        for figure in figures
    ]
    if rows:
        await tx.session.execute(insert(DayFigureRow), rows)


async def counted_days(tx: Tx, since_ms: int) -> dict[int, tuple[int, int]]:
    """The days from `since_ms` on that were counted: the newest event then, and when that was."""
    query = select(col(DayFigureRow.day_ms), col(DayFigureRow.count), col(DayFigureRow.total)).where(
        col(DayFigureRow.day_ms) >= since_ms, col(DayFigureRow.measure) == Measure.COUNTED.value
    )
    return {int(day): (int(event), int(at)) for day, event, at in await tx.session.execute(query)}


async def first_task_ms(tx: Tx, since_ms: int) -> int | None:
    """When the first task since then was requested."""
    query = select(func.min(col(TaskRow.created_ms))).where(col(TaskRow.created_ms) >= since_ms)
    return (await tx.session.execute(query)).scalar()


async def since(tx: Tx, since_ms: int) -> list[tuple[int, Figure]]:
    """The day and the figures of all days from `since_ms` on, in their order."""
    row = DayFigureRow
    columns = (row.day_ms, row.measure, row.name, row.count, row.total, row.bins, row.repository)
    query = select(*map(col, columns)).where(col(row.day_ms) >= since_ms).order_by(col(row.day_ms))
    return [
        (
            day,
            Figure(Measure(measure), name, count, total, {int(key): value for key, value in bins.items()}, repository),
        )
        for day, measure, name, count, total, bins, repository in await tx.session.execute(query)
    ]
