"""What models spent: the newest sum of a job holds, whichever of its tries told it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.model.job import Job
from core.model.lifecycle import State
from core.model.provenance import Usage
from core.store import spending
from core.store.database import Database
from tests import builders
from tests.clock import timed

pytestmark = pytest.mark.queue


@pytest.fixture
async def job(database):
    await builders.put_job(database, await builders.put_task(database, State.QUEUED))
    return await builders.claim(database)


async def charge(database: Database, job: Job, usage: Usage, at_ms: int = 1000) -> None:
    await database.write(lambda tx: spending.charge(timed(tx, at_ms), job, "code", "ana", usage))


async def spent(database: Database, since_ms: int = 0) -> spending.Spending:
    return await database.read(lambda tx: spending.of_lane(tx, "code", since_ms))


async def test_a_later_word_replaces_the_earlier_one(database, job):
    await charge(database, job, Usage("local/a", 1, 10, 5, 0.5))
    await charge(database, job, Usage("local/a", 2, 30, 6, 0.75))
    assert await spent(database) == spending.Spending(36, 0.75)


async def test_a_later_try_that_tells_the_sum_of_both_is_not_added_to_the_first(database, job):
    await charge(database, job, Usage("local/a", 1, 10, 5, 0.5))
    await charge(database, replace(job, attempt=2), Usage("local/a", 2, 30, 6, 0.75))
    assert await spent(database) == spending.Spending(36, 0.75)


async def test_models_and_jobs_add_up(database, job):
    await charge(database, job, Usage("local/a", 1, 10, 5))
    await charge(database, job, Usage("local/b", 1, 100, 50, 1.0))
    await builders.put_job(database, job.number)
    await charge(database, replace(job, id=await builders.put_job(database, job.number)), Usage("local/a", 1, 1, 1))
    assert await spent(database) == spending.Spending(167, 1.0)


async def test_what_was_spent_before_a_day_began_is_not_of_it(database, job):
    await charge(database, job, Usage("local/a", 1, 10, 5), at_ms=1000)
    assert await spent(database, since_ms=1001) == spending.Spending(0, 0.0)
