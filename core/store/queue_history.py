"""What finished jobs that asked a model took: when each was ready, claimed and finished, and what it asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, func
from sqlmodel import col, select

from core.model.job import JobKind, JobState
from core.store.tables import JobRow, SpendingRow
from core.store.unit_of_work import Tx

_KINDS: Final = (JobKind.PLAN, JobKind.READ, JobKind.CHANGE)


@dataclass(frozen=True, slots=True)
class FinishedWork:
    """The last try of a finished job, with the model that it asked for the most tokens and the tokens of all models.

    Times are UTC milliseconds since the epoch. `model` is ``endpoint/model`` as the ledger has it.
    """

    kind: JobKind
    lane: str
    person: str
    model: str
    input_tokens: int
    output_tokens: int
    ready_ms: int
    claimed_ms: int
    finished_ms: int
    deadline_ms: int | None


async def finished_work(tx: Tx, since_ms: int) -> list[FinishedWork]:
    """The finished jobs that were ready since `since_ms` and asked a model, in the order in which they were ready."""
    jobs: dict[str, FinishedWork] = {}
    rows = await tx.session.execute(_work_by_model(since_ms))
    for job_id, kind, lane, person, ready, claimed, finished, deadline, model, asked, answered in rows:
        first = jobs.get(job_id)
        jobs[job_id] = FinishedWork(
            JobKind(kind),
            lane or "",
            person,
            first.model if first else model,
            int(asked) + (first.input_tokens if first else 0),
            int(answered) + (first.output_tokens if first else 0),
            int(ready),
            int(claimed),
            int(finished),
            None if deadline is None else int(deadline),
        )
    return list(jobs.values())


def _work_by_model(since_ms: int) -> Select[Any]:
    """A row for each finished job and model that it asked; of a job, the model first that most tokens are of."""
    tokens = func.sum(col(SpendingRow.input_tokens) + col(SpendingRow.output_tokens))
    statement: Select[Any] = (
        select(  # type: ignore[call-overload]  # SQLModel's overloads end at four columns
            col(JobRow.id),
            col(JobRow.kind),
            col(JobRow.lane),
            col(JobRow.person),
            col(JobRow.ready_ms),
            col(JobRow.claimed_ms),
            col(JobRow.finished_ms),
            col(JobRow.deadline_ms),
            col(SpendingRow.model),
            func.sum(col(SpendingRow.input_tokens)),
            func.sum(col(SpendingRow.output_tokens)),
        )
        .join(SpendingRow, col(SpendingRow.job_id) == col(JobRow.id))
        .where(
            col(JobRow.state) == JobState.DONE.value,
            col(JobRow.ready_ms) >= since_ms,
            col(JobRow.kind).in_([kind.value for kind in _KINDS]),
            col(JobRow.claimed_ms).is_not(None),
            col(JobRow.finished_ms).is_not(None),
        )
        .group_by(col(JobRow.id), col(SpendingRow.model))
        .order_by(col(JobRow.ready_ms), col(JobRow.id), tokens.desc(), col(SpendingRow.model))
    )
    return statement
