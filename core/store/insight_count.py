"""Counts what happened in a span of time, found by indexes of time, a page at a time."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import func, select
from sqlmodel import col

from core.model.insight import Figure, Measure, bin_of
from core.model.job import JobKind, JobState
from core.model.step_time import critical_path
from core.store import step_times
from core.store.forecast_tables import ModelLoadRow
from core.store.job_surfaces import surfaces_of
from core.store.lease_table import ModelLeaseRow
from core.store.tables import ApprovalRow, EventRow, JobRow, SpendingRow, TaskRow
from core.store.unit_of_work import Tx

EVENTS: Final = (
    *("task.requested", "task.staged", "task.published", "task.merged", "task.failed", "task.denied", "task.blocked"),
    *("task.expired", "task.cancelled", "task.closed"),
)
"""The kinds of events that are counted."""
FAILED: Final = "task.failed"
PAGE: Final = 2_000


@dataclass(slots=True)
class _Sum:
    """One figure while it is counted."""

    count: int = 0
    total: float = 0.0
    bins: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class _Sums:
    """Figures while they are counted, by measure, name and repository."""

    sums: dict[tuple[Measure, str, str], _Sum] = field(default_factory=lambda: defaultdict(_Sum))

    def add(self, repository: str | None, measure: Measure, name: str, count: int, total: float = 0.0) -> None:
        sum_ = self.sums[measure, name, repository or ""]
        sum_.count += count
        sum_.total += total

    def add_time(self, repository: str | None, measure: Measure, name: str, seconds: float) -> None:
        self.add(repository, measure, name, 1, seconds)
        self.sums[measure, name, repository or ""].bins[bin_of(seconds)] += 1

    def figures(self) -> list[Figure]:
        return [
            Figure(measure, name, sum_.count, sum_.total, sum_.bins, repository)
            for (measure, name, repository), sum_ in self.sums.items()
        ]


async def between(tx: Tx, from_ms: int, to_ms: int) -> list[Figure]:
    """The figures of what happened from `from_ms` to before `to_ms`."""
    sums = _Sums()
    await _count_events(tx, sums, from_ms, to_ms)
    await _count_errors(tx, sums, from_ms, to_ms)
    await _count_jobs(tx, sums, from_ms, to_ms)
    await _count_spending(tx, sums, from_ms, to_ms)
    await _count_loads(tx, sums, from_ms, to_ms)
    await _count_decisions(tx, sums, from_ms, to_ms)
    await _count_steps(tx, sums, from_ms, to_ms)
    return sums.figures()


async def _count_events(tx: Tx, sums: _Sums, from_ms: int, to_ms: int) -> None:
    kind, at_ms, repo = col(EventRow.kind), col(EventRow.at_ms), col(TaskRow.repo)
    query = select(repo, kind, func.count()).outerjoin(TaskRow, col(TaskRow.number) == col(EventRow.number))
    query = query.where(at_ms >= from_ms, at_ms < to_ms, kind.in_(EVENTS)).group_by(repo, kind)
    for repository, name, count in await tx.session.execute(query):
        sums.add(repository, Measure.EVENT, name, count)


async def _count_errors(tx: Tx, sums: _Sums, from_ms: int, to_ms: int) -> None:
    kind, at_ms, last = col(EventRow.kind), col(EventRow.at_ms), 0
    while True:
        query = select(col(EventRow.id), col(EventRow.body), col(TaskRow.repo)).where(
            at_ms >= from_ms, at_ms < to_ms, kind == FAILED, col(TaskRow.number) == col(EventRow.number)
        )
        rows = (
            await tx.session.execute(query.where(col(EventRow.id) > last).order_by(col(EventRow.id)).limit(PAGE))
        ).all()
        for _, body, repository in rows:
            sums.add(repository, Measure.ERROR, _code(body), 1)
        if len(rows) < PAGE:
            return
        last = rows[-1][0]


def _code(body: str) -> str:
    """The code of the problem in the body of an event."""
    value = json.loads(body)
    problem = value.get("problem") or value.get("error") or value
    return str(problem.get("code") or "unknown") if isinstance(problem, dict) else "unknown"


async def _count_jobs(tx: Tx, sums: _Sums, from_ms: int, to_ms: int) -> None:
    finished, last = col(JobRow.finished_ms), (from_ms, "")
    row = JobRow
    columns = (row.id, row.kind, row.lane, row.ready_ms, row.claimed_ms, row.finished_ms, row.repository)
    while True:
        query = (
            select(*map(col, columns))
            .where(col(JobRow.state) == JobState.DONE.value, finished >= last[0], finished < to_ms)
            .where((finished > last[0]) | (col(JobRow.id) > last[1]))
            .order_by(finished, col(JobRow.id))
            .limit(PAGE)
        )
        rows = (await tx.session.execute(query)).all()
        await _add_jobs(tx, sums, [row for row in rows if row[1] != JobKind.FOLLOW.value and row[4] is not None])
        if len(rows) < PAGE:
            return
        last = (rows[-1][5], rows[-1][0])


async def _add_jobs(tx: Tx, sums: _Sums, rows: Sequence[Any]) -> None:
    ids = [row[0] for row in rows]
    waits, models = await _model_waits(tx, ids), await _models(tx, ids)
    surfaces = await surfaces_of(tx, ids)
    for id_, kind, lane, ready_ms, claimed_ms, finished_ms, repo in rows:
        name = lane if kind == JobKind.CHANGE.value and lane else kind
        waited_ms = waits.get(id_, 0)
        run_s = max(0, finished_ms - claimed_ms - waited_ms) / 1000
        wait_s = max(0, claimed_ms - ready_ms + waited_ms) / 1000
        sums.add_time(repo, Measure.WAIT, name, wait_s)
        if id_ in surfaces:
            sums.add_time(repo, Measure.SURFACE_WAIT, surfaces[id_], wait_s)
        sums.add_time(repo, Measure.RUN, name, run_s)
        if id_ in models:
            sums.add_time(repo, Measure.MODEL_RUN, models[id_], run_s)


async def _model_waits(tx: Tx, ids: Sequence[str]) -> dict[str, int]:
    """How long jobs waited for models, in milliseconds."""
    got = func.coalesce(col(ModelLeaseRow.granted_ms), col(ModelLeaseRow.ended_ms))
    query = select(col(ModelLeaseRow.job), func.sum(got - col(ModelLeaseRow.arrived_ms)))
    rows = await tx.session.execute(query.where(col(ModelLeaseRow.job).in_(ids)).group_by(col(ModelLeaseRow.job)))
    return {job: int(waited or 0) for job, waited in rows}


async def _models(tx: Tx, ids: Sequence[str]) -> dict[str, str]:
    """The model that each job asked for the most tokens."""
    tokens = func.sum(col(SpendingRow.input_tokens) + col(SpendingRow.output_tokens))
    query = select(col(SpendingRow.job_id), col(SpendingRow.model)).where(col(SpendingRow.job_id).in_(ids))
    rows = await tx.session.execute(
        query.group_by(col(SpendingRow.job_id), col(SpendingRow.model)).order_by(tokens, col(SpendingRow.model))
    )
    return {str(job): str(model) for job, model in rows}


async def _count_spending(tx: Tx, sums: _Sums, from_ms: int, to_ms: int) -> None:
    at_ms = col(SpendingRow.at_ms)
    tokens = func.sum(col(SpendingRow.input_tokens) + col(SpendingRow.output_tokens))
    usd = func.coalesce(func.sum(col(SpendingRow.usd)), 0.0)
    by = col(TaskRow.repo), col(SpendingRow.lane), col(SpendingRow.model)
    query = select(*by, tokens, usd).outerjoin(TaskRow, col(TaskRow.number) == col(SpendingRow.number))
    rows = await tx.session.execute(query.where(at_ms >= from_ms, at_ms < to_ms).group_by(*by))
    for repo, lane, model, count, dollars in rows:
        sums.add(repo, Measure.LANE_SPENT, lane or "reading requests", int(count), float(dollars))
        sums.add(repo, Measure.MODEL_SPENT, model, int(count), float(dollars))


async def _count_loads(tx: Tx, sums: _Sums, from_ms: int, to_ms: int) -> None:
    at_ms, seconds = col(ModelLoadRow.at_ms), func.coalesce(func.sum(col(ModelLoadRow.seconds)), 0.0)
    query = select(col(ModelLoadRow.endpoint), func.count(), seconds).where(at_ms >= from_ms, at_ms < to_ms)
    for endpoint, count, spent in await tx.session.execute(query.group_by(col(ModelLoadRow.endpoint))):
        sums.add(None, Measure.LOAD, endpoint, count, float(spent))


async def _count_decisions(tx: Tx, sums: _Sums, from_ms: int, to_ms: int) -> None:
    at_ms = col(ApprovalRow.at_ms)
    staged = (
        select(func.max(col(EventRow.at_ms)))
        .where(col(EventRow.number) == col(ApprovalRow.number), col(EventRow.kind) == "task.staged")
        .where(col(EventRow.at_ms) <= at_ms)
        .scalar_subquery()
    )
    rows: Iterable[Any] = await tx.session.execute(
        select(col(ApprovalRow.person), at_ms, staged, col(TaskRow.repo))
        .join(TaskRow, col(TaskRow.number) == col(ApprovalRow.number))
        .where(at_ms >= from_ms, at_ms < to_ms)
    )
    for person, decided_ms, staged_ms, repo in rows:
        if staged_ms is not None:
            sums.add_time(repo, Measure.DECISION, person, (decided_ms - staged_ms) / 1000)


async def _count_steps(tx: Tx, sums: _Sums, from_ms: int, to_ms: int) -> None:
    for lane, repo, steps in await step_times.of_jobs_finished(tx, from_ms, to_ms):
        begin_ms = min(step.started_ms for step in steps)
        sums.add(repo, Measure.WORKFLOW, lane, 1, (max(step.ended_ms for step in steps) - begin_ms) / 1000)
        for step in critical_path(steps):
            sums.add_time(repo, Measure.STEP, f"{lane}/{step.name}", step.seconds)
