"""What statistics of the queue are made from: finished jobs and ended leases of a time, found by index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func
from sqlmodel import col, select

from core.model.job import JobKind, JobState
from core.model.model_lease import LeaseState, ModelPlace
from core.store.lease_table import ModelLeaseRow
from core.store.tables import JobRow, SpendingRow
from core.store.unit_of_work import Tx


@dataclass(frozen=True, slots=True)
class FinishedJob:
    """The last try of a finished job: how long it waited for a worker and for models, and how long it worked.

    `lane` is that of a change, and the kind of another job.
    """

    id: str
    lane: str
    person: str
    ready_ms: int
    wait_s: float
    run_s: float


@dataclass(frozen=True, slots=True)
class UsedModel:
    """A request to a leased model; `model` is ``endpoint/model`` where it was granted.

    Times are UTC milliseconds since the epoch.
    """

    model: str
    arrived_ms: int
    granted_ms: int
    ended_ms: int


async def finished_jobs(tx: Tx, since_ms: int, limit: int) -> list[FinishedJob]:
    """The newest `limit` finished jobs that were ready since then, the newest first."""
    newest = (
        select(
            JobRow.id, JobRow.lane, JobRow.kind, JobRow.person, JobRow.ready_ms, JobRow.claimed_ms, JobRow.finished_ms
        )  # type: ignore[call-overload]
        .where(
            JobRow.state == JobState.DONE.value,
            col(JobRow.ready_ms) >= since_ms,
            col(JobRow.claimed_ms).is_not(None),
            JobRow.kind != JobKind.FOLLOW.value,
        )
        .order_by(col(JobRow.ready_ms).desc())
        .limit(limit)
        .subquery()
    )
    waited = func.sum(func.coalesce(ModelLeaseRow.granted_ms, ModelLeaseRow.ended_ms) - ModelLeaseRow.arrived_ms)
    rows = await tx.session.execute(
        select(newest, waited)
        .outerjoin(ModelLeaseRow, col(ModelLeaseRow.job) == newest.c.id)
        .group_by(*newest.c)
        .order_by(newest.c.ready_ms.desc())
    )
    return [
        FinishedJob(
            id_,
            lane if kind == JobKind.CHANGE.value and lane else kind,
            person,
            int(ready),
            max(0, int(claimed) - int(ready) + int(waited_ms or 0)) / 1000,
            max(0, int(finished) - int(claimed) - int(waited_ms or 0)) / 1000,
        )
        for id_, lane, kind, person, ready, claimed, finished, waited_ms in rows
        if finished is not None
    ]


async def models_of_jobs(tx: Tx, since_ms: int) -> dict[str, str]:
    """The model that each finished job that was ready since then asked for the most tokens."""
    tokens = func.sum(col(SpendingRow.input_tokens) + col(SpendingRow.output_tokens))
    rows = await tx.session.execute(
        select(SpendingRow.job_id, SpendingRow.model)
        .join(JobRow, col(JobRow.id) == col(SpendingRow.job_id))
        .where(JobRow.state == JobState.DONE.value, col(JobRow.ready_ms) >= since_ms)
        .group_by(SpendingRow.job_id, SpendingRow.model)
        .order_by(tokens)
    )
    return {str(job): str(model) for job, model in rows}


async def used_models(tx: Tx, since_ms: int, limit: int) -> list[UsedModel]:
    """The newest `limit` requests to leased models that were asked for since then and ended, the newest first."""
    query = select(  # type: ignore[call-overload]  # SQLModel's overloads end at four columns
        ModelLeaseRow.model,
        ModelLeaseRow.place,
        ModelLeaseRow.arrived_ms,
        ModelLeaseRow.granted_ms,
        ModelLeaseRow.ended_ms,
    ).where(
        col(ModelLeaseRow.state).in_([LeaseState.ENDED.value, LeaseState.HELD.value]),
        col(ModelLeaseRow.arrived_ms) >= since_ms,
        col(ModelLeaseRow.granted_ms).is_not(None),
        col(ModelLeaseRow.ended_ms).is_not(None),
    )
    rows = await tx.session.execute(query.order_by(col(ModelLeaseRow.arrived_ms).desc()).limit(limit))
    return [
        UsedModel(_used_name(model, place), int(arrived), int(granted), int(ended))
        for model, place, arrived, granted, ended in rows
    ]


def _used_name(model: str, place: dict[str, Any] | None) -> str:
    """The model where its lease was granted; leases of older versions name their endpoint themselves."""
    if place is None:
        return model
    granted = ModelPlace.from_json(place)
    return f"{granted.endpoint}/{granted.model}"
