"""The places of many jobs in the queue, with as few queries for a thousand as for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.model.job import JobState, QueuedJob
from core.model.model_lease import ANY_ENDPOINT, LeaseState, ModelLease, split_model
from core.model.parking import Gate
from core.model.queue_forecast import StoredForecast
from core.rules.queue_place import QueuePlace, with_forecast
from core.rules.queue_situation import line_forecasts
from core.rules.wait_reason import gate_reason, model_reason, order_reason, pause_reason, retry_reason
from core.settings import Settings
from core.store import job_forecasts, model_leases, switches
from core.store.job_forecasts import UnfinishedJob
from core.store.unit_of_work import Tx


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One row of the queue: an unfinished job, its place, and the model that it uses or will ask first, if any.

    `model` is ``endpoint/model`` once a lease is granted, and before as the lane names it; empty when it is not known.
    """

    queued: QueuedJob
    place: QueuePlace
    lane: str = ""
    person: str = ""
    model: str = ""

    def to_json(self) -> dict[str, Any]:
        """The row of ``queue --json``; keys may be added but not removed."""
        endpoint, model = split_model(self.model)
        return {
            **self.queued.to_json(),
            **{key: value for key, value in self.place.to_json().items() if key != "waits_for"},
            "after": self.queued.after,
            "lane": self.lane,
            "requester": self.person,
            "endpoint": "" if not model or endpoint == ANY_ENDPOINT else endpoint,
            "model": model,
        }


async def rows_of(tx: Tx, settings: Settings, line: Sequence[QueuedJob]) -> tuple[QueueRow, ...]:
    """The rows of a line that begins with the first job; `line` is in the order of `queue_queries.queue_line`."""
    if not line:
        return ()
    columns = await job_forecasts.columns_of(tx, [each.job.id for each in line])
    leases = {lease.work.job: lease for lease in await model_leases.alive(tx) if lease.work.job is not None}
    stored, needs_worker = await _forecasts(tx, settings, line)
    pause = await switches.paused(tx)
    gates = await _gate_reasons(tx, settings, line)
    rows, before = [], 0
    for queued in line:
        job = queued.job
        place = _place(tx, queued, before, leases.get(job.id), pause)
        before += job.state is JobState.READY
        is_waiting = job.state is JobState.READY or bool(place.why)
        if pause is None and job.parked in gates:
            place = replace(place, why=gates[job.parked])
        elif job.state is not JobState.WAITING and not (pause is not None and job.state is JobState.READY):
            place = with_forecast(place, stored.get(job.id), tx.now, is_waiting=is_waiting)
        place = replace(place, needs_worker=needs_worker and place.wait is not None and is_waiting)
        rows.append(_row(settings, queued, place, columns.get(job.id), leases.get(job.id)))
    return tuple(rows)


async def _gate_reasons(tx: Tx, settings: Settings, line: Sequence[QueuedJob]) -> dict[str | None, str]:
    """Why jobs are parked, by how they are parked."""
    parked = {each.job.parked for each in line if each.job.state is JobState.READY}
    gates = {each: Gate.parse(each or "") for each in parked}
    return {each: await gate_reason(tx, settings, gate) for each, gate in gates.items() if gate is not None}


async def _forecasts(tx: Tx, settings: Settings, line: Sequence[QueuedJob]) -> tuple[dict[str, StoredForecast], bool]:
    """The forecasts that a worker keeps; where none does, those made now, which take a worker for granted."""
    stored = await job_forecasts.every(tx)
    if any(each.is_fresh(tx.now) for each in stored.values()):
        return stored, False
    made, needs_worker = await line_forecasts(tx, settings, line)
    promised = {job: each.promised_at for job, each in stored.items()}
    return {job: StoredForecast(job, 0, each, tx.now, promised.get(job)) for job, each in made.items()}, needs_worker


def _place(
    tx: Tx, queued: QueuedJob, before: int, lease: ModelLease | None, pause: dict[str, Any] | None
) -> QueuePlace:
    job, problem = queued.job, queued.problem
    if job.state is JobState.RUNNING:
        why = model_reason(lease) if lease is not None and lease.state is LeaseState.WAITING else ""
        return QueuePlace(0, None, problem, queued.progress, why=why)
    if job.state is JobState.WAITING:
        why = f"It waits until #{queued.after} is published." if queued.after is not None else ""
        return QueuePlace(0, queued.after, problem, why=why)
    if pause is not None:
        why = pause_reason(pause)
    elif problem is not None and job.ready_at > tx.now:
        why = retry_reason(queued)
    else:
        why = order_reason(before)
    return QueuePlace(before + 1, None, problem, next_try_at=job.ready_at if problem else None, why=why, before=before)


def _row(
    settings: Settings, queued: QueuedJob, place: QueuePlace, known: UnfinishedJob | None, lease: ModelLease | None
) -> QueueRow:
    lane = settings.lanes.get(known.lane) if known is not None else None
    expected = lane.models[0] if lane is not None and lane.models else ""
    return QueueRow(
        queued,
        place,
        lane=known.lane if known is not None else "",
        person=known.person if known is not None else "",
        model=_model_of(lease) if lease is not None else expected,
    )


def _model_of(lease: ModelLease) -> str:
    """The model of a lease: where it was granted, else as it was asked for."""
    return f"{lease.place.endpoint}/{lease.place.model}" if lease.place is not None else lease.model
