"""What a journal and a reporter of usage promise: those of a claimed job, and those that last as long as a process."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from core.jobs.job_context import JobContext
from core.jobs.usage import JobUsage
from core.model.job import Job
from core.model.lifecycle import State
from core.model.provenance import Usage
from core.ports import Journal, MemoryJournal, MemoryUsage, UsageReporter
from core.store.database import Database
from core.store.journal import JobJournal
from tests import builders

pytestmark = pytest.mark.queue


async def claimed(database: Database) -> Job:
    await builders.put_job(database, await builders.put_task(database, State.QUEUED))
    job = await builders.claim(database)
    assert job is not None
    return job


@pytest.fixture(params=["of a job", "of a process"])
async def usage(request, database) -> UsageReporter:
    if request.param == "of a process":
        return MemoryUsage()
    context = cast("JobContext", SimpleNamespace(database=database))
    return JobUsage(context, await claimed(database), "code", "ana")


@pytest.fixture(params=["of a job", "of a process"])
async def journal(request, database) -> Journal:
    return MemoryJournal() if request.param == "of a process" else JobJournal(database, await claimed(database))


async def test_a_call_counts_once_in_its_part_and_again_in_another(usage):
    assert await usage.report("1", Usage("m", 1, 10, 5, 0.5))
    assert not await usage.report("1", Usage("m", 1, 99, 99))
    assert await usage.part("try1").report("1", Usage("m", 1, 1, 1))
    assert await usage.spent() == (Usage("m", 2, 11, 6, 0.5),)


async def test_a_part_has_what_was_spent_below_it_and_nothing_else(usage):
    await usage.part("try1").part("step").report("1", Usage("m", 1, 10, 0))
    await usage.part("try10").report("1", Usage("m", 1, 7, 0))
    assert await usage.part("try1").spent() == (Usage("m", 1, 10, 0),)
    assert await usage.part("try1").part("step").spent() == (Usage("m", 1, 10, 0),)
    assert await usage.part("try").spent() == ()


async def test_models_are_apart_and_dollars_that_nobody_reported_are_none(usage):
    await usage.report("1", Usage("b", 1, 10, 0))
    await usage.report("2", Usage("a", 1, 20, 0, 0.25))
    assert set(await usage.spent()) == {Usage("b", 1, 10, 0, None), Usage("a", 1, 20, 0, 0.25)}


async def test_a_journal_has_its_entries_in_order_and_its_parts_apart(journal):
    for n in range(3):
        await journal.add({"n": n})
    await journal.part("step").add({"of": "step"})
    assert list(await journal.recall()) == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert list(await journal.part("step").recall()) == [{"of": "step"}]
    assert list(await journal.part("other").recall()) == []
