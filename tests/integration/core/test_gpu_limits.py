"""Limits of GPU seconds a day: the time of leases counts, and of jobs that used a model without one."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from core.model.job import Job
from core.model.lifecycle import State
from core.model.limits import DayUse, Limit, LimitScope
from core.model.model_lease import LeaseState
from core.store import day_use
from core.store.database import Database
from core.store.lease_table import ModelLeaseRow
from core.store.tables import JobRow, SpendingRow
from core.store.unit_of_work import Tx
from tests import builders

pytestmark = pytest.mark.queue

HOUR_S = 3600
DAILY = Limit("gpu", LimitScope.PERSON, per_day=((DayUse.GPU_S, 100.0),))


@pytest.fixture
async def number(database):
    """A task to hang jobs on."""
    return await builders.put_task(database, State.QUEUED)


@pytest.fixture
async def job(database, number) -> Job:
    """A job of ana's that a worker has."""
    await builders.put_job(database, number, person="ana", lane="code", repository="web")
    claimed = await builders.claim(database)
    assert claimed is not None
    return claimed


async def leased(database: Database, job: Job | None, ended_s_ago: float | None, seconds: float, **more: Any) -> None:
    """A lease of `seconds`, which ended so long ago or lasts until now."""

    async def add(tx: Tx) -> None:
        ended_ms = tx.now_ms - round(1000 * (ended_s_ago or 0.0))
        granted_ms = ended_ms - round(1000 * seconds)
        row = ModelLeaseRow(
            id=tx.new_id("lease"),
            state=(LeaseState.GRANTED if ended_s_ago is None else LeaseState.ENDED).value,
            model="local/m",
            job=job.id if job is not None else None,
            is_chat=False,
            arrived_ms=granted_ms,
            until_ms=ended_ms + 15_000,
            granted_ms=granted_ms,
            ended_ms=None if ended_s_ago is None else ended_ms,
        )
        tx.session.add(row.sqlmodel_update(more))

    await database.write(add)


async def used_up(database: Database, limit: Limit = DAILY) -> frozenset[str]:
    ((use, most),) = limit.per_day
    return await database.read(lambda tx: day_use.used_up(tx, limit, use, most, builders.people()))


async def test_the_seconds_of_the_last_24_hours_count_and_older_ones_do_not(database, job):
    await leased(database, job, 25 * HOUR_S, 1000)
    await leased(database, job, 2 * HOUR_S, 60)
    assert await used_up(database) == frozenset()
    await leased(database, job, HOUR_S, 41)
    assert await used_up(database) == {"ana"}


async def test_a_lease_counts_while_it_lasts_and_one_that_waits_does_not(database, job):
    await leased(database, job, None, 1000, granted_ms=None, state=LeaseState.WAITING.value)
    assert await used_up(database) == frozenset()
    await leased(database, job, None, 101)
    assert await used_up(database) == {"ana"}


@pytest.mark.parametrize(
    ("scope", "key"),
    [
        (LimitScope.PERSON, "ana"),
        (LimitScope.TEAM, "member"),
        (LimitScope.LANE, "code"),
        (LimitScope.REPOSITORY, "web"),
    ],
)
async def test_they_count_for_the_person_the_team_the_lane_and_the_repository(database, job, scope, key):
    await leased(database, job, HOUR_S, 101)
    assert await used_up(database, Limit("gpu", scope, per_day=DAILY.per_day)) == {key}
    assert await used_up(database, Limit("gpu", scope, frozenset({key}), per_day=DAILY.per_day)) == {key}
    assert await used_up(database, Limit("gpu", scope, frozenset({"other"}), per_day=DAILY.per_day)) == frozenset()


async def test_a_lease_of_no_job_counts_for_who_asked(database):
    await leased(database, None, HOUR_S, 101, key="lee")
    assert await used_up(database) == {"lee"}


async def test_a_job_without_a_lease_counts_the_time_for_which_it_ran_and_one_with_a_lease_only_that(database, job):
    async def ran(tx: Tx) -> None:
        row = await tx.session.get(JobRow, job.id)
        assert row is not None
        row.claimed_ms, row.finished_ms = tx.now_ms - 400_000, tx.now_ms - 200_000
        tx.session.add(row)

    async def spent(tx: Tx) -> None:
        tx.session.add(
            SpendingRow(
                job_id=job.id, part="change", call="1", model="m", number=job.number, lane="code", person="ana",
                calls=1, input_tokens=1, output_tokens=1, usd=0.0, at_ms=tx.now_ms,
            )
        )  # fmt: skip

    await database.write(ran)
    assert await used_up(database) == frozenset()  # no model was used
    await database.write(spent)
    assert await used_up(database) == {"ana"}
    await leased(database, job, 250, 99)
    assert await used_up(database) == frozenset()


async def test_jobs_wait_until_enough_of_it_is_a_day_old(database, number, job):
    await leased(database, job, 23 * HOUR_S, 60)
    await leased(database, job, HOUR_S, 60)
    waiting = await builders.put_job(database, number, person="ana", lane="code", repository="web")
    theirs = await builders.put_job(database, number, person="lee", lane="code", repository="web")
    taken = await builders.claimer(database, limits=[DAILY]).claim()
    assert taken is not None
    assert taken.id == theirs
    assert await builders.claimer(database, limits=[DAILY]).claim() is None
    free_ms, now_ms = await database.read(_free_at)
    assert free_ms is not None
    assert round((free_ms - now_ms) / 1000) == pytest.approx(HOUR_S, abs=60)
    await database.write(_an_hour_passes)
    after = await builders.claimer(database, limits=[DAILY]).claim()
    assert after is not None
    assert after.id == waiting


async def _free_at(tx: Tx) -> tuple[int | None, int]:
    ((use, most),) = DAILY.per_day
    return await day_use.free_at_ms(tx, DAILY, use, most, "ana", builders.people()), tx.now_ms


async def _an_hour_passes(tx: Tx) -> None:
    hour_ms = 1000 * (HOUR_S + 60)
    table = ModelLeaseRow.__table__  # type: ignore[attr-defined]  # SQLModel does not declare it
    await tx.session.execute(
        update(table).values(granted_ms=table.c.granted_ms - hour_ms, ended_ms=table.c.ended_ms - hour_ms)
    )
