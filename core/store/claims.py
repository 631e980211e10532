"""Claims: one statement takes the job that the scheduler puts first for a node, under a new fence.

It looks up the first jobs in the indexes of what may be claimed, so its cost hardly depends on how many
wait, and not at all on how many are finished or parked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
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
    select,
    union_all,
    update,
)
from sqlmodel import col

from core.model.job import PAYLOAD_VERSION, Job, JobState
from core.model.job_order import URGENT
from core.store.jobs import capabilities_of, job_of
from core.store.postgres_statements import POSTGRES_NOW_MS
from core.store.switches import PAUSE
from core.store.tables import JobRow, SettingRow, WorkerRow
from core.store.turns import is_claimable
from core.store.unit_of_work import Tx
from core.store.workers import ALIVE

MayRun = Callable[[Any], ColumnElement[bool]]
"""The condition on a row with the columns of a job that it may run now."""
LOOK_AHEAD: Final = 64
"""How many jobs of each set of capabilities are looked at in each order if gates may keep some from being claimed."""
URGENT_MS: Final = URGENT // timedelta(milliseconds=1)
CLAIM_LOCK: Final = 0x636C61696D  # "claim"
"""The advisory lock of claims under limits: what runs is counted by one claim at a time."""

_UNUSED: Final = {"write_set", "error", "result", "progress", "finished_ms", "turn_ms"}
_JOBS: Any = JobRow.__table__  # type: ignore[attr-defined]  # SQLModel does not declare it
_SHOWN: Final = [column for column in _JOBS.c if column.name not in _UNUSED]
"""The columns that a claimant gets."""
_NOW_MS: Final = {
    "sqlite": literal_column("CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)", BigInteger),
    "postgresql": POSTGRES_NOW_MS,
}


def claim_statement(dialect: str, keys: Collection[str], worker: str, may_run: MayRun | None = None) -> Any:
    """The statement by which `worker` claims the first job whose capabilities are one of `keys`; it returns the row.

    `may_run` is a condition on a job that may run now, among the first `LOOK_AHEAD`. Without it, nothing is claimed
    while anything is paused. Nothing is claimed either if the worker is not alive; its row is locked until the
    transaction ends, so that it cannot be declared dead without this job.
    """
    now_ms = _NOW_MS[dialect]
    alive = select(col(WorkerRow.id)).where(col(WorkerRow.id) == worker, col(WorkerRow.state) == ALIVE)
    conditions = [
        col(JobRow.id) == _first_id(keys, now_ms, may_run),
        *is_claimable(),
        alive.with_for_update(read=True).exists(),
        ~select(col(SettingRow.name)).where(_is_pause(exact=may_run is not None)).exists(),
    ]
    return (
        update(_JOBS)
        .where(*conditions)
        .values(state=JobState.RUNNING.value, owner=worker, fence=col(JobRow.fence) + 1, claimed_ms=now_ms)
        .returning(*_SHOWN)
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


_LOOKED_AT: Final = ("id", "rank_ms", "kind", "person", "lane", "repository")
_RANK: Final = (col(JobRow.rank_ms), col(JobRow.id))


def _is_pause(*, exact: bool) -> ColumnElement[bool]:
    """The condition of a row that pauses the queue, or if not `exact` anything in it."""
    name = col(SettingRow.name)
    return name == PAUSE if exact else and_(name >= PAUSE, name < f"{PAUSE}0")  # 0 follows / in ASCII


def _first_id(keys: Collection[str], now_ms: ColumnElement[int], may_run: MayRun | None) -> Any:
    """The id of the first job in the scheduler's order: by deadline if that is close, else by rank."""
    firsts = [first for key in keys for first in _firsts_of(key, now_ms, may_run)]
    some = union_all(*firsts).subquery("some")
    some_deadline = some.c.deadline_ms
    urgent_first = case((some_deadline.is_(None), 1), else_=0)
    first = select(some.c.id).order_by(urgent_first, some_deadline, some.c.rank_ms, some.c.id).limit(1)
    return first.scalar_subquery()


def _firsts_of(key: str, now_ms: ColumnElement[int], may_run: MayRun | None) -> list[Select[Any]]:
    """The first urgent job that needs these capabilities, and the first by rank."""
    deadline = col(JobRow.deadline_ms)
    same = (*is_claimable(), col(JobRow.capabilities) == key, col(JobRow.payload_version) <= PAYLOAD_VERSION)
    urgent = (*same, deadline.is_not(None), deadline <= now_ms + URGENT_MS)
    no_deadline = literal_column("CAST(NULL AS BIGINT)", BigInteger)
    return [
        _first(urgent, (deadline, *_RANK), deadline, may_run),
        _first(same, _RANK, no_deadline, may_run),
    ]


def _first(conditions: Sequence[Any], order: Sequence[Any], deadline: Any, may_run: MayRun | None) -> Select[Any]:
    """The first row of one order; rows that another claim is taking right now are skipped."""
    if may_run is None:
        columns = (col(JobRow.id), col(JobRow.rank_ms), deadline.label("deadline_ms"))
        first = select(*columns).where(*conditions).order_by(*order).limit(1).with_for_update(skip_locked=True)
        return select(first.subquery())
    # one claim at a time is here, so nothing has to be skipped; the order is that of the index, and not sorted again
    looked_at = [column for column in _JOBS.c if column.name in _LOOKED_AT]
    window = (
        select(*looked_at, deadline.label("order_ms")).where(*conditions).order_by(*order).limit(LOOK_AHEAD).subquery()
    )
    ordered = [window.c.order_ms] if len(order) > len(_RANK) else []
    first = (
        select(window.c.id, window.c.rank_ms, window.c.order_ms.label("deadline_ms"))
        .where(may_run(window.c))
        .order_by(*ordered, window.c.rank_ms, window.c.id)
        .limit(1)
    )
    return select(first.subquery())
