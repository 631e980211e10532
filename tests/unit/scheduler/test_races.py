"""Whatever races: nothing is cut off, nothing is lost, nothing is evicted before it served."""

from __future__ import annotations

import pytest

from tests import campaign
from tests.unit.scheduler.racing_world import RacingWorld

SCHEDULES = 10_000 if campaign.WHOLE else 400
PARTS = 8


@pytest.mark.parametrize("part", range(PARTS))
def test_no_schedule_of_racing_events_breaks_a_promise(part):
    grants = 0
    for seed in range(part, SCHEDULES, PARTS):
        world = RacingWorld(seed)
        try:
            for _ in range(80):
                world.step()
            world.settle()
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
        assert world.done | world.waiting <= world.demands.keys()
        grants += world.counts["Grant"]
    assert grants > 10 * SCHEDULES / PARTS  # the worlds really work
