"""The journal of a job: read by its next worker, written by its holder alone, gone when the job is over."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from core.model.errors import LostClaimError
from core.model.job import Job, JobState
from core.model.lifecycle import State
from core.store import jobs
from core.store.database import Database
from core.store.journal import JobJournal
from tests import builders
from tests.clock import timed

pytestmark = pytest.mark.queue


async def claimed(database: Database, owner: str) -> Job:
    job = await builders.claim(database, owner)
    assert job is not None
    return job


@pytest.fixture
async def job(database):
    await builders.put_job(database, await builders.put_task(database, State.QUEUED))
    return await claimed(database, "first")


async def hand_over(database: Database, job: Job) -> Job:
    """The same job in the hands of another worker."""
    await database.write(lambda tx: jobs.put_back(tx, job, 0, attempt=job.attempt + 1))
    return await claimed(database, "second")


async def rows(database: Database) -> int:
    return int((await database.read(lambda tx: tx.session.execute(text("SELECT count(*) FROM journal")))).scalar_one())


async def test_the_next_holder_reads_on_where_the_last_one_stopped(database, job):
    first = JobJournal(database, job)
    await first.add({"answer": 1})
    await first.part("step").add({"answer": "of a part"})
    await first.add({"answer": 2})
    successor = JobJournal(database, await hand_over(database, job))
    assert list(await successor.recall()) == [{"answer": 1}, {"answer": 2}]
    assert list(await successor.part("step").recall()) == [{"answer": "of a part"}]


async def test_who_lost_the_job_writes_nothing_more(database, job):
    successor = await hand_over(database, job)
    with pytest.raises(LostClaimError):
        await JobJournal(database, job).add({"answer": "late"})
    assert list(await JobJournal(database, successor).recall()) == []


@pytest.mark.parametrize("over", [JobState.DONE, JobState.FAILED])
async def test_the_journal_of_a_job_that_is_over_is_gone(database, job, over):
    await JobJournal(database, job).part("step").add({"answer": 1})
    await database.write(lambda tx: jobs.end(timed(tx, 1), job, over))
    assert await rows(database) == 0


async def test_a_cancelled_job_leaves_no_journal_and_other_jobs_keep_theirs(database, job):
    await JobJournal(database, job).add({"answer": 1})
    other = await builders.put_task(database, State.QUEUED)
    await builders.put_job(database, other)
    kept = JobJournal(database, await claimed(database, "second"))
    await kept.add({"answer": "kept"})
    await database.write(lambda tx: jobs.cancel_jobs(timed(tx, 1), job.number))
    assert list(await kept.recall()) == [{"answer": "kept"}]
    assert await rows(database) == 1
