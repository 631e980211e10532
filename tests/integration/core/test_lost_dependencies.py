"""`--after N --if-failed cancel|run|ask`: what a task does when the one that it waits for fails."""

from __future__ import annotations

import pytest

from core.model.errors import UsageError
from core.model.lifecycle import State
from core.model.task import FailureRule
from core.queue.reconciler import Reconciler
from tests import campaign
from tests.builders import ANA, LEE

pytestmark = [pytest.mark.queue, campaign.EITHER]


async def waiting(harness, if_failed=None) -> tuple[int, int]:
    """A staged task, and another one that waits until it is published."""
    first, _ = await harness.stage()
    number = await harness.ask("config/b.yaml = b: 2", after=first, if_failed=if_failed)
    await harness.drain()
    assert await harness.state(number) is State.QUEUED
    return first, number


async def lost(harness, if_failed=None) -> int:
    """A task whose dependency was rejected, after a sweep."""
    first, number = await waiting(harness, if_failed)
    assert (await harness.approvals.reject(first, "no", LEE)).problem is None
    await Reconciler(harness.database, lambda: harness.settings).sweep()
    return number


@pytest.mark.parametrize(
    ("rule", "state", "why"),
    [
        (None, State.FAILED, "it fails too"),
        (FailureRule.CANCEL, State.CANCELLED, "it is cancelled"),
        (FailureRule.RUN, State.QUEUED, "it runs anyway"),
        (FailureRule.ASK, State.ASKING, "it asks whether to run"),
    ],
)
async def test_the_failure_rule_is_told_and_applied(harness, rule, state, why):
    first, number = await waiting(harness, rule)
    queue = (await harness.document(number)).to_json()["queue"]
    assert queue["why"] == f"It waits until #{first} is published. If that fails, {why}."
    assert (await harness.approvals.reject(first, "no", LEE)).problem is None
    await Reconciler(harness.database, lambda: harness.settings).sweep()
    task = await harness.task(number)
    assert task.state is state
    if rule is not FailureRule.RUN:
        assert task.error.message == f"#{number} waited for #{first}, which is rejected"


async def test_a_task_that_runs_anyway_is_made_and_its_events_say_why(harness):
    number = await lost(harness, FailureRule.RUN)
    await harness.drain()
    assert await harness.state(number) is State.STAGED
    assert "dependency.failed" in await harness.kinds(number)


@pytest.mark.parametrize(("rule", "reply"), [(FailureRule.ASK, "Run it anyway"), (None, "retry")])
async def test_a_reply_runs_it_without_the_lost_dependency_and_adds_no_author(harness, rule, reply):
    number = await lost(harness, rule)
    await harness.requests.reply(number, reply, LEE)
    await harness.drain()
    task = await harness.task(number)
    assert (task.state, task.after, task.authors) == (State.STAGED, None, {"ana"})


async def test_a_task_that_asks_can_be_cancelled(harness):
    number = await lost(harness, FailureRule.ASK)
    assert (await harness.task(number)).question.options == ("Run it anyway",)
    await harness.requests.cancel(number, ANA)
    assert await harness.state(number) is State.CANCELLED


async def test_a_failure_rule_needs_a_task_to_wait_for(harness):
    with pytest.raises(UsageError, match="--after"):
        await harness.ask(if_failed=FailureRule.RUN)
