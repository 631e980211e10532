"""Claims and positions in a long queue: one UPDATE takes a job, and people are shown the order that claims follow."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import insert, text

from core.model.job import Job, JobKind, JobState
from core.model.job_order import NodeView
from core.model.lifecycle import State
from core.queue.claimer import Claimer
from core.store import claims, jobs, queue_queries, tasks
from core.store.database import Database
from core.store.tables import JobRow
from core.store.transition import OwedWork, owed_again, owed_job
from core.store.unit_of_work import Tx
from tests import builders
from tests.clock import clock_ms

pytestmark = pytest.mark.queue

MANY = 10_000
DAY_MS = 24 * 3600 * 1000


@pytest.fixture
async def number(database):
    """A task to hang jobs on."""
    return await builders.put_task(database, State.QUEUED)


async def fill(database: Database, number: int, count: int, seed: int = 1) -> None:
    """Put `count` jobs of every kind of priority, age, deadline and need into the queue."""
    choose, now_ms = random.Random(seed), await database.read(clock_ms)
    rows = [
        builders.job_row(
            number,
            now_ms - choose.randrange(DAY_MS),
            priority=choose.randint(-9, 9),
            needs=choose.choice([[], ["sandbox"], ["gpu"], ["gpu", "sandbox"]]),
            deadline_ms=choose.choice([None, None, now_ms + choose.randrange(-DAY_MS, DAY_MS)]),
        ).model_dump()
        for _ in range(count)
    ]
    await database.write(lambda tx: tx.session.execute(insert(JobRow), rows))


async def ready_jobs(database: Database) -> list[Job]:
    """Every job of the queue."""
    return [queued.job for queued in await database.read(lambda tx: queue_queries.queue_line(tx, MANY))]


async def test_what_a_claim_looks_up_is_in_indexes_of_what_may_be_claimed(database, number):
    """Else it would cost more the more jobs wait, are parked or are finished."""
    await fill(database, number, 1000)
    await database.write(lambda tx: tx.session.execute(text("ANALYZE")))
    dialect = database.engine.dialect
    statement = claims.claim_statement(dialect.name, ("", "sandbox"), "w1")
    literal = statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    explain = "EXPLAIN QUERY PLAN" if dialect.name == "sqlite" else "EXPLAIN"
    rows = await database.read(lambda tx: tx.session.execute(text(f"{explain} {literal}".replace(":", r"\:"))))
    plan = "\n".join(str(row[-1]) for row in rows)
    assert plan.count("jobs_to_claim") >= 2, plan
    assert plan.count("jobs_by_deadline") >= 2, plan
    assert not [line for line in plan.splitlines() if "SCAN jobs" in line or "Seq Scan on jobs" in line], plan


async def test_of_many_claimers_of_a_long_queue_no_two_get_one_job(database, location, number):
    await fill(database, number, 60)
    node = NodeView("big", frozenset({"gpu", "sandbox"}))
    others = [Database(location) for _ in range(4)]
    for n in range(8):
        await builders.put_worker(database, f"w{n}", silent_s=-3600)

    async def take_all(claimer: Claimer) -> list[str]:
        mine = []
        while (job := await claimer.claim()) is not None:
            mine.append(job.id)
        return mine

    claimers = [builders.claimer(others[n % 4], f"w{n}", node) for n in range(8)]
    taken = await asyncio.gather(*map(take_all, claimers))
    counted = Counter(job_id for mine in taken for job_id in mine)
    assert len(counted) == 60
    assert set(counted.values()) == {1}
    for other in others:
        await other.close()


async def test_a_worker_that_was_declared_dead_claims_nothing(database, number):
    await builders.put_job(database, number)
    await builders.put_worker(database, "w1", state="dead")
    assert await builders.claimer(database).claim() is None
    (job,) = await ready_jobs(database)
    assert job.fence == 0


async def test_a_node_claims_only_what_it_has_the_capabilities_for(database, number):
    await builders.put_job(database, number, needs=["gpu", "sandbox"])
    fitting = await builders.put_job(database, number, needs=["sandbox"])
    await builders.put_worker(database, "w1")
    claimer = builders.claimer(database, node=NodeView("here", frozenset({"git", "sandbox"})))
    claimed = await claimer.claim()
    assert claimed is not None
    assert claimed.id == fitting
    assert await claimer.claim() is None


@pytest.mark.parametrize("seed", range(3))
async def test_people_are_shown_the_order_in_which_jobs_are_taken(database, number, seed):
    await fill(database, number, 40, seed)
    await builders.put_job(database, number, ready_in=timedelta(hours=1))

    async def look(tx: Tx) -> tuple[list[Job], list[int]]:
        line = [queued.job for queued in await queue_queries.queue_line(tx, MANY)]
        return line, [await queue_queries.position_of(tx, job) for job in line]

    line, positions = await database.read(look)
    assert positions == list(range(1, 42))
    everywhere = NodeView("big", frozenset({"gpu", "sandbox"}))
    taken = [await builders.claim(database, "w1", everywhere) for _ in range(40)]
    assert [job.id for job in taken if job is not None] == [job.id for job in line[:-1]]


async def test_what_runs_is_listed_first_and_what_waits_last(database, number):
    waiting = await builders.put_job(database, number, state=JobState.WAITING.value, after=number)
    later = await builders.put_job(database, number, ready_in=timedelta(minutes=1))
    second = await builders.put_job(database, number)
    first = await builders.put_job(database, number, priority=1)
    running = await builders.put_job(database, number, priority=2)
    assert (await builders.claim(database)) is not None
    assert [job.id for job in await ready_jobs(database)] == [running, first, second, later, waiting]
    some = await database.read(lambda tx: queue_queries.queue_line(tx, 2))
    assert [queued.job.id for queued in some] == [running, first]


async def test_a_job_that_is_put_back_for_later_ranks_from_then_on(database, number):
    """Else jobs that look at a pull request every half hour would go before everything else."""
    old = await builders.put_job(database, number, ready_in=timedelta(days=-2))
    claimed = await builders.claim(database)
    assert claimed is not None
    assert claimed.id == old
    later_ms = await database.read(clock_ms) + 3_600_000
    await database.write(lambda tx: jobs.put_back(tx, claimed, later_ms, attempt=2))
    number = await builders.put_task(database, State.QUEUED, requester="lee")
    newer = await builders.put_job(database, number, person="lee")
    claimed = await builders.claim(database)
    assert claimed is not None
    assert claimed.id == newer
    assert await builders.claim(database) is None


async def test_jobs_know_what_they_are_about(database, number):
    """The columns that a scheduler can look at, for a job as it is owed."""

    async def owe(tx: Tx) -> OwedWork:
        task = await tasks.load(tx, number)
        owed = OwedWork(frozenset({"sandbox", "gpu"}), write_set=("src/**",))
        await jobs.add(tx, owed_job(tx, task, JobKind.CHANGE, 1, owed))
        await jobs.add(tx, owed_job(tx, task, JobKind.PUBLISH, 1, OwedWork()))
        return await owed_again(tx, number, JobKind.CHANGE, [1])

    owed = await database.write(owe)
    assert (owed.needs, owed.write_set) == ({"gpu", "sandbox"}, ("src/**",))
    statement = text("SELECT kind, repository, lane, person, write_set, capabilities FROM jobs ORDER BY kind")
    rows = (await database.read(lambda tx: tx.session.execute(statement))).all()
    shown = [(*row[:4], json.loads(row[4]) if isinstance(row[4], str) else row[4], row[5]) for row in rows]
    assert shown == [
        ("change", "web", "config", "ana", ["src/**"], "gpu\nsandbox"),
        ("publish", "web", "config", "ana", [], ""),
    ]
