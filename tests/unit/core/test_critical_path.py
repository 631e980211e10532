"""The critical path of a workflow: without slots it is the longest chain; with them it names what freed a slot."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from core.model.step_time import StepEnd, StepTime, critical_path


def step(name: str, begin: int, end: int, *needs: str) -> StepTime:
    return StepTime(name, needs, StepEnd.RAN, begin, end)


def names(*steps: StepTime) -> list[str]:
    return [each.name for each in critical_path(steps)]


def test_it_leads_back_from_the_last_end_through_what_each_step_waited_for() -> None:
    assert names(step("a", 0, 5), step("b", 0, 9), step("c", 9, 12, "a", "b"), step("d", 5, 11, "a")) == ["b", "c"]
    assert names() == []


def test_a_step_that_waited_for_a_slot_was_held_up_by_the_one_that_gave_it_back() -> None:
    assert names(step("a", 0, 3), step("b", 0, 7), step("late", 7, 8, "a")) == ["b", "late"]
    assert names(step("b", 0, 7), step("first", 7, 8)) == ["b", "first"]


@st.composite
def runs(draw: st.DrawFn) -> list[StepTime]:
    """Steps of which each starts as soon as all that it needs have ended."""
    steps: list[StepTime] = []
    for n in range(draw(st.integers(1, 8))):
        needs = [each for each in steps if draw(st.booleans())]
        begin = max((each.ended_ms for each in needs), default=0)
        steps.append(step(f"s{n}", begin, begin + draw(st.integers(1, 50)), *(each.name for each in needs)))
    return steps


@settings(max_examples=50)
@given(runs())
def test_without_waits_for_slots_its_times_sum_up_to_the_whole_run(steps: list[StepTime]) -> None:
    path = critical_path(steps)
    assert sum(each.ended_ms - each.started_ms for each in path) == max(each.ended_ms for each in steps)
    for before, after in pairwise(path):
        assert before.ended_ms <= after.started_ms
