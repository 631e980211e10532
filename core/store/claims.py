"""Claims: one statement takes the job that the scheduler puts first for a node, under a new fence.

It looks up the first jobs in the indexes of what may be claimed, so its cost hardly depends on how many wait, and not at
all on how many are finished or parked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    case,
    func,
    literal_column,
    null,
    select,
    true,
    union_all,
    update,
)
from sqlmodel import col

from core.model.job import PAYLOAD_VERSION, Job, JobState
from core.model.job_order import URGENT
from core.store.jobs import capabilities_of, job_of
from core.store.switches import PAUSE
from core.store.tables import JobRow, SettingRow, WorkerRow
from core.store.turns import is_claimable
from core.store.unit_of_work import Tx
from core.store.workers import ALIVE

LOOK_AHEAD: Final = 64
"""How many jobs of each set of capabilities are looked at in each order if gates may keep some from being claimed."""
URGENT_MS: Final = URGENT // timedelta(milliseconds=1)
CLAIM_LOCK: Final = 0x636C61696D  # "claim"
"""The advisory lock of claims under limits: what runs is counted by one claim at a time."""

_JOBS: Any = JobRow.__table__  # type: ignore[attr-defined]  # SQLModel does not declare it
_NOW_MS: Final = {
    # the time when the statement began, because PostgreSQL looks nothing up in an index by a time that moves
    "sqlite": literal_column("CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)", BigInteger),
    "postgresql": literal_column("CAST(extract(epoch FROM statement_timestamp()) * 1000 AS BIGINT)", BigInteger),
}


def claim_statement(
    dialect: str, keys: Collection[str], worker: str, may_run: ColumnElement[bool] | None = None
) -> Any:
    """The statement by which `worker` claims the first job whose capabilities are one of `keys`; it returns the row.

    `may_run` is a condition on a job that may run now, among the first `LOOK_AHEAD`. Without it, nothing is claimed
    while anything is paused. Nothing is claimed either if the worker is not alive; its row is locked until the
    transaction ends, so that it cannot be declared dead without this job.
    """
    now_ms = _NOW_MS[dialect]
    alive = select(WorkerRow.id).where(col(WorkerRow.id) == worker, col(WorkerRow.state) == ALIVE)
    conditions = [
        col(JobRow.id) == _first_id(keys, now_ms, may_run),
        *is_claimable(),
        alive.with_for_update(read=True).exists(),
        ~select(SettingRow.name).where(_is_pause(exact=may_run is not None)).exists(),
    ]
    return (
        update(_JOBS)
        .where(*conditions)
        .values(state=JobState.RUNNING.value, owner=worker, fence=col(JobRow.fence) + 1, claimed_ms=now_ms)
        .returning(*_JOBS.c)
    )


def claimed_job(row: Mapping[str, Any]) -> Job:
    """The job of the row that `claim_statement` returned."""
    return job_of(SimpleNamespace(**row))


async def needed_now(tx: Tx, offers: frozenset[str]) -> tuple[str, ...]:
    """The sets of capabilities that jobs which may be claimed need, of those within `offers`.

    Each step looks up the next set in the index: https://wiki.postgresql.org/wiki/Loose_indexscan
    """
    key = col(JobRow.capabilities)
    steps = select(func.min(key).label("key")).where(*is_claimable()).cte("steps", recursive=True)
    following = select(func.min(key)).where(*is_claimable(), key > steps.c.key).scalar_subquery()
    steps = steps.union_all(select(following).where(steps.c.key.is_not(None)))
    rows: Any = await tx.session.execute(select(steps.c.key).where(steps.c.key.is_not(None)))
    return tuple(str(row[0]) for row in rows if capabilities_of(str(row[0])) <= offers)


async def first_claimable(tx: Tx, keys: Sequence[str], limit: int) -> list[Job]:
    """The first jobs by rank, at most `limit` of each set of capabilities: those that gates are compared with."""
    jobs: list[Job] = []
    for key in keys:
        query = select(_JOBS).where(*is_claimable(), col(JobRow.capabilities) == key).order_by(*_RANK).limit(limit)
        jobs += [claimed_job(row) for row in (await tx.session.execute(query)).mappings()]
    return jobs


_RANK: Final = (col(JobRow.rank_ms), col(JobRow.id))


def _is_pause(*, exact: bool) -> ColumnElement[bool]:
    """The condition of a row that pauses the queue, or if not `exact` anything in it."""
    name = col(SettingRow.name)
    return name == PAUSE if exact else and_(name >= PAUSE, name < f"{PAUSE}0")  # 0 follows / in ASCII


def _first_id(keys: Collection[str], now_ms: ColumnElement[int], may_run: ColumnElement[bool] | None) -> Any:
    """The id of the first job in the scheduler's order: by deadline if that is close, else by rank."""
    firsts = [first for key in keys for first in _firsts_of(key, now_ms, may_run)]
    some = union_all(*firsts).subquery("some") if firsts else select(_columns(null())).where(~true()).subquery("some")
    some_deadline = some.c.deadline_ms
    urgent_first = case((some_deadline.is_(None), 1), else_=0)
    first = select(some.c.id).order_by(urgent_first, some_deadline, some.c.rank_ms, some.c.id).limit(1)
    return first.scalar_subquery()


def _columns(deadline: Any) -> Any:
    return (col(JobRow.id), col(JobRow.rank_ms), deadline.label("deadline_ms"))


def _firsts_of(key: str, now_ms: ColumnElement[int], may_run: ColumnElement[bool] | None) -> list[Select[Any]]:
    """The first urgent job that needs these capabilities, and the first by rank."""
    deadline = col(JobRow.deadline_ms)
    same = (*is_claimable(), col(JobRow.capabilities) == key, col(JobRow.payload_version) <= PAYLOAD_VERSION)
    urgent = (*same, deadline.is_not(None), deadline <= now_ms + URGENT_MS)
    no_deadline = literal_column("CAST(NULL AS BIGINT)", BigInteger)
    return [
        _first(_JOBS, urgent, (deadline, *_RANK), deadline, may_run),
        _first(_JOBS, same, _RANK, no_deadline, may_run),
    ]


def _first(
    table: Any, conditions: Sequence[Any], order: Sequence[Any], deadline: Any, may_run: ColumnElement[bool] | None
) -> Select[Any]:
    """The first row of one order; rows that another claim is taking right now are skipped."""
    columns = (col(JobRow.id), col(JobRow.rank_ms), deadline.label("deadline_ms"))
    query = select(*columns).where(*conditions).order_by(*order)
    if may_run is None:
        first = query.limit(1).with_for_update(skip_locked=True).subquery()
        return select(first)
    window = select(table.c.id).where(*conditions).order_by(*order).limit(LOOK_AHEAD).subquery()
    first = query.where(col(JobRow.id).in_(select(window.c.id)), may_run).limit(1).subquery()
    return select(first)
