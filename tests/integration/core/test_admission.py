"""Admission: what pauses and limits keep from running is parked, costs claims nothing, and goes on by rank."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import insert, text

from core.model.job import Job, JobState
from core.model.lifecycle import State
from core.model.limits import DayUse, Limit, LimitScope
from core.queue.claimer import Claimer
from core.store import jobs, switches
from core.store.database import Database
from core.store.tables import JobRow, SpendingRow
from core.store.unit_of_work import Tx
from tests import builders
from tests.clock import clock_ms

pytestmark = pytest.mark.queue

ONE_EACH = Limit("one-each", LimitScope.PERSON, running=1)


@pytest.fixture
async def number(database):
    """A task to hang jobs on."""
    return await builders.put_task(database, State.QUEUED)


async def claimer(database: Database, *limits: Limit, worker: str = "w1") -> Claimer:
    await builders.put_worker(database, worker, silent_s=-3600)
    return builders.claimer(database, worker, limits=limits)


def _columns(name: str, value: str | None) -> dict[str, Any]:
    return {name: value}


async def ended(database: Database, job: Job) -> None:
    await database.write(lambda tx: jobs.end(tx, job, JobState.DONE))


async def parked(database: Database) -> Counter[str]:
    rows = await database.read(lambda tx: tx.session.execute(text("SELECT parked FROM jobs WHERE parked IS NOT NULL")))
    return Counter(row[0] for row in rows)


# ---- turns


async def test_a_person_with_many_jobs_delays_another_persons_first_job_by_one(database, number):
    for _ in range(30):
        await builders.put_job(database, number, person="ana")
    claims = await claimer(database)
    for _ in range(3):
        assert (await claims.claim()) is not None
    theirs = [await builders.put_job(database, number, person="lee") for _ in range(2)]
    taken = [job.id for job in [await claims.claim() for _ in range(4)] if job is not None]
    assert theirs[0] in taken[:2]
    assert theirs[1] in taken[:4]


async def test_those_who_ask_one_by_one_get_no_more_turns_than_those_who_ask_for_all_at_once(database, number):
    for _ in range(10):
        await builders.put_job(database, number, person="ana")
    await builders.put_job(database, number, person="lee")
    claims, order = await claimer(database), []
    for _ in range(10):
        job = await claims.claim()
        assert job is not None
        person = (await database.read(lambda tx, job=job: jobs.asked_by(tx, job.id)))[0]
        order.append(person)
        await ended(database, job)
        if person == "lee":
            await builders.put_job(database, number, person="lee")
    assert 4 <= order.count("lee") <= 5


async def test_a_person_who_cancelled_many_jobs_waits_no_longer_for_the_next_one(database, number):
    other = await builders.put_task(database, State.QUEUED)
    for _ in range(20):
        await builders.put_job(database, other, person="ana")
        await builders.put_job(database, number, person="lee")
    await database.write(lambda tx: jobs.cancel_jobs(tx, other))
    mine = await builders.put_job(database, number, person="ana")
    claims = await claimer(database)
    assert mine in [job.id for job in [await claims.claim() for _ in range(3)] if job is not None]


# ---- what runs at once


@pytest.mark.parametrize("keys", [None, frozenset({"ana"})])
async def test_no_more_of_a_persons_jobs_run_than_may(database, number, keys):
    mine = [await builders.put_job(database, number, person="ana") for _ in range(3)]
    theirs = await builders.put_job(database, number, person="lee")
    claims = await claimer(database, Limit("few", LimitScope.PERSON, keys, running=1))
    taken = [await claims.claim() for _ in range(4)]
    assert [job.id for job in taken if job is not None] == [mine[0], theirs]
    assert taken[2:] == [None, None]
    assert await parked(database) == {"running/few/ana": 2}
    assert taken[0] is not None
    await ended(database, taken[0])
    following = await claims.claim()
    assert following is not None
    assert following.id == mine[1]
    assert await claims.claim() is None


async def test_the_members_of_a_team_share_its_limit(database, number):
    people = builders.people()
    members = people.matching(["maintainer"])
    assert len(members) >= 1
    for person in (*members, *members, "ana"):
        await builders.put_job(database, number, person=person)
    claims = await claimer(database, Limit("team", LimitScope.TEAM, frozenset({"maintainer"}), running=1))
    taken = [job for job in [await claims.claim() for _ in range(4)] if job is not None]
    assert len(taken) == 2


@pytest.mark.parametrize(("scope", "column"), [(LimitScope.LANE, "lane"), (LimitScope.REPOSITORY, "repository")])
async def test_lanes_and_repositories_have_limits(database, number, scope, column):
    for key in ("a", "a", "b", None):
        await builders.put_job(database, number, **_columns(column, key))
    claims = await claimer(database, Limit("few", scope, running=1))
    taken = [job for job in [await claims.claim() for _ in range(4)] if job is not None]
    assert len(taken) == 3
    assert await parked(database) == {"running/few/a": 1}


async def test_names_with_quotes_and_marks_are_limited_too(database, number):
    person = """o'neil "50%" :b $1 %(c)s;--"""
    for _ in range(2):
        await builders.put_job(database, number, person=person)
    claims = await claimer(database, Limit("few", LimitScope.PERSON, frozenset({person}), running=1))
    assert (await claims.claim()) is not None
    assert await claims.claim() is None
    assert (await parked(database)).total() == 1


async def test_limits_may_change_as_often_as_they_like(database, number):
    for _ in range(20):
        await builders.put_job(database, number, person="ana")
    await claimer(database)
    for running in range(1, 21):
        edited = builders.claimer(database, limits=[Limit("few", LimitScope.PERSON, running=running)])
        taken = [await edited.claim() for _ in range(2)]
        assert [job is not None for job in taken] == [True, False]


async def test_of_racing_workers_no_two_exceed_a_limit(database, location, number):
    for _ in range(12):
        for person in ("ana", "lee"):
            await builders.put_job(database, number, person=person)
    limit = Limit("few", LimitScope.PERSON, running=2)
    others = [Database(location) for _ in range(3)]
    most: Counter[str] = Counter()
    done: list[str] = []

    async def work(which: Database, worker: str) -> None:
        claims = await claimer(which, limit, worker=worker)
        while len(done) < 24:
            job = await claims.claim()
            if job is None:
                await asyncio.sleep(0.01)
                continue
            rows = await which.read(
                lambda tx: tx.session.execute(
                    text("SELECT person, count(*) FROM jobs WHERE state = 'running' GROUP BY person")
                )
            )
            for person, count in rows:
                most[person] = max(most[person], count)
            await ended(which, job)
            done.append(job.id)

    await asyncio.gather(*(work(which, f"w{n}.{m}") for n, which in enumerate(others) for m in range(2)))
    assert len(set(done)) == 24
    assert max(most.values()) <= 2
    for other in others:
        await other.close()


async def test_many_blocked_jobs_are_parked_once_and_read_no_more(database, number):
    now_ms = await database.read(clock_ms)
    rows = [builders.job_row(number, now_ms, person="ana").model_dump() for _ in range(3000)]
    await database.write(lambda tx: tx.session.execute(insert(JobRow), rows))
    claims = await claimer(database, ONE_EACH)
    assert (await claims.claim()) is not None
    assert await claims.claim() is None
    assert (await parked(database)).total() == 2999
    theirs = await builders.put_job(database, number, person="lee")
    taken = await claims.claim()
    assert taken is not None
    assert taken.id == theirs


async def test_a_limit_that_is_removed_lets_its_jobs_go_on(database, number):
    for _ in range(3):
        await builders.put_job(database, number, person="ana")
    claims = await claimer(database, ONE_EACH)
    assert (await claims.claim()) is not None
    assert await claims.claim() is None
    free = builders.claimer(database)
    assert [await free.claim() is not None for _ in range(3)] == [True, True, False]


# ---- pauses


@pytest.mark.parametrize("scope", ["lane", "repository"])
async def test_a_paused_lane_or_repository_starts_nothing_until_it_is_resumed(database, number, scope):
    held = [await builders.put_job(database, number, **_columns(scope, "docs")) for _ in range(2)]
    other = await builders.put_job(database, number, **_columns(scope, "code"))
    pause = {"reason": "the forge is being moved", "by": "lee"}
    await database.write(lambda tx: switches.set_pause(tx, pause, "lee", (scope, "docs")))
    claims = await claimer(database)
    taken = await claims.claim()
    assert taken is not None
    assert taken.id == other
    assert await claims.claim() is None
    assert await parked(database) == {f"pause/{scope}/docs": 2}
    await database.write(lambda tx: switches.set_pause(tx, None, "lee", (scope, "docs")))
    assert [job.id for job in [await claims.claim() for _ in range(2)] if job is not None] == held
    assert await builders.kinds_of(database, 0) == [f"{scope}.paused", f"{scope}.resumed"]


# ---- limits of a day


async def spent(database: Database, job: Job, hours_ago: float, tokens: int) -> None:
    async def add(tx: Tx) -> None:
        at_ms = tx.now_ms - round(hours_ago * 3600 * 1000)
        tx.session.add(
            SpendingRow(
                job_id=job.id,
                part="change",
                call=str(hours_ago),
                model="local/m",
                number=job.number,
                lane="config",
                person="ana",
                calls=1,
                input_tokens=tokens,
                output_tokens=0,
                usd=0.5,
                at_ms=at_ms,
            )
        )

    await database.write(add)


@pytest.mark.parametrize(
    "limit",
    [
        Limit("daily", LimitScope.PERSON, per_day=((DayUse.TOKENS, 100.0),)),
        Limit("daily", LimitScope.PERSON, per_day=((DayUse.USD, 1.0),)),
        Limit("daily", LimitScope.REPOSITORY, frozenset({"web"}), per_day=((DayUse.TOKENS, 100.0),)),
        Limit("daily", LimitScope.TEAM, per_day=((DayUse.TOKENS, 100.0),)),
    ],
)
async def test_what_would_use_more_than_a_day_may_waits(database, number, limit):
    await builders.put_job(database, number, person="ana", repository="web")
    first = await (await claimer(database)).claim()
    assert first is not None
    await spent(database, first, 25, 1000)
    await spent(database, first, 2, 60)
    waiting = await builders.put_job(database, number, person="ana", repository="web")
    await spent(database, first, 1, 60)
    assert await builders.claimer(database, limits=[limit]).claim() is None
    assert (await parked(database)).total() == 1
    await database.write(lambda tx: tx.session.execute(text("UPDATE spending SET at_ms = at_ms - 86400000")))
    after = await builders.claimer(database, limits=[limit]).claim()
    assert after is not None
    assert after.id == waiting
