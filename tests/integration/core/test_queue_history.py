"""The queue's history as a trace: finished jobs that asked a model, with when they were ready, claimed and finished."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import col

from core.model.job import JobKind, JobState
from core.model.lifecycle import State
from core.model.provenance import Usage
from core.scheduler.demand import WorkClass
from core.services.queue_history import QueueHistory
from core.simulator.trace import parse_trace, write_trace
from core.store import spending_ledger
from core.store.database import Database
from core.store.spending_ledger import LedgerEntry
from core.store.tables import JobRow
from tests import builders

pytestmark = pytest.mark.queue

DAY_MS = 24 * 3600 * 1000


async def finished(database: Database, usages: list[Usage], **columns: Any) -> None:
    """A job as it is when it is over, with what its calls of models cost."""
    number = await builders.put_task(database, State.QUEUED)
    job_id = await builders.put_job(database, number)
    job = await builders.claim(database)
    assert job is not None
    assert job.id == job_id
    usual = {"state": JobState.DONE.value, "kind": JobKind.CHANGE.value, "lane": "code", "person": "ana"}

    async def work(tx: Any) -> None:
        for index, usage in enumerate(usages):
            await spending_ledger.append(tx, job, LedgerEntry("", str(index), "code", "ana", usage))
        await tx.session.execute(update(JobRow).where(col(JobRow.id) == job_id).values(**{**usual, **columns}))

    await database.write(work)


async def test_a_finished_job_is_a_request_with_its_model_tokens_and_times(database):
    await finished(
        database,
        [Usage("local/small", 1, 10, 5), Usage("local/qwen3:8b", 2, 400, 80)],
        ready_ms=DAY_MS + 1_000,
        claimed_ms=DAY_MS + 3_500,
        finished_ms=DAY_MS + 60_000,
        deadline_ms=DAY_MS + 100_000,
    )
    await finished(
        database,
        [Usage("claude-sonnet", 1, 7, 3)],
        kind=JobKind.PLAN.value,
        lane=None,
        person="lee",
        ready_ms=DAY_MS,
        claimed_ms=DAY_MS + 500,
        finished_ms=DAY_MS + 2_000,
    )
    plan, change = await QueueHistory(database).trace(None)
    assert (plan.arrival_s, plan.start_s, plan.finish_s, plan.work_s) == (0.0, 0.5, 2.0, 1.5)
    assert (plan.model, plan.lane, plan.tenant, plan.work_class) == ("claude-sonnet", "plan", "lee", WorkClass.CHAT)
    assert (change.arrival_s, change.start_s, change.finish_s, change.work_s) == (1.0, 3.5, 60.0, 56.5)
    assert (change.model, change.prompt_tokens, change.output_tokens) == ("qwen3:8b", 410, 85)
    assert (change.lane, change.work_class, change.deadline_s) == ("code", WorkClass.BULK, 100.0)
    assert parse_trace(write_trace([plan, change]), "t.csv") == [plan, change]


async def test_what_is_not_over_failed_or_asked_no_model_is_left_out(database):
    model = [Usage("local/a", 1, 1, 1)]
    times = {"ready_ms": 0, "claimed_ms": 1, "finished_ms": 2}
    await finished(database, model, state=JobState.FAILED.value, **times)
    await finished(database, model, state=JobState.CANCELLED.value, ready_ms=0, finished_ms=2, claimed_ms=None)
    await finished(database, [], **times)
    assert await QueueHistory(database).trace(None) == ()


async def test_only_what_was_ready_since_then_is_read(database):
    for ready_ms in (DAY_MS, 3 * DAY_MS):
        times = {"ready_ms": ready_ms, "claimed_ms": ready_ms, "finished_ms": ready_ms + 1}
        await finished(database, [Usage("local/a", 1, 1, 1)], **times)
    since = datetime.fromtimestamp(2 * DAY_MS / 1000, UTC)
    assert [each.arrival_s for each in await QueueHistory(database).trace(since)] == [0.0]
    assert len(await QueueHistory(database).trace(None)) == 2
