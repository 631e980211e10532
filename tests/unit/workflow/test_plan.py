"""Layers, the critical path, and the merge of the changes of several steps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.errors import PermanentError
from core.model.workflow import APPROVAL, WorkflowStep
from lanes.workflow.merge import PathState, merge_changes, predecessors
from lanes.workflow.plan import ordered, plan_workflow, step_durations

pytestmark = pytest.mark.lanes

STEPS = (
    WorkflowStep("tests", "check", needs=("bump", "format")),
    WorkflowStep("bump", "edit", wall_s=5),
    WorkflowStep("format", "command", needs=("bump",), wall_s=20),
    WorkflowStep("notes", "edit"),
    WorkflowStep("look", APPROVAL),
    WorkflowStep("publish-notes", "edit", needs=("notes", "look"), wall_s=1),
)


def test_layers_are_what_nothing_keeps_apart():
    plan = plan_workflow(STEPS, step_durations(STEPS, 60, {"notes": 2.5}))
    told = [(layer.steps, layer.approval) for layer in plan.layers]
    assert told == [
        (("bump", "notes"), False),
        (("format",), False),
        (("tests",), False),
        (("look",), True),
        (("publish-notes",), False),
    ]
    assert plan.critical_path == ("bump", "format", "tests", "look", "publish-notes")
    assert (plan.critical_s, plan.total_s) == (86.0, 88.5)
    assert plan.to_json()["critical_path"] == list(plan.critical_path)


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 12))
    needs = [draw(st.sets(st.integers(0, n - 1), max_size=3)) if n else set() for n in range(count)]
    steps = [
        WorkflowStep(f"s{n}", "edit", needs=tuple(f"s{m}" for m in sorted(wanted))) for n, wanted in enumerate(needs)
    ]
    return draw(st.permutations(steps)), {f"s{n}": draw(st.integers(0, 50)) for n in range(count)}


@given(graphs())
def test_every_step_comes_after_all_it_needs_and_no_way_is_longer_than_the_critical_one(graph):
    steps, durations = graph
    plan = plan_workflow(steps, durations)
    level = {name: n for n, layer in enumerate(plan.layers) for name in layer.steps}
    assert sorted(level) == sorted(step.name for step in steps)
    ends: dict[str, float] = {}
    for step in ordered(steps):
        assert all(level[need] < level[step.name] for need in step.needs)
        ends[step.name] = durations[step.name] + max((ends[need] for need in step.needs), default=0)
    assert plan.critical_s == max(ends.values())
    assert sum(durations[name] for name in plan.critical_path) == plan.critical_s
    assert plan.critical_s <= plan.total_s


def entry(blob: str | None) -> PathState:
    return PathState("100644", blob)


def test_a_later_word_counts_over_an_earlier_one():
    steps = (
        WorkflowStep("a", "edit"),
        WorkflowStep("b", "edit", needs=("a",)),
        WorkflowStep("c", "edit", needs=("a",)),
    )
    changes = {"a": {b"x": entry("1"), b"y": entry("1")}, "b": {b"x": entry("2")}, "c": {b"z": entry(None)}}
    assert merge_changes(changes, predecessors(steps)) == {b"x": entry("2"), b"y": entry("1"), b"z": entry(None)}


def test_the_same_word_twice_is_no_quarrel():
    steps = (WorkflowStep("a", "edit"), WorkflowStep("b", "edit"))
    assert merge_changes({"a": {b"x": entry("1")}, "b": {b"x": entry("1")}}, predecessors(steps)) == {b"x": entry("1")}


@pytest.mark.parametrize("other", [entry("2"), entry(None), PathState("100755", "1")])
def test_different_words_of_steps_side_by_side_are_told_with_both_names(other):
    steps = (WorkflowStep("left", "edit"), WorkflowStep("right", "edit"))
    with pytest.raises(PermanentError, match=r"The steps left and right changed src/a\.py") as caught:
        merge_changes({"left": {b"src/a.py": entry("1")}, "right": {b"src/a.py": other}}, predecessors(steps))
    assert caught.value.problem.code == "steps_disagree"


def test_a_step_that_needs_both_settles_what_they_said():
    steps = (WorkflowStep("a", "edit"), WorkflowStep("b", "edit"), WorkflowStep("c", "edit", needs=("a", "b")))
    changes = {"a": {b"x": entry("1")}, "b": {b"x": entry("2")}, "c": {b"x": entry("3")}}
    assert merge_changes(changes, predecessors(steps)) == {b"x": entry("3")}
