"""What a person keeps of a change is judged again, by the lane's checks and by the steps that only check."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.model.intent import Intent
from core.model.lane import LaneCheck
from core.model.part_selection import PartSelection
from core.model.staged_diff import digest_of
from lanes.executors.pick import read_selectable
from lanes.repository import as_git
from tests.integration.workflow.conftest import lane_named

pytestmark = [pytest.mark.lanes, pytest.mark.sandbox]

STEPS = """name: both, run: edit, do: 'create one.txt with "1"'
name: has-two, run: check, command: [test, -e, two.txt]
name: never, run: check, command: ["false"], when: "{deep}"
"""


@pytest.mark.parametrize(("kept", "passes"), [(b"one.txt", False), (b"two.txt", True)])
async def test_parts_run_the_lanes_checks_and_the_check_steps_and_nothing_that_changes_files(runner, kept, passes):
    lane = lane_named(STEPS, "parameters:\n  deep: {type: boolean, default: false}\n")
    checks = (LaneCheck("whole", ("test", "-e", "two.txt"), required=True),)
    order = await runner.order(replace(lane, checks=checks))
    tree = await as_git(runner.repo).write_tree(order.start, {"one.txt": b"1\n", "two.txt": b"2\n"}, [], {})
    selectable = await read_selectable(runner.repo, order.base, tree)
    digest = digest_of(selectable.change.repository, order.base, selectable.change.files)
    ids = tuple(part.id for part in selectable.parts if part.path == kept)
    picked = replace(order, start=tree, intent=Intent("pick", selection=PartSelection(digest, ids, 2, "1")))
    made = await runner.executor.produce(picked, runner.repo)
    assert await runner.changed(made) == {kept.decode(): "1\n" if kept == b"one.txt" else "2\n"}
    results = {check.name: (check.passed, check.required) for check in made.provenance.checks}
    assert results == {"has-two": (passes, True), "whole": (passes, True)}
    assert {"has-two.check-has-two.log", "check-whole.log"} <= made.artifacts.keys()
