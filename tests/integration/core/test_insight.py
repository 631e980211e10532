"""Insight on both databases: days are counted once, and what is shown is what the rows say, by brute force."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import text

from core.model.insight import DAY_MS, QUANTILE_ERROR, Measure, bin_of, quantile
from core.model.job import JobKind, JobState
from core.services.insight import SETTLED_MS, Insight
from core.store import events, model_loads
from core.store.tables import ApprovalRow, SpendingRow
from core.store.unit_of_work import Tx
from tests import builders, campaign

pytestmark = [pytest.mark.window, campaign.EITHER]


@dataclass
class Expected:
    """What the rows that were written say, by day (0 is today) and name."""

    requested: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    errors: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    waits: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    runs: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    tokens: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    decisions: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


@dataclass(frozen=True)
class Story:
    """One task: how many days ago, where, by whom, and the milliseconds of its wait, its run and the decision."""

    number: int
    age: int
    lane: str
    person: str
    waited: int
    ran: int
    thought: int

    async def write(self, tx) -> None:
        """Write what happened to the task on its day."""
        today_ms, number = tx.now_ms - tx.now_ms % DAY_MS, self.number
        at = today_ms - self.age * DAY_MS + (1000 if self.age else 0)
        dated = "UPDATE tasks SET created_ms = :at WHERE number = :number"
        await tx.session.execute(text(dated), {"at": at, "number": number})
        then = Tx(tx.session, at, tx.new_id)
        await events.append(then, number=number, kind="task.requested", person="ana")
        await events.append(then, number=number, kind="task.staged")
        if self.fails:
            await events.append(then, number=number, kind="task.failed", body={"problem": {"code": self.lane}})
        job = builders.job_row(number, at, kind=JobKind.CHANGE.value, lane=self.lane, state=JobState.DONE.value)
        job.ready_ms, job.claimed_ms, job.finished_ms = at - self.waited - self.ran, at - self.ran, at
        tx.session.add(job)
        await tx.session.flush()
        cost: dict[str, Any] = {
            "job_id": job.id,
            "part": "",
            "call": "a",
            "model": "m",
            "number": number,
            "lane": self.lane,
        }
        tx.session.add(SpendingRow(**cost, person="ana", calls=1, input_tokens=self.waited, output_tokens=1, at_ms=at))
        verdict: dict[str, Any] = {
            "number": number,
            "digest": "d",
            "person": self.person,
            "revision": 1,
            "verdict": "approve",
        }
        tx.session.add(ApprovalRow(**verdict, surface="web", at_ms=at + self.thought))
        await tx.session.flush()

    @property
    def fails(self) -> bool:
        """Whether the task fails."""
        return self.thought % 3 == 0


async def write_days(database, days: int, per_day: int) -> Expected:
    """Write tasks of the last `days` days with their jobs, costs, verdicts and failures."""
    rng, expected = random.Random(5), Expected()
    for n in range(days * per_day):
        number = await builders.put_task(database)
        times = [rng.randrange(10, 500_000) for _ in range(3)]
        story = Story(number, n % days, rng.choice(["docs", "code"]), rng.choice(["lee", "max"]), *times)
        await database.write(story.write)
        expected.requested[0] += 1  # by the builder, now
        expected.requested[story.age] += 1
        expected.errors[story.lane] += story.fails
        expected.waits[story.lane].append(story.waited / 1000)
        expected.runs[story.lane].append(story.ran / 1000)
        expected.tokens[story.lane] += story.waited + 1
        expected.decisions[story.person].append(story.thought / 1000)
    return expected


async def test_the_sums_of_the_days_are_what_the_rows_say(database):
    expected = await write_days(database, days=5, per_day=6)
    await database.write(lambda tx: model_loads.add(tx, "gpu1", "a", 12.5))
    insight = Insight(database, builders.settings, recount_ms=0)
    assert (await insight.figures(7)).missing == 4
    counted = 0
    while counted < 20 and await insight.count_next():
        counted += 1
    assert counted == 5
    for service in (insight, Insight(database, builders.settings)):  # with a cache, and without
        figures = await service.figures(7)
        assert figures.missing == 0
        requested = figures.sums[Measure.EVENT]["task.requested"]
        assert {6 - day: count for day, (count, _) in requested.items()} == expected.requested
        errors = figures.sums[Measure.ERROR]
        assert {name: sum(count for count, _ in rows.values()) for name, rows in errors.items()} == expected.errors
        spent = figures.sums[Measure.LANE_SPENT]
        assert {name: sum(count for count, _ in rows.values()) for name, rows in spent.items()} == expected.tokens
        assert figures.sums[Measure.LOAD]["gpu1"] == {6: (1, 12.5)}
        for measure, times in (
            (Measure.WAIT, expected.waits),
            (Measure.RUN, expected.runs),
            (Measure.DECISION, expected.decisions),
        ):
            assert {name: each.count for name, each in figures.times[measure].items()} == {
                name: len(values) for name, values in times.items()
            }
            for name, values in times.items():
                half = sorted(values)[(len(values) + 1) // 2 - 1]
                assert figures.times[measure][name].p50_s == pytest.approx(half, rel=QUANTILE_ERROR + 0.01)


async def test_a_day_that_is_over_is_counted_once_and_today_again_when_something_happened(database):
    await write_days(database, days=2, per_day=1)
    insight = Insight(database, builders.settings, recount_ms=0)
    assert [await insight.count_next() for _ in range(3)] == [True, True, False]
    await database.write(lambda tx: events.append(tx, number=0, kind="queue.paused"))
    assert [await insight.count_next() for _ in range(2)] == [True, False]
    await database.write(lambda tx: events.append(tx, number=0, kind="queue.resumed"))
    assert not await Insight(database, builders.settings).count_next()  # not again within a minute
    assert SETTLED_MS < DAY_MS


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_a_quantile_of_bins_is_near_the_true_one(share, dialect):
    rng = random.Random(share)
    times = [rng.lognormvariate(4, 2) for _ in range(999)]
    bins: dict[int, int] = defaultdict(int)
    for time in times:
        bins[bin_of(time)] += 1
    true = sorted(times)[int(share * 999)]
    assert quantile(bins, share) == pytest.approx(true, rel=QUANTILE_ERROR + 0.01)
    assert quantile({}, share) is None
    assert quantile({bin_of(0.0): 3}, share) == 0.0
