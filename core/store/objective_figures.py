"""The figures of a window of time: of days that were counted, and straight from the rows for the rest."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import func, select
from sqlmodel import col

from core.model.insight import DAY_MS, Figure
from core.store import events, insight, insight_count
from core.store.output_tables import EndpointLookRow
from core.store.unit_of_work import Tx
from core.store.upsert import insert_into

HOUR_MS: Final = 3600 * 1000
EXACT_MS: Final = 2 * DAY_MS
"""Windows up to this long end exactly now; longer ones are today and the days before."""
LOOKS_KEPT_MS: Final = 91 * DAY_MS


async def of_window(tx: Tx, window_ms: int) -> list[Figure]:
    """The figures of the last `window_ms`; the same name may occur once for each day."""
    if window_ms <= EXACT_MS:
        return await insight_count.between(tx, tx.now_ms - window_ms, tx.now_ms + 1)
    today_ms = tx.now_ms - tx.now_ms % DAY_MS
    since_ms = today_ms - (-(-window_ms // DAY_MS) - 1) * DAY_MS
    counted = await insight.counted_days(tx, since_ms)
    if counted.get(today_ms, (None, 0))[0] != await events.newest_id(tx):
        counted.pop(today_ms, None)  # something happened since
    figures = [figure for day_ms, figure in await insight.since(tx, since_ms) if day_ms in counted]
    for begin_ms, end_ms in _gaps(range(since_ms, today_ms + 1, DAY_MS), counted):
        figures += await insight_count.between(tx, begin_ms, end_ms)
    return figures


def _gaps(days: Sequence[int], counted: Collection[int]) -> list[tuple[int, int]]:
    """The spans of days that were not counted."""
    return [(day_ms, day_ms + DAY_MS) for day_ms in days if day_ms not in counted]


async def add_look(tx: Tx, endpoint: str, is_up: bool) -> None:  # noqa: FBT001 - a look is one or the other
    """Count one look at a model server within its hour."""
    hour_ms = tx.now_ms - tx.now_ms % HOUR_MS
    row = EndpointLookRow
    statement = insert_into(tx, row).values(endpoint=endpoint, hour_ms=hour_ms, looks=1, up=int(is_up))
    more = {"looks": col(row.looks) + 1, "up": col(row.up) + int(is_up)}
    await tx.session.execute(statement.on_conflict_do_update(index_elements=["endpoint", "hour_ms"], set_=more))


async def looks_since(tx: Tx, since_ms: int) -> dict[str, tuple[int, int]]:
    """By endpoint: (looks, looks that found it up) of the hours from that of `since_ms` on."""
    row = EndpointLookRow
    query = select(col(row.endpoint), func.sum(col(row.looks)), func.sum(col(row.up)))
    query = query.where(col(row.hour_ms) >= since_ms - since_ms % HOUR_MS).group_by(col(row.endpoint))
    return {str(name): (int(looks), int(up)) for name, looks, up in await tx.session.execute(query)}
