"""No load runs out of memory, although estimates are wrong and another program takes memory of the GPU."""

from __future__ import annotations

from core.model.family_figures import MemoryCorrection
from tests.unit.scheduler.placing_world import PlacingWorld


def test_no_placement_runs_out_of_memory_with_wrong_estimates_and_an_intruder():
    worlds = [PlacingWorld(seed) for seed in range(12)]
    for world in worlds:
        world.run(120)
    assert sum(world.out_of_memory for world in worlds) == 0
    assert sum(world.placements for world in worlds) >= 1_000
    assert sum(world.evictions for world in worlds) > 300
    assert sum(world.intrusions for world in worlds) > 30


def test_an_estimate_gets_a_margin_until_a_load_was_seen_but_no_more_than_there_is():
    unseen = MemoryCorrection()
    assert unseen.place(10_000, 48_000) == 13_000
    assert unseen.place(10_000, 11_000) == 11_000
    assert unseen.place(10_000, 8_000) == 10_000, "what does not fit is not made to fit"
    assert unseen.after(10_000, 8_000).place(10_000, 48_000) == 8_000
