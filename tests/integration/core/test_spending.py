"""The spending ledger: an entry for each call, by any reporter and however often; sums are what it holds."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass, replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.model.budget import Spending
from core.model.job import Job
from core.model.lifecycle import State
from core.model.provenance import Usage
from core.services.spending_report import SpendingReport
from core.store import spending_ledger
from core.store.database import Database, Location, from_ms
from core.store.spending_by_day import SpendingTotal
from core.store.spending_ledger import LedgerEntry
from tests import builders
from tests.clock import timed

pytestmark = pytest.mark.queue

HOUR_MS = 3_600_000


async def claimed(database: Database) -> Job:
    await builders.put_job(database, await builders.put_task(database, State.QUEUED))
    job = await builders.claim(database)
    assert job is not None
    return job


@pytest.fixture
async def job(database):
    return await claimed(database)


async def append(
    database: Database, job: Job, part: str, call: str, usage: Usage, at_ms: int = 1000, lane: str = "code"
) -> bool:
    entry = LedgerEntry(part, call, lane, "ana", usage)
    return await database.write(lambda tx: spending_ledger.append(timed(tx, at_ms), job, entry))


async def of_lane(database: Database, since_ms: int = 0, lane: str = "code") -> Spending:
    return await database.read(lambda tx: spending_ledger.of_lane(tx, lane, since_ms))


async def of_part(database: Database, job: Job, part: str) -> tuple[Usage, ...]:
    return await database.read(lambda tx: spending_ledger.of_part(tx, job.id, part))


async def test_calls_parts_models_and_jobs_add_up(database, job):
    assert await append(database, job, "", "1", Usage("local/a", 1, 10, 5, 0.5))
    assert await append(database, job, "", "2", Usage("local/a", 1, 30, 6))
    assert await append(database, job, "try1", "1", Usage("local/b", 1, 100, 50, 0.25))
    other = replace(job, id=await builders.put_job(database, job.number))
    assert await append(database, other, "", "1", Usage("local/a", 1, 1, 1))
    assert await of_lane(database) == Spending(4, 203, 0.75)


async def test_a_call_that_is_reported_again_counts_once_as_it_was_first_reported(database, job):
    assert await append(database, job, "try1", "1", Usage("local/a", 1, 10, 5, 0.5))
    later = replace(job, attempt=2, fence=9, owner="w2")
    assert not await append(database, later, "try1", "1", Usage("local/b", 1, 99, 99, 9.9))
    assert await of_part(database, job, "") == (Usage("local/a", 1, 10, 5, 0.5),)
    assert await of_lane(database) == Spending(1, 15, 0.5)


async def test_a_part_has_the_parts_below_it_and_no_others(database, job):
    for part in ("try1", "try1/step", "try1/step/deep", "try10", "try1_step"):
        await append(database, job, part, "1", Usage(f"local/{part}", 1, 1, 0))
    assert {usage.model for usage in await of_part(database, job, "try1")} == {
        "local/try1",
        "local/try1/step",
        "local/try1/step/deep",
    }
    assert [usage.calls for usage in await of_part(database, job, "try1/step/deep")] == [1]
    assert len(await of_part(database, job, "")) == 5


async def test_what_was_spent_before_a_day_began_is_not_of_it(database, job):
    await append(database, job, "", "1", Usage("local/a", 1, 10, 5), at_ms=1000)
    assert await of_lane(database, since_ms=1001) == Spending()


async def test_what_is_spent_before_the_lane_is_known_counts_for_the_lane_it_led_to(database, job):
    await append(database, job, "interpret", "1", Usage("local/a", 1, 10, 5), lane="")
    await append(database, job, "interpret", "2", Usage("local/a", 1, 1, 0), lane="code")
    await database.write(lambda tx: spending_ledger.attribute(tx, job, "docs"))
    assert (await of_lane(database, lane="docs")).tokens == 15
    assert (await of_lane(database, lane="code")).tokens == 1, "what has its lane keeps it"


@pytest.mark.parametrize(
    ("limits", "at_ms"),
    [(Spending(0, 61, 0), None), (Spending(0, 60, 0), 1000), (Spending(0, 31, 0), 2000), (Spending(0, 1, 1.0), 3000)],
)
async def test_a_lane_is_free_again_once_enough_entries_are_older_than_a_day(database, job, limits, at_ms):
    for n, tokens in enumerate((10, 20, 30), 1):
        await append(database, job, "", str(n), Usage("local/a", 1, tokens, 0, 0.5), at_ms=1000 * n)
    assert await database.read(lambda tx: spending_ledger.free_at_ms(tx, "code", 1000, limits)) == at_ms


async def test_of_many_that_report_one_call_at_once_one_is_counted(database, job):
    reports = [append(database, job, "try1", "1", Usage("local/a", 1, 10 + n, 0)) for n in range(6)]
    assert sorted(await asyncio.gather(*reports)) == [False] * 5 + [True]
    assert (await of_lane(database)).calls == 1


async def test_the_report_sums_up_by_day_lane_and_person(database, job):
    noon_ms, next_ms = 12 * HOUR_MS, 36 * HOUR_MS
    await append(database, job, "", "1", Usage("local/a", 1, 10, 5, 0.5), at_ms=noon_ms)
    await append(database, job, "", "2", Usage("local/b", 2, 30, 6), at_ms=noon_ms + HOUR_MS)
    await append(database, job, "", "3", Usage("local/a", 1, 1, 1, 0.25), at_ms=next_ms)
    report = SpendingReport(database, builders.settings)
    first, second = date(1970, 1, 1), date(1970, 1, 2)
    assert await report.since(None) == (
        SpendingTotal(first, "code", "ana", 3, 51, 0.5),
        SpendingTotal(second, "code", "ana", 1, 2, 0.25),
    )
    assert await report.since(from_ms(next_ms)) == (SpendingTotal(second, "code", "ana", 1, 2, 0.25),)


# ---- the rule: whatever is appended, replayed and lost in between, the ledger has each distinct call once


@dataclass(frozen=True)
class Report:
    """What a worker does about one call; where it dies before the entry is written, it `is_lost`."""

    part: str
    call: str
    tokens: int
    is_lost: bool


PARTS = st.sampled_from(["", "try1", "try1/a", "try2"])
REPORTS = st.lists(st.builds(Report, PARTS, st.sampled_from("123"), st.integers(1, 9), st.booleans()), max_size=14)


@settings(max_examples=30)
@given(workers=st.lists(REPORTS, min_size=1, max_size=3))
def test_however_workers_append_replay_and_die_the_sum_is_that_of_the_distinct_calls(
    migrated_file, tmp_path_factory, workers
):
    """Each list is what one worker reports. They work at once, as a worker does beside one that was taken for dead."""

    async def run() -> None:
        location = Location.of("sqlite", tmp_path_factory.mktemp("ledger"))
        assert location.file is not None
        shutil.copy(migrated_file, location.file)
        database = Database(location)
        job = await claimed(database)
        counted: dict[tuple[str, str], int] = {}

        async def work(reports: list[Report]) -> None:
            for report in reports:
                usage = Usage("local/a", 1, report.tokens, 0)
                if not report.is_lost and await append(database, job, report.part, report.call, usage):
                    assert (report.part, report.call) not in counted
                    counted[report.part, report.call] = report.tokens

        async with asyncio.TaskGroup() as group:
            for reports in workers:
                group.create_task(work(reports))
        assert counted.keys() == {(r.part, r.call) for reports in workers for r in reports if not r.is_lost}
        assert Spending.of(await of_part(database, job, "")) == Spending(len(counted), sum(counted.values()))
        assert await of_lane(database) == Spending(len(counted), sum(counted.values()))
        await database.close()

    asyncio.run(run())
