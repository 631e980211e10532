"""Turns: keys take turns in the queue, so that a person with many jobs cannot hold up another person's first one.

It is start-time fair queueing (Goyal, Vin, Cheng 1997), stored: the turn of a job is computed when it is added, so that
an index gives the order and a claim costs the same for one person as for many. A key is a person at one priority.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, bindparam, case, cast, func, literal, literal_column, or_, update
from sqlmodel import col, select

from core.model.job import JobState
from core.model.job_order import AGE_PER_PRIORITY_MS, TURN_MS, rank_ms_of
from core.store.tables import JobRow, QueueTurnRow
from core.store.unit_of_work import Tx
from core.store.upsert import insert_into


def has_state(state: JobState, of: type[JobRow] = JobRow) -> ColumnElement[bool]:
    """The condition that a job is in `state`, as a literal: a parameter would not match a partial index."""
    return col(of.state) == literal_column(f"'{state.value}'")


def is_claimable() -> tuple[ColumnElement[bool], ...]:
    """The conditions that a job is ready and not parked, as the partial indexes have them."""
    return has_state(JobState.READY), col(JobRow.parked).is_(None)


async def add_to_turns(tx: Tx, row: JobRow) -> None:
    """Give a new job its turn: the one after the last of its key, but none that the queue has left behind."""
    now_turn = _current_turn(tx.now_ms)
    waits = select(JobRow.id).where(has_state(JobState.READY), JobRow.person == row.person)
    has_more = waits.where(JobRow.priority == row.priority).limit(1).exists()
    last = col(QueueTurnRow.turn_ms)
    # a key without waiting jobs owes nothing for those that it cancelled; a high priority pays for its advance
    latest = now_turn + max(0, row.priority) * AGE_PER_PRIORITY_MS
    following = case((has_more, last), (last < latest, last), else_=latest) + TURN_MS
    upsert = (
        insert_into(tx, QueueTurnRow)
        .values(person=row.person, priority=row.priority, turn_ms=now_turn, resumed_ms=0)
        .on_conflict_do_update(
            index_elements=["person", "priority"],
            set_={"turn_ms": case((following > now_turn, following), else_=now_turn)},
        )
        .returning(QueueTurnRow.turn_ms)
    )
    row.turn_ms = int((await tx.session.execute(upsert)).scalar_one())
    row.rank_ms = rank_ms_of(row.turn_ms, row.priority)


def rank_at_least_now(now_ms: int) -> dict[str, ColumnElement[int]]:
    """The columns of a job that returns to the queue: its old turn, unless the queue has left that behind."""
    now_turn, turn = _current_turn(now_ms), col(JobRow.turn_ms)
    behind, priority = turn < now_turn, cast(col(JobRow.priority), BigInteger)
    return {
        "turn_ms": case((behind, now_turn), else_=turn),
        "rank_ms": case((behind, now_turn - priority * AGE_PER_PRIORITY_MS), else_=col(JobRow.rank_ms)),
    }


async def make_claimable(tx: Tx, job_ids: Sequence[str], **columns: Any) -> int:
    """Let ready jobs be claimed that were parked or waited, in the order of `job_ids`; returns their number.

    Each keeps its turn, or gets one from now on if the queue has left that behind; those of one key get different ones.
    A job that a person moved keeps its place.
    """
    if not job_ids:
        return 0
    rows = await tx.session.execute(
        select(  # type: ignore[call-overload]  # SQLModel's overloads end at four columns
            col(JobRow.id), col(JobRow.person), col(JobRow.priority), col(JobRow.turn_ms), col(JobRow.rank_ms)
        ).where(col(JobRow.id).in_(job_ids))
    )
    found = {str(row[0]): (str(row[1]), int(row[2]), int(row[3]), int(row[4])) for row in rows}
    now_turn = int((await tx.session.execute(select(_current_turn(tx.now_ms)))).scalar_one())
    keys = defaultdict[tuple[str, int], list[str]](list)
    for job_id in job_ids:
        if job_id in found:
            keys[found[job_id][:2]].append(job_id)
    values = []
    for (person, priority), ids in keys.items():
        turn = await _resumed(tx, person, priority, now_turn, len(ids))
        for job_id in ids:
            _, _, old_turn, rank = found[job_id]
            at = max(turn, old_turn)
            is_moved = rank != rank_ms_of(old_turn, priority)
            values.append({"b_id": job_id, "turn": at, "rank": rank if is_moved else rank_ms_of(at, priority)})
            turn += TURN_MS
    new: dict[str, Any] = {"turn_ms": bindparam("turn"), "rank_ms": bindparam("rank"), **columns}
    statement = (
        update(JobRow.__table__)  # type: ignore[attr-defined]  # SQLModel does not declare it
        .where(col(JobRow.id) == bindparam("b_id"), or_(has_state(JobState.READY), has_state(JobState.WAITING)))
        .values(state=JobState.READY.value, parked=None, **new)
    )
    connection = await tx.session.connection()
    await connection.execute(statement, values)
    return len(values)


async def _resumed(tx: Tx, person: str, priority: int, now_turn: int, count: int) -> int:
    """The first of `count` turns from now on for jobs of this key that had been parked."""
    row = await tx.session.get(QueueTurnRow, (person, priority), populate_existing=True, with_for_update=True)
    if row is None:
        row = QueueTurnRow(person=person, priority=priority, turn_ms=now_turn, resumed_ms=0)
    first = max(now_turn, row.resumed_ms + TURN_MS)
    row.resumed_ms = first + (count - 1) * TURN_MS
    tx.session.add(row)
    await tx.session.flush()
    return first


async def first_parked(tx: Tx, parked: str, limit: int) -> list[str]:
    """The ids of the first jobs by rank that are parked as `parked`; each is locked, unless another transaction did."""
    query = (
        select(JobRow.id)
        .where(has_state(JobState.READY), col(JobRow.parked).is_not(None), JobRow.parked == parked)
        .order_by(col(JobRow.rank_ms), col(JobRow.id))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(await tx.session.exec(query))


async def due_later(tx: Tx, limit: int) -> list[str]:
    """The ids of jobs that were parked until a time that has come, the earliest first; locked like `first_parked`."""
    query = (
        select(JobRow.id)
        .where(has_state(JobState.READY), col(JobRow.parked) == literal_column("'later'"))
        .where(col(JobRow.ready_ms) <= tx.now_ms)
        .order_by(col(JobRow.ready_ms))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(await tx.session.exec(query))


async def park(tx: Tx, job_ids: Iterable[str], parked: str) -> None:
    """Park jobs that are ready, for the reason `parked`."""
    await tx.session.execute(
        update(JobRow).where(col(JobRow.id).in_(list(job_ids)), *is_claimable()).values(parked=parked)
    )


def _current_turn(now_ms: int) -> ColumnElement[int]:
    """The turn that the queue has reached: the first one that waits, else the last one that there was."""
    first = select(func.min(col(JobRow.turn_ms))).where(*is_claimable()).scalar_subquery()
    last = select(func.max(col(QueueTurnRow.turn_ms))).scalar_subquery()
    return func.coalesce(first, last, literal(now_ms, BigInteger))


async def place(tx: Tx, job_id: str, rank_ms: int) -> bool:
    """Give a job that has not begun another place in the order; False if it began meanwhile."""
    not_begun = [JobState.READY.value, JobState.WAITING.value]
    result = await tx.session.execute(
        update(JobRow).where(col(JobRow.id) == job_id, col(JobRow.state).in_(not_begun)).values(rank_ms=rank_ms)
    )
    return int(getattr(result, "rowcount", -1)) == 1


async def ends_of_line(tx: Tx) -> tuple[int, int] | None:
    """The ranks of the first and the last job that wait; None if none does."""
    ranks = func.min(col(JobRow.rank_ms)), func.max(col(JobRow.rank_ms))
    first, last = (await tx.session.execute(select(*ranks).where(has_state(JobState.READY)))).one()
    return None if first is None else (int(first), int(last))
