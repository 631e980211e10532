"""The queue's forecasts in the database: what they are made from, keeping them, and having cards tell them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from core.model.job import JobState, QueuedJob
from core.model.model_lease import ModelLease
from core.model.queue_forecast import AnnouncedForecast, Interval, JobForecast, StoredForecast
from core.rules.queue_situation import work_history, workers_slots
from core.scheduler.history import WorkHistory
from core.scheduler.situation import Slots
from core.settings import SettingsSource
from core.store import cards, job_forecasts, model_leases, model_loads, queue_queries, switches
from core.store.job_forecasts import UnfinishedJob
from core.store.unit_of_work import RunsTransactions, Tx, reads, writes

MOST_JOBS: Final = 1000
"""How many jobs are forecast, the first of the line; those behind go on as they do."""
WINDOW_S: Final = 900.0
"""What asked for models within this time is expected to go on at the same rate."""
_MOST_RECENT: Final = 500
_REMEMBERED_LEASES: Final = 2_000
_CHANGED_S: Final = 2.0
_CHANGED_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class QueueRows:
    """What a forecast starts from, as of `now`: the line, the workers' slots, leases, and the earlier forecasts.

    `begun` are the running jobs that were given a model already. A ready job is not in the line
    while the queue is paused.
    """

    now: datetime
    line: tuple[QueuedJob, ...]
    columns: Mapping[str, UnfinishedJob]
    slots: tuple[Slots, ...]
    leases: tuple[ModelLease, ...]
    recent: tuple[ModelLease, ...]
    begun: frozenset[str]
    stored: Mapping[str, StoredForecast]


@dataclass(frozen=True, slots=True)
class QueueForecasts:
    """Reads what forecasts are made from, and keeps them."""

    database: RunsTransactions
    settings: SettingsSource

    @reads
    async def is_needed(self, tx: Tx) -> bool:
        """Whether a job is in work or due, or something is left of one that was."""
        is_left = await job_forecasts.any_stored(tx) or bool(await model_loads.loading(tx))
        return is_left or await queue_queries.any_in_work(tx)

    @reads
    async def rows(self, tx: Tx) -> QueueRows:
        """What the next forecast starts from."""
        line = [each for each in await queue_queries.queue_line(tx, MOST_JOBS) if each.job.state in _FORECAST]
        if await switches.paused(tx) is not None:
            line = [each for each in line if each.job.state is JobState.RUNNING]
        running = [each.job.id for each in line if each.job.state is JobState.RUNNING]
        return QueueRows(
            now=tx.now,
            line=tuple(line),
            columns=await job_forecasts.columns_of(tx, [each.job.id for each in line]),
            slots=tuple(await workers_slots(tx, self.settings())),
            leases=tuple(await model_leases.alive(tx)),
            recent=tuple(await model_leases.arrived_since(tx, tx.now_ms - round(WINDOW_S * 1000), _MOST_RECENT)),
            begun=frozenset(await job_forecasts.begun(tx, running)),
            stored=await job_forecasts.every(tx),
        )

    @reads
    async def histories(self, tx: Tx) -> tuple[WorkHistory, WorkHistory]:
        """What recent jobs took by kind and lane, and what recent requests to models took by lane and model."""
        requests = WorkHistory()
        for kind, seconds in await model_leases.recent(tx, _REMEMBERED_LEASES):
            requests.observe(kind, seconds)
        return await work_history(tx), requests

    @writes
    async def record(
        self,
        tx: Tx,
        rows: QueueRows,
        forecasts: Mapping[str, JobForecast],
        promises: Mapping[str, datetime],
        loading: Mapping[str, str],
        edits: int,
    ) -> int:
        """Keep forecasts, and have at most `edits` cards tell what is news; returns how many are redrawn.

        `promises` are the starts that jobs are promised which have none yet, `loading` the model that each endpoint is
        loading.
        """
        if dict(loading) != await model_loads.loading(tx):
            await model_loads.set_loading(tx, loading)
        kept = _merged(tx.now, rows, forecasts, promises)
        announced = await self._announce(tx, kept, edits)
        changed = [
            each for each in (announced.get(job) or each for job, each in kept.items()) if _differs(each, rows.stored)
        ]
        await job_forecasts.forget_finished(tx, rows.stored.keys() - kept.keys())
        await job_forecasts.save(tx, changed)
        await job_forecasts.confirm(tx, kept.keys())
        return len(announced)

    async def _announce(self, tx: Tx, kept: Mapping[str, StoredForecast], edits: int) -> dict[str, StoredForecast]:
        """Have cards redrawn for what is news: first what is late, then what begins soonest."""
        news = [each for each in kept.values() if each.is_news(tx.now)] if edits > 0 else []
        if not news:
            return {}
        shown = await job_forecasts.on_cards(tx, {each.number for each in news})
        news = sorted((each for each in news if each.number in shown), key=lambda each: _urgency(each, tx.now))
        for each in news[:edits]:
            await cards.redraw(tx, each.number)
        return {each.job: _as_announced(each, tx.now) for each in news[:edits]}


_FORECAST: Final = (JobState.READY, JobState.RUNNING)


def _merged(
    now: datetime, rows: QueueRows, forecasts: Mapping[str, JobForecast], promises: Mapping[str, datetime]
) -> dict[str, StoredForecast]:
    """The forecasts with what was promised and announced before; a promise is over once the work began."""
    kept: dict[str, StoredForecast] = {}
    for queued in rows.line:
        job = queued.job
        forecast = forecasts.get(job.id)
        if forecast is None:
            continue
        before = rows.stored.get(job.id)
        promised_at = None if job.id in rows.begun else (before.promised_at if before else None)
        if promised_at is None and job.id not in rows.begun:
            promised_at = promises.get(job.id)
        made = StoredForecast(job.id, job.number, forecast, now, promised_at, before.announced if before else None)
        if before is None and job.state is JobState.READY:  # its card is drawn when it is queued, and says this already
            made = _as_announced(made, now)
        kept[job.id] = made
    return kept


def _as_announced(stored: StoredForecast, now: datetime) -> StoredForecast:
    wait = stored.wait(now) or Interval(0.0, 0.0, 0.0)
    return replace(stored, announced=AnnouncedForecast(stored.forecast.before, wait, stored.is_late(now), now))


def _urgency(stored: StoredForecast, now: datetime) -> tuple[bool, float]:
    wait = stored.wait(now)
    return not stored.is_late(now), wait.middle if wait else 0.0


def _differs(new: StoredForecast, stored: Mapping[str, StoredForecast]) -> bool:
    """Whether a forecast is worth a write."""
    old = stored.get(new.job)
    if old is None or old.promised_at != new.promised_at or old.announced != new.announced:
        return True
    if (old.forecast.start is None) is not (new.forecast.start is None):
        return True
    if abs(old.forecast.before - new.forecast.before) > _CHANGED_SHARE * new.forecast.before:
        return True
    now_s = new.made_at.timestamp()
    pairs = [(old.forecast.finish, new.forecast.finish)]
    if old.forecast.start is not None and new.forecast.start is not None:
        pairs.append((old.forecast.start, new.forecast.start))
    return any(
        abs(before - after) > max(_CHANGED_S, _CHANGED_SHARE * (after - now_s))
        for was, is_ in pairs
        for before, after in zip(_values(was), _values(is_), strict=True)
    )


def _values(interval: Interval) -> Sequence[float]:
    return interval.low, interval.middle, interval.high
