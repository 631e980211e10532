"""The spending ledger: one entry for each call of a model. Every sum for budgets and people is a query of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select, update
from sqlmodel import col

from core.model.budget import BudgetAccount, Spending
from core.model.job import Job, JobKind
from core.model.provenance import Usage
from core.store.tables import JobRow, SpendingRow
from core.store.unit_of_work import Tx
from core.store.upsert import insert_into

_KEY = ("job_id", "part", "call")


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What one call of a model cost. `call` names it within `part`, the part of the job's work that made it.

    `lane` is empty while it is not known: see `attribute`.
    """

    part: str
    call: str
    lane: str
    person: str
    usage: Usage


async def append(tx: Tx, job: Job, entry: LedgerEntry) -> bool:
    """Add one entry; False, and nothing changes, if the ledger has an entry of that job, part and call already.

    The claim on the job is not checked, because a worker that lost it has spent the money nevertheless.
    """
    usage = entry.usage
    insert = insert_into(tx, SpendingRow).values(
        job_id=job.id,
        part=entry.part,
        call=entry.call,
        model=usage.model,
        number=job.number,
        lane=entry.lane,
        person=entry.person,
        calls=usage.calls,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        usd=usage.usd,
        at_ms=tx.now_ms,
    )
    added = await tx.session.execute(insert.on_conflict_do_nothing(index_elements=_KEY).returning(SpendingRow.call))
    return added.first() is not None


async def attribute(tx: Tx, job: Job, lane: str) -> None:
    """Charge what `job` spent before its lane was known to `lane`."""
    unknown = (col(SpendingRow.job_id) == job.id, col(SpendingRow.lane) == "")
    await tx.session.execute(update(SpendingRow).where(*unknown).values(lane=lane))


async def of_part(tx: Tx, job_id: str, part: str) -> tuple[Usage, ...]:
    """What a part of a job and the parts below it spent in all attempts: a sum for each model, the earliest first.

    The whole job is the part with the empty name.
    """
    of_job = col(SpendingRow.job_id) == job_id
    below = col(SpendingRow.part).startswith(f"{part}/", autoescape=True)
    input_tokens, output_tokens = col(SpendingRow.input_tokens), col(SpendingRow.output_tokens)
    rows = await tx.session.execute(
        select(
            col(SpendingRow.model),
            func.sum(col(SpendingRow.calls)),
            func.sum(input_tokens),
            func.sum(output_tokens),
            func.sum(col(SpendingRow.usd)),
        )
        .where(of_job, or_(col(SpendingRow.part) == part, below) if part else of_job)
        .group_by(col(SpendingRow.model))
        .order_by(func.min(col(SpendingRow.at_ms)), col(SpendingRow.model))
    )
    return tuple(
        Usage(model, int(calls), int(inputs), int(outputs), None if usd is None else float(usd))
        for model, calls, inputs, outputs, usd in rows
    )


async def of_revisions(tx: Tx, number: int, revisions: Collection[int]) -> Spending:
    """What the change jobs of these revisions of a task spent, without the reading of the request."""
    query = (
        _sums()
        .join(JobRow, col(JobRow.id) == col(SpendingRow.job_id))
        .where(col(JobRow.number) == number, col(JobRow.revision).in_(revisions))
        .where(col(JobRow.kind) == JobKind.CHANGE.value)
    )
    return _spending((await tx.session.execute(query)).one())


async def of_lane(tx: Tx, lane: str, since_ms: int) -> Spending:
    """What a lane spent from `since_ms` on."""
    query = _sums().where(col(SpendingRow.lane) == lane, col(SpendingRow.at_ms) >= since_ms)
    return _spending((await tx.session.execute(query)).one())


async def free_at_ms(tx: Tx, lane: str, since_ms: int, limits: Spending) -> int | None:
    """The time of the newest entry that must be older than a day before the lane is below `limits`.

    None if it is below them already. Entries age in the order of their times. A limit of 0 means no limit.
    """
    usd, at_ms = func.coalesce(col(SpendingRow.usd), 0.0), col(SpendingRow.at_ms)
    query = select(col(SpendingRow.calls), _tokens(), usd, at_ms).where(
        col(SpendingRow.lane) == lane, at_ms >= since_ms
    )
    entries = [(_spending(amounts), int(at)) for *amounts, at in await tx.session.execute(query.order_by(at_ms))]
    account = BudgetAccount(limits)
    for amount, _ in entries:
        account = account.plus(amount)
    last: int | None = None
    for amount, at in entries:
        if account.exceeded is None:
            break
        account, last = replace(account, spent=account.spent.less(amount)), at
    return last


def _tokens() -> ColumnElement[int]:
    return col(SpendingRow.input_tokens) + col(SpendingRow.output_tokens)


def _sums() -> Select[Any]:
    """The sums of calls, tokens and dollars of the ledger."""
    amounts = (col(SpendingRow.calls), _tokens(), col(SpendingRow.usd))
    return select(*(func.coalesce(func.sum(amount), 0) for amount in amounts))


def _spending(amounts: Sequence[Any]) -> Spending:
    calls, tokens, usd = amounts
    return Spending(int(calls), int(tokens), float(usd))
