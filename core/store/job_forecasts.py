"""The rows of forecasts, and the rows that forecasts are made from: unfinished jobs and what finished ones took."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

from sqlalchemy import delete, func, update
from sqlmodel import col, select

from core.model.job import ACTIVE, JobKind, JobState
from core.model.queue_forecast import AnnouncedForecast, Interval, JobForecast, StoredForecast
from core.store.database import from_ms, to_ms
from core.store.forecast_tables import JobForecastRow
from core.store.lease_table import ModelLeaseRow
from core.store.message_tables import CardRow
from core.store.tables import JobRow, WorkerRow
from core.store.unit_of_work import Tx
from core.store.upsert import insert_into
from core.store.workers import ALIVE

_BATCH: Final = 1000
"""How many ids are looked up in one statement."""
_ROWS: Final = 100
"""How many rows are written in one statement."""
T = TypeVar("T", str, int)


@dataclass(frozen=True, slots=True)
class UnfinishedJob:
    """What a forecast needs to know of a job that runs or is ready; times are UTC milliseconds since the epoch."""

    id: str
    number: int
    kind: JobKind
    lane: str
    person: str
    owner: str | None
    claimed_ms: int | None


async def of_job(tx: Tx, job: str) -> StoredForecast | None:
    """The newest forecast of a job, however old."""
    row = await tx.session.get(JobForecastRow, job, populate_existing=True)
    return _stored(row) if row is not None else None


async def every(tx: Tx) -> dict[str, StoredForecast]:
    """Every stored forecast by job, however old."""
    return {row.job: _stored(row) for row in await tx.session.exec(select(JobForecastRow))}


async def any_stored(tx: Tx) -> bool:
    """Whether there is a forecast of any job, however old."""
    return (await tx.session.exec(select(JobForecastRow.job).limit(1))).first() is not None


async def save(tx: Tx, forecasts: Iterable[StoredForecast]) -> None:
    """Keep forecasts instead of the earlier ones of their jobs."""
    rows = [_row(each) for each in forecasts]
    for first in range(0, len(rows), _ROWS):
        insert = insert_into(tx, JobForecastRow).values(rows[first : first + _ROWS])
        new = {name: insert.excluded[name] for name in rows[0] if name != "job"}
        await tx.session.execute(insert.on_conflict_do_update(index_elements=["job"], set_=new))


async def confirm(tx: Tx, jobs: Collection[str]) -> None:
    """Record that the stored forecasts of these jobs still hold."""
    for batch in _batches(jobs):
        await tx.session.execute(
            update(JobForecastRow)
            .where(col(JobForecastRow.job).in_(batch))
            .values(made_ms=tx.now_ms)
            .execution_options(synchronize_session=False)
        )


async def forget_finished(tx: Tx, jobs: Collection[str]) -> None:
    """Delete the forecasts of those of these jobs that are finished."""
    active = [state.value for state in ACTIVE]
    for batch in _batches(jobs):
        alive = set(
            await tx.session.exec(select(JobRow.id).where(col(JobRow.id).in_(batch), col(JobRow.state).in_(active)))
        )
        await tx.session.execute(
            delete(JobForecastRow)
            .where(col(JobForecastRow.job).in_([job for job in batch if job not in alive]))
            .execution_options(synchronize_session=False)
        )


async def columns_of(tx: Tx, jobs: Collection[str]) -> dict[str, UnfinishedJob]:
    """What a forecast needs to know of these jobs, by id."""
    found: dict[str, UnfinishedJob] = {}
    for batch in _batches(jobs):
        query = select(JobRow).where(col(JobRow.id).in_(batch))
        for row in await tx.session.exec(query):
            kind = JobKind(row.kind)
            found[row.id] = UnfinishedJob(
                row.id, row.number, kind, row.lane or "", row.person, row.owner, row.claimed_ms
            )
    return found


async def recent_runs(tx: Tx, limit: int) -> list[tuple[tuple[str, ...], float]]:
    """What the newest `limit` finished jobs took: kind and lane, and the seconds without waiting for models.

    The oldest come first. Only the last try of a job counts.
    """
    newest = (
        select(JobRow.id, JobRow.kind, JobRow.lane, JobRow.claimed_ms, JobRow.finished_ms, JobRow.ready_ms)  # type: ignore[call-overload]
        .where(
            JobRow.state == JobState.DONE.value,
            col(JobRow.claimed_ms).is_not(None),
            col(JobRow.finished_ms).is_not(None),
            JobRow.kind != JobKind.FOLLOW.value,
        )
        .order_by(col(JobRow.ready_ms).desc())
        .limit(limit)
        .subquery()
    )
    waited = func.sum(func.coalesce(ModelLeaseRow.granted_ms, ModelLeaseRow.ended_ms) - ModelLeaseRow.arrived_ms)
    rows = await tx.session.execute(
        select(newest.c.kind, newest.c.lane, newest.c.claimed_ms, newest.c.finished_ms, waited)  # type: ignore[call-overload]
        .outerjoin(ModelLeaseRow, col(ModelLeaseRow.job) == newest.c.id)
        .group_by(
            newest.c.id, newest.c.kind, newest.c.lane, newest.c.claimed_ms, newest.c.finished_ms, newest.c.ready_ms
        )
        .order_by(newest.c.ready_ms)
    )
    return [
        ((kind, lane or ""), max(0, int(finished) - int(claimed) - int(waited or 0)) / 1000)
        for kind, lane, claimed, finished, waited in rows
    ]


async def begun(tx: Tx, jobs: Collection[str]) -> set[str]:
    """Which of these jobs were given a model already: their work has begun."""
    found: set[str] = set()
    for batch in _batches(jobs):
        query = select(ModelLeaseRow.job).where(
            col(ModelLeaseRow.job).in_(batch), col(ModelLeaseRow.granted_ms).is_not(None)
        )
        found.update(str(job) for job in await tx.session.exec(query))
    return found


async def on_cards(tx: Tx, numbers: Collection[int]) -> set[int]:
    """Which of these tasks are shown on a card."""
    found: set[int] = set()
    for batch in _batches(numbers):
        query = select(CardRow.number).where(col(CardRow.number).in_(batch))
        found.update(await tx.session.exec(query))
    return found


async def living_workers(tx: Tx) -> list[tuple[str, str]]:
    """The id and the node of each worker that is alive."""
    rows = await tx.session.execute(select(WorkerRow.id, WorkerRow.node).where(WorkerRow.state == ALIVE))
    return [(worker, node) for worker, node in rows]


def _batches(ids: Collection[T]) -> Iterable[list[T]]:
    every_id = list(ids)
    return (every_id[first : first + _BATCH] for first in range(0, len(every_id), _BATCH))


def _row(stored: StoredForecast) -> dict[str, Any]:
    forecast, announced = stored.forecast, stored.announced
    return {
        "job": stored.job,
        "number": stored.number,
        "made_ms": to_ms(stored.made_at),
        "before": forecast.before,
        "start": _list(forecast.start) if forecast.start is not None else None,
        "finish": _list(forecast.finish),
        "promised_ms": to_ms(stored.promised_at) if stored.promised_at is not None else None,
        "announced": [announced.before, *_list(announced.wait), float(announced.is_late), announced.at.timestamp()]
        if announced
        else None,
    }


def _list(interval: Interval) -> list[float]:
    return [round(interval.low, 1), round(interval.middle, 1), round(interval.high, 1)]


def _stored(row: JobForecastRow) -> StoredForecast:
    announced = None
    if row.announced is not None:
        before, low, middle, high, is_late, at_s = row.announced
        announced = AnnouncedForecast(
            int(before), Interval(low, middle, high), bool(is_late), from_ms(0) + timedelta(seconds=at_s)
        )
    start = Interval(*row.start) if row.start is not None else None
    return StoredForecast(
        job=row.job,
        number=row.number,
        forecast=JobForecast(start, Interval(*row.finish), row.before),
        made_at=from_ms(row.made_ms),
        promised_at=from_ms(row.promised_ms) if row.promised_ms is not None else None,
        announced=announced,
    )
