"""The place of a job in the queue: what it waits for, how many go before it, and when its work is expected to begin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from core.model.job import JobState, QueuedJob
from core.model.parking import Gate
from core.model.queue_forecast import Interval, StoredForecast
from core.rules.wait_reason import wait_reason
from core.settings import Settings
from core.store import queue_queries, switches
from core.store.unit_of_work import Tx


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """The place of a task's job in the queue: `position` 0 is running.

    `waits_for` is the task that must be published first. `problem` says why the last attempt failed, and `next_try_at`
    when the next one may begin. `why` says what the job waits for, in a sentence; it is empty while the job waits for
    nothing. `before` is how many jobs are expected to begin before it. `wait` is in how many seconds its work is
    expected to begin, and `rest` in how many it is expected to end; each is None if that is not known. `promised_at`
    is the start that was promised when the job was submitted. With `needs_worker` no worker runs, and `wait` counts
    from when one does.
    """

    position: int
    waits_for: int | None
    problem: str | None
    progress: str | None = None
    next_try_at: datetime | None = None
    why: str = ""
    before: int = 0
    wait: Interval | None = None
    rest: Interval | None = None
    promised_at: datetime | None = None
    is_late: bool = False
    needs_worker: bool = False

    def to_json(self) -> dict[str, Any]:
        """The ``queue`` object of the task document; keys may be added but not removed."""
        wait, rest = self.wait, self.rest
        return {
            "position": self.position,
            "eta_s": round(wait.middle) if wait else None,
            "eta_low_s": round(wait.low) if wait else None,
            "eta_high_s": round(wait.high) if wait else None,
            "done_s": round(rest.middle) if rest else None,
            "done_low_s": round(rest.low) if rest else None,
            "done_high_s": round(rest.high) if rest else None,
            "before": self.before,
            "promised_at": self.promised_at.isoformat() if self.promised_at else None,
            "is_late": self.is_late,
            "needs_worker": self.needs_worker,
            "waits_for": self.waits_for,
            "problem": self.problem,
            "progress": self.progress,
            "next_try_at": self.next_try_at.isoformat() if self.next_try_at else None,
            "why": self.why,
        }


async def place_of(tx: Tx, settings: Settings, queued: QueuedJob) -> QueuePlace:
    """The place of a job that is not finished."""
    job, problem = queued.job, queued.problem
    why = await wait_reason(tx, settings, queued)
    if job.state is JobState.WAITING:
        return QueuePlace(0, queued.after, problem, why=why)
    from core.store import job_forecasts  # noqa: PLC0415 - its table is slow to build, and few tasks are queued

    stored = await job_forecasts.of_job(tx, job.id)
    if job.state is JobState.RUNNING:
        place = QueuePlace(0, None, problem, queued.progress, why=why)
        return with_forecast(place, stored, tx.now, is_waiting=bool(why))
    position = await queue_queries.position_of(tx, job)
    next_try_at = job.ready_at if problem else None
    place = QueuePlace(position, None, problem, next_try_at=next_try_at, why=why, before=position - 1)
    if Gate.parse(job.parked or "") is not None:  # when a pause or a limit ends is not foreseen
        return place
    if stored is not None and stored.is_fresh(tx.now) and await switches.paused(tx) is None:
        return with_forecast(place, stored, tx.now, is_waiting=True)
    return await _quickly_expected(tx, settings, queued, place, stored)


def with_forecast(place: QueuePlace, stored: StoredForecast | None, now: datetime, *, is_waiting: bool) -> QueuePlace:
    """The place with a stored forecast; work that waits for nothing has begun."""
    if not is_waiting:
        place = replace(place, wait=Interval(0.0, 0.0, 0.0))
    if stored is None:
        return place
    if stored.is_fresh(now):
        place = replace(place, rest=_from_now(stored.forecast.finish, now))
        if is_waiting:
            place = replace(place, wait=stored.wait(now), before=place.before or stored.forecast.before)
    late = is_waiting and stored.promised_at is not None and stored.promised_at < now
    return replace(place, promised_at=stored.promised_at, is_late=late)


async def _quickly_expected(
    tx: Tx, settings: Settings, queued: QueuedJob, place: QueuePlace, stored: StoredForecast | None
) -> QueuePlace:
    """The place with a forecast that is made now, because no worker keeps one."""
    from core.rules.queue_situation import quick_forecast  # noqa: PLC0415 - imports the scheduler, and is rarely needed

    job = queued.job
    forecast, needs_worker = await quick_forecast(tx, settings, job.id, place.position)
    promised_at = stored.promised_at if stored is not None else None
    if forecast is None:
        return replace(place, promised_at=promised_at, is_late=promised_at is not None and promised_at < tx.now)
    made = StoredForecast(job.id, job.number, forecast, tx.now, promised_at)
    return replace(with_forecast(place, made, tx.now, is_waiting=True), needs_worker=needs_worker)


def _from_now(moment: Interval, now: datetime) -> Interval:
    rest = moment.shifted(-now.timestamp())
    return Interval(max(0.0, rest.low), max(0.0, rest.middle), max(0.0, rest.high))
