"""Identical requests at the same time share one run; each remains its own task."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from core.model.lifecycle import State
from core.queue.reconciler import Reconciler
from core.settings import Timing
from core.store import artifacts
from tests import builders, campaign
from tests.builders import ANA, BO, LEE, MAX
from tests.worker_harness import eventually

pytestmark = [pytest.mark.queue, campaign.EITHER]

TEXT = "config/app.yaml = a: 1"


@pytest.fixture
def slow(harness):
    """An executor that waits for its gate, on a worker with three slots."""
    harness.executor.gate = asyncio.Event()
    harness.configure(timing=Timing(heartbeat_s=0.05, lease_s=5.0, poll_s=0.02, slots=3))
    return harness


async def is_in(harness: Any, number: int, *states: State) -> bool:
    return await harness.state(number) in states


async def shared(harness: Any, *people: Any, text: str = TEXT) -> list[int]:
    """Tasks of these people with one text, all but the first of which wait for the run of the first."""
    numbers = [await harness.ask(text, actor=people[0])]
    await eventually(lambda: harness.executor.runs == 1)
    numbers += [await harness.ask(text, actor=person) for person in people[1:]]
    for number in numbers[1:]:
        await eventually(partial(why_is, harness, number, f"It shares the run of #{numbers[0]}"))
    return numbers


async def why_is(harness: Any, number: int, beginning: str) -> bool:
    queue = (await harness.document(number)).to_json()["queue"]
    return queue is not None and queue["why"].startswith(beginning)


async def test_two_identical_requests_are_made_by_one_run_and_stay_two_tasks(slow):
    async with slow.working():
        first, second = await shared(slow, ANA, BO)
        slow.executor.gate.set()
        for number in (first, second):
            await eventually(partial(is_in, slow, number, State.STAGED))
    one, other = await slow.task(first), await slow.task(second)
    assert slow.executor.runs == 1
    assert one.staged.tree == other.staged.tree
    assert (one.requester, other.requester) == ("ana", "bo")
    assert (one.current.provenance.run_of, other.current.provenance.run_of) == (None, first)
    kept = [
        {each.name for each in await slow.database.read(lambda tx, n=n: artifacts.of_task(tx, n))}
        for n in (first, second)
    ]
    assert kept[0] == kept[1]
    assert (await slow.approvals.approve(first, one.staged.digest, LEE)).problem is None
    assert await slow.state(second) is State.STAGED


async def test_all_who_asked_for_the_shared_run_are_authors_of_each_change(slow):
    async with slow.working():
        first, second = await shared(slow, ANA, LEE)
        slow.executor.gate.set()
        for number in (first, second):
            await eventually(partial(is_in, slow, number, State.STAGED))
    for number in (first, second):
        task = await slow.task(number)
        assert task.authors == {"ana", "lee"}
        refused = await slow.approvals.approve(number, task.staged.digest, LEE)
        assert refused.problem.code == "may_not_approve"
        assert (await slow.approvals.approve(number, task.staged.digest, MAX)).problem is None


async def test_cancelling_the_one_that_runs_does_not_stop_the_other(slow):
    async with slow.working():
        first, second = await shared(slow, ANA, BO)
        await slow.requests.cancel(first, ANA)
        await eventually(lambda: slow.executor.runs == 2)
        slow.executor.gate.set()
        await eventually(lambda: is_in(slow, second, State.STAGED))
    assert await slow.state(first) is State.CANCELLED
    assert (await slow.task(second)).current.provenance.run_of is None


async def test_cancelling_one_that_waits_does_not_stop_the_run(slow):
    async with slow.working():
        first, second = await shared(slow, ANA, BO)
        await slow.requests.cancel(second, BO)
        slow.executor.gate.set()
        await eventually(lambda: is_in(slow, first, State.STAGED))
    assert (slow.executor.runs, slow.executor.stopped) == (1, 0)
    assert (await slow.task(first)).authors == {"ana"}


async def test_a_run_that_ends_without_a_result_lets_the_next_one_run(slow):
    async with slow.working():
        first, second = await shared(slow, ANA, BO)
        await slow.requests.reply(first, "instead config/b.yaml = b: 2", ANA)  # the shared run ends without a result
        await eventually(lambda: slow.executor.runs == 3)
        slow.executor.gate.set()
        for number in (first, second):
            await eventually(partial(is_in, slow, number, State.STAGED))
    assert slow.executor.runs == 3


@pytest.mark.parametrize("difference", ["text", "lane", "rule"])
async def test_requests_that_differ_run_on_their_own(slow, difference):
    async with slow.working():
        await slow.ask(TEXT)
        await eventually(lambda: slow.executor.runs == 1)
        if difference == "lane":
            slow.configure(lanes={"config": builders.lane(version=2)})
        if difference == "rule":
            slow.policy.terms = builders.terms(count=2)
        await slow.ask(f"{TEXT}2" if difference == "text" else TEXT, actor=BO)
        await eventually(lambda: slow.executor.runs == 2)
        slow.executor.gate.set()


async def test_one_after_the_other_is_two_runs(harness):
    await harness.stage(TEXT)
    await harness.stage(TEXT)
    assert harness.executor.runs == 2


async def test_a_worker_that_dies_keeps_the_others_waiting_for_its_heir(slow):
    running = asyncio.create_task(slow.worker().run())
    first, second = await shared(slow, ANA, BO)
    running.cancel()
    await asyncio.wait([running])
    assert await slow.owed(second) == ["change"]
    slow.executor.gate.set()
    await Reconciler(slow.database, lambda: slow.settings).sweep()
    for number in (first, second):
        assert await slow.work_until(number, State.STAGED) is State.STAGED
    assert slow.executor.runs == 2
