"""What models are told of the work that asks them: its class, priority and deadline, by job, lane and surface."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.model.model_lease import ModelWork, current_work
from tests import builders, campaign
from tests.fakes.ports import FakeInterpreter

pytestmark = [pytest.mark.queue, campaign.EITHER]


class NotingInterpreter(FakeInterpreter):
    """Notes for which work it is asked."""

    def __init__(self) -> None:
        self.works: list[ModelWork] = []

    async def interpret(self, turns, _scene):
        self.works.append(current_work())
        return await super().interpret(turns, _scene)


@pytest.mark.parametrize(
    ("lane_class", "surfaces", "plan_is_chat", "change_is_chat"),
    [("", {}, True, False), ("chat", {}, True, True), ("", {"terminal": "bulk"}, False, False)],
)
async def test_the_work_of_a_job_has_its_tasks_priority_and_deadline_and_the_class_that_is_configured(
    harness, lane_class, surfaces, plan_is_chat, change_is_chat
):
    lanes = {"config": builders.lane(work_class=lane_class)}
    harness.configure(lanes=lanes, surface_classes=surfaces)
    works: list[ModelWork] = []
    harness.executor.before = lambda _order: works.append(current_work())
    harness.interpreter = NotingInterpreter()
    deadline = datetime(2030, 1, 1, tzinfo=UTC)
    number = await harness.ask(priority=7, deadline_at=deadline)
    await harness.drain()
    (change,) = works
    plan = harness.interpreter.works[-1]
    assert (change.priority, change.deadline_at, change.is_chat, change.is_agent) == (7, deadline, change_is_chat, True)
    assert (plan.priority, plan.is_chat, plan.is_agent) == (7, plan_is_chat, False)
    assert (await harness.task(number)).number == number
