"""The queue's rows: one claimant a job, fences against zombies, and a way back for whatever was left behind."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import text

from core.model.change_result import ChangeResult
from core.model.errors import LostClaimError
from core.model.job import MAX_RESCUES, PAYLOAD_VERSION, Job, JobKind, JobState
from core.model.job_order import NodeView
from core.model.lifecycle import State
from core.model.provenance import Provenance
from core.queue.reconciler import Reconciler
from core.store import claims, jobs, queue_queries, workers
from core.store.database import Database
from core.store.unit_of_work import Tx
from tests import builders
from tests.clock import clock_ms, timed

pytestmark = pytest.mark.queue


async def taken(database: Database, owner: str = "w1") -> Job:
    """A claim that finds something."""
    found = await builders.claim(database, owner)
    assert found is not None
    return found


async def row_of(database: Database, job_id: str) -> Job:
    found = await database.read(lambda tx: queue_queries.queue_line(tx, 1000))
    return next(queued.job for queued in found if queued.job.id == job_id)


async def state_of(database: Database, job_id: str) -> str:
    statement = text(f"SELECT state FROM jobs WHERE id = '{job_id}'")
    return str((await database.read(lambda tx: tx.session.execute(statement))).scalar_one())


@pytest.fixture
async def number(database):
    """A task to hang jobs on."""
    return await builders.put_task(database, State.QUEUED)


# ---- claiming

MANY = 100


async def test_a_claim_makes_the_job_ours_under_a_new_fence(database, number):
    job_id = await builders.put_job(database, number)
    claimed = await taken(database)
    assert (claimed.id, claimed.state, claimed.owner, claimed.fence) == (job_id, JobState.RUNNING, "w1", 1)
    assert await builders.claim(database, "w2") is None
    assert await database.read(lambda tx: jobs.held_by(tx, "w1")) == {job_id}


async def test_of_many_claimers_each_job_has_exactly_one(database, location, number):
    wanted = {await builders.put_job(database, number) for _ in range(40)}
    others = [Database(location) for _ in range(5)]

    async def take_all(which: Database, owner: str) -> list[str]:
        mine = []
        while await which.read(lambda tx: claims.needed_now(tx, builders.NODE.offers)):
            if (found := await builders.claim(which, owner)) is not None:
                mine.append(found.id)
        return mine

    taken = await asyncio.gather(*(take_all(which, f"w{n}.{m}") for n, which in enumerate(others) for m in range(2)))
    assert Counter(job_id for mine in taken for job_id in mine) == Counter(wanted)
    for other in others:
        await other.close()


async def test_a_job_is_left_alone_until_it_is_ready(database, number):
    await builders.put_job(database, number, ready_in=timedelta(minutes=1))
    assert await builders.claim(database) is None


async def test_a_job_is_left_to_a_node_that_has_what_it_needs(database, number):
    job_id = await builders.put_job(database, number, needs=["gpu", "sandbox"])
    assert await builders.claim(database) is None
    claimed = await builders.claim(database, node=NodeView("big", frozenset({"gpu", "sandbox", "git"})))
    assert claimed is not None
    assert claimed.id == job_id


async def test_a_job_of_a_newer_program_is_left_to_it(database, number):
    await builders.put_job(database, number, payload_version=PAYLOAD_VERSION + 1)
    assert await builders.claim(database) is None


async def put_many(database: Database, number: int, count: int, **columns: object) -> None:
    async def work(tx: Tx) -> None:
        tx.session.add_all(builders.job_row(number, tx.now_ms, **columns) for _ in range(count))

    await database.write(work)


async def test_jobs_for_other_nodes_do_not_hide_the_one_for_this(database, number):
    """No head-of-line blocking: a queue full of GPU work leaves a small host its own."""
    await put_many(database, number, MANY, priority=5, needs=["gpu"])
    mine = await builders.put_job(database, number)
    claimed = await taken(database)
    assert claimed.id == mine


async def test_a_crowd_of_higher_priority_does_not_starve_an_old_job(database, number):
    """Two steps of priority are twenty turns, however many jobs there are."""
    old = await builders.put_job(database, number, person="lee")
    for _ in range(25):
        await builders.put_job(database, number, person="ana", priority=2)
    taken = [await builders.claim(database) for _ in range(22)]
    assert old in [job.id for job in taken if job is not None]


async def test_a_crowd_of_higher_priority_does_not_hide_a_deadline(database, number):
    await put_many(database, number, MANY, priority=9)
    soon_ms = 1000 + await database.read(clock_ms)
    urgent = await builders.put_job(database, number, deadline_ms=soon_ms)
    claimed = await taken(database)
    assert claimed.id == urgent


# ---- fences


async def takeover(database: Database, next_worker: str = "w2") -> tuple[Job, Job]:
    """A claim, and a later one of another worker, or of the same, after the first one was taken for dead."""
    stale = await taken(database)

    async def rescue(tx: Tx) -> list[Job]:
        return await jobs.rescue_from(tx, ["w1"], count=True)

    await database.write(rescue)
    successor = await taken(database, next_worker)
    assert (successor.id, successor.run_id) == (stale.id, stale.run_id), "the next holder goes on with the same run"
    assert successor.fence > stale.fence
    assert successor.rescues == 1
    return stale, successor


RESULT = ChangeResult("b" * 40, "c" * 40, authors=("ana",))

WRITES = {
    "end": lambda tx, job: jobs.end(timed(tx, 1), job, JobState.DONE),
    "hold": jobs.check_claim,
    "put_back": lambda tx, job: jobs.put_back(tx, job, 1, attempt=2),
    "keep_result": lambda tx, job: jobs.keep_result(tx, job, RESULT),
}


@pytest.mark.parametrize("write", WRITES)
async def test_whoever_holds_the_claim_may_write(database, number, write):
    await builders.put_job(database, number)
    held = await taken(database)
    await database.write(lambda tx: WRITES[write](tx, held))


@pytest.mark.parametrize("next_worker", ["w2", "w1"], ids=["taken over", "claimed again by the same"])
@pytest.mark.parametrize("write", WRITES)
async def test_nothing_a_zombie_writes_counts(database, number, write, next_worker):
    await builders.put_job(database, number)
    stale, successor = await takeover(database, next_worker)
    with pytest.raises(LostClaimError):
        await database.write(lambda tx: WRITES[write](tx, stale))
    after = await row_of(database, successor.id)
    assert (after.state, after.owner, after.fence) == (JobState.RUNNING, next_worker, successor.fence)
    assert await database.read(lambda tx: jobs.result_of(tx, successor)) is None


@pytest.mark.parametrize("write", WRITES)
async def test_nothing_is_written_for_a_job_that_was_cancelled_or_put_back(database, number, write):
    await builders.put_job(database, number)
    held = await taken(database)
    await database.write(lambda tx: jobs.put_back(tx, held, 1, attempt=2))
    with pytest.raises(LostClaimError):
        await database.write(lambda tx: WRITES[write](tx, held))
    again = await taken(database)
    assert again.attempt == 2
    assert again.run_id != held.run_id, "another try is another run"
    assert await database.write(lambda tx: jobs.cancel_jobs(timed(tx, 1), number)) == [held.id]
    with pytest.raises(LostClaimError):
        await database.write(lambda tx: WRITES[write](tx, again))
    assert await state_of(database, held.id) == "cancelled"


async def test_the_result_of_an_earlier_try_is_there_for_the_next(database, number):
    await builders.put_job(database, number)
    held = await taken(database)
    await database.write(lambda tx: jobs.keep_result(tx, held, RESULT))
    await database.write(lambda tx: jobs.put_back(tx, held, 1, attempt=2))
    again = await taken(database)
    assert await database.read(lambda tx: jobs.result_of(tx, again)) == RESULT


async def test_a_result_without_a_version_is_read(database, number):
    """Older versions stored results so."""
    stored = {"base": "b" * 40, "tree": "c" * 40, "making": {"executor": "edit"}}
    await builders.put_job(database, number, result=stored)
    held = await taken(database)
    result = await database.read(lambda tx: jobs.result_of(tx, held))
    assert result == ChangeResult("b" * 40, "c" * 40, Provenance("edit"), authors=None)


ENDS = {
    "done": lambda tx, job: jobs.end(timed(tx, 1), job, JobState.DONE),
    "failed": lambda tx, job: jobs.end(timed(tx, 1), job, JobState.FAILED),
    "cancelled": lambda tx, job: jobs.cancel_jobs(timed(tx, 1), job.number),
    "given up": lambda tx, job: jobs.close_unclaimed(timed(tx, 1), job.id, JobState.FAILED),
}


@pytest.mark.parametrize("end", ENDS)
async def test_the_result_of_a_job_that_ended_is_cleared(database, number, end):
    await builders.put_job(database, number)
    held = await taken(database)
    await database.write(lambda tx: jobs.keep_result(tx, held, RESULT))
    await database.write(lambda tx: ENDS[end](tx, held))
    assert await database.read(lambda tx: jobs.result_of(tx, held)) is None


# ---- what crashes and time leave behind


@pytest.fixture
def reconciler(database):
    return Reconciler(database, builders.always(builders.settings()))


async def test_the_jobs_of_a_silent_worker_go_back_under_a_higher_fence(database, number, reconciler):
    await builders.put_job(database, number)
    await builders.put_worker(database, "w1", silent_s=builders.QUICK.lease_s + 1)
    held = await taken(database)
    assert await reconciler.sweep() == 1
    after = await row_of(database, held.id)
    assert (after.state, after.owner, after.rescues) == (JobState.READY, None, 1)
    assert after.fence > held.fence
    assert await database.write(lambda tx: workers.beat(timed(tx, 1), "w1")) is False, "it must learn that it is dead"
    assert await reconciler.sweep() == 0


async def test_a_worker_that_is_accepted_keeps_its_jobs(database, number, reconciler):
    await builders.put_job(database, number)
    await builders.put_worker(database, "w1", silent_s=-30)
    held = await taken(database)
    assert await reconciler.sweep() == 0
    await database.write(lambda tx: jobs.check_claim(tx, held))


async def test_of_many_sweepers_one_rescues(database, location, number):
    await builders.put_job(database, number)
    await builders.put_worker(database, "w1", silent_s=60)
    await builders.claim(database)
    others = [Database(location) for _ in range(4)]
    source = builders.always(builders.settings())
    swept = await asyncio.gather(*(Reconciler(other, source).sweep() for other in others))
    assert sum(swept) == 1
    (job,) = await builders.active_jobs(database, number)
    assert job.rescues == 1
    for other in others:
        await other.close()


async def test_a_job_that_kills_its_workers_fails_its_task(database, reconciler):
    number = await builders.put_task(database, State.RUNNING)
    job_id = await builders.put_job(database, number)
    for n in range(MAX_RESCUES + 1):
        assert (await builders.load(database, number)).state is State.RUNNING
        await builders.put_worker(database, f"w{n}", silent_s=60)
        assert await builders.claim(database, f"w{n}") is not None
        assert await reconciler.sweep() == 1
    task = await builders.load(database, number)
    assert task.state is State.FAILED
    assert task.error is not None
    assert task.error.code == "kills_workers"
    assert await state_of(database, job_id) == "failed"
    assert await builders.claim(database, "w9") is None
    assert (await builders.kinds_of(database, number))[-1] == "task.failed"


@pytest.mark.parametrize("state", [State.PUBLISHED, State.MERGED])
async def test_what_waits_for_another_task_goes_on_once_that_one_went_through(database, number, reconciler, state):
    first = await builders.put_task(database, State.STAGED, diff=builders.staged())
    job_id = await builders.put_job(database, number, state=JobState.WAITING.value, after=first)
    assert await reconciler.sweep() == 0
    assert await builders.claim(database) is None
    await set_state(database, first, state)
    assert await reconciler.sweep() == 1
    claimed = await taken(database)
    assert claimed.id == job_id


@pytest.mark.parametrize("state", sorted(set(State) - {State.PUBLISHED, State.MERGED}))
async def test_what_waits_for_a_task_that_came_to_nothing_fails(database, number, reconciler, state):
    over = {State.REFUSED, State.REJECTED, State.EXPIRED, State.FAILED, State.CANCELLED, State.CLOSED}
    first = await builders.put_task(database, State.STAGED, diff=builders.staged())
    job_id = await builders.put_job(database, number, state=JobState.WAITING.value, after=first)
    await builders.put_job(database, first)  # so that it is no orphan itself
    await set_state(database, first, state)
    await reconciler.sweep()
    task = await builders.load(database, number)
    if state not in over:
        assert task.state is State.QUEUED
        assert await state_of(database, job_id) == "waiting"
        return
    assert task.state is State.FAILED
    assert task.error is not None
    assert task.error.code == "dependency"
    assert f"#{first}" in task.error.message
    assert await state_of(database, job_id) == "cancelled"


async def set_state(database: Database, number: int, state: State) -> None:
    statement = text(f"UPDATE tasks SET state = '{state.value}' WHERE number = {number}")
    await database.write(lambda tx: tx.session.execute(statement))


OWED = {
    State.RECEIVED: JobKind.PLAN,
    State.QUEUED: JobKind.CHANGE,
    State.RUNNING: JobKind.CHANGE,
    State.APPROVED: JobKind.PUBLISH,
}


@pytest.mark.parametrize("state", OWED)
async def test_a_working_task_that_lost_its_job_gets_it_again(database, reconciler, state):
    number = await builders.put_task(database, state, diff=builders.staged())
    await builders.put_job(database, number, kind=OWED[state].value, state=JobState.FAILED.value)
    assert await reconciler.sweep() == 1
    assert await reconciler.sweep() == 0
    (job,) = await builders.active_jobs(database, number)
    assert (job.kind, job.state, job.revision) == (OWED[state], JobState.READY, 1)


async def test_a_job_that_is_owed_again_still_needs_what_it_needed(database, reconciler):
    number = await builders.put_task(database, State.QUEUED)
    await builders.put_job(database, number, state=JobState.FAILED.value, needs=["gpu"])
    await reconciler.sweep()
    (job,) = await builders.active_jobs(database, number)
    assert job.needs == {"gpu"}


@pytest.mark.parametrize("state", sorted(set(State) - set(OWED)))
async def test_a_task_at_rest_gets_no_job(database, reconciler, state):
    number = await builders.put_task(database, state, diff=builders.staged())
    assert await reconciler.sweep() == 0
    assert await builders.active_jobs(database, number) == []


@pytest.mark.parametrize("state", [State.ASKING, State.STAGED])
async def test_what_waited_too_long_for_a_person_expires_and_stays_expired(database, reconciler, state):
    number = await builders.put_task(database, state, diff=builders.staged(), columns={"expires_ms": 1})
    later = await builders.put_task(database, state, diff=builders.staged(), columns={"expires_ms": 1 << 45})
    assert await reconciler.sweep() == 1
    task = await builders.load(database, number)
    assert task.state is State.EXPIRED
    assert task.expires_at is None
    assert task.error is not None
    assert task.error.code == "expired"
    assert (await builders.kinds_of(database, number))[-1] == "task.expired"
    assert (await builders.load(database, later)).state is state


async def test_a_published_task_outlives_its_expired_revision(database, reconciler):
    opened = builders.pull_request()
    number = await builders.put_task(
        database, State.STAGED, diff=builders.staged(), opened=opened, columns={"expires_ms": 1}
    )
    await reconciler.sweep()
    task = await builders.load(database, number)
    assert task.state is State.PUBLISHED
    assert task.pull_request == opened


# ---- what people see


async def test_the_position_counts_what_is_taken_before(database, number):
    ids = [await builders.put_job(database, number, ready_in=timedelta(seconds=-9 + n)) for n in range(3)]
    urgent = await builders.put_job(database, number, priority=1)

    async def places(tx: Tx) -> list[int]:
        return [await queue_queries.position_of(tx, await row_of(database, job_id)) for job_id in (urgent, *ids)]

    assert await database.read(places) == [1, 2, 3, 4]
    assert await database.read(queue_queries.count_by_state) == {"ready": 4}
