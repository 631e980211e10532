"""The live queue does what the simulator predicts: the same requests, with leases as rows tell them."""

from __future__ import annotations

import random

import pytest

from core.queue.lease_scheduling import LeaseScheduling
from core.scheduler.demand import WorkClass
from core.simulator.report import mean
from core.simulator.trace import Request
from tests.bench.leases import SHIMS, predicted
from tests.bench.live_queue import ModelUse
from tests.unit.scheduler.leasing_world import LeasingWorld, waiting_lease

pytestmark = pytest.mark.queue

WORK_S, LOAD_S, NUMBER = 2.5, 8.0, 100


@pytest.mark.parametrize(("seed", "held_s"), [(21, 0.0), (22, 0.5)])
def test_what_requests_wait_and_the_loads_are_within_a_tenth_of_the_prediction(seed: int, held_s: float):
    rng = random.Random(seed)
    times = sorted(rng.uniform(0.0, NUMBER * WORK_S / (SHIMS * 0.4)) for _ in range(NUMBER))
    names = [f"e{shim}/m{model}" for shim in range(SHIMS) for model in range(2)]
    requests = [Request(at_s, rng.choice(names), 0, 100, work_class=WorkClass.BULK) for at_s in times]
    world = LeasingWorld(SHIMS, LOAD_S, held_s)
    world.run(requests, WORK_S)
    uses = [
        ModelUse(number, each.model, each.arrival_s, each.arrival_s, each.arrival_s + WORK_S)
        for number, each in enumerate(requests)
    ]
    expected_s, loads = predicted(uses, LOAD_S)
    assert mean(list(world.took_s.values())) == pytest.approx(mean(list(expected_s.values())), rel=0.1)
    assert world.loads == pytest.approx(loads, rel=0.1)
    assert loads > 25, "models are swapped"


def test_a_lease_for_an_endpoint_that_just_came_up_needs_a_new_look_and_is_not_refused_then():
    """A client may have seen the endpoint come up before the granter looked again; an old look refuses it for ever."""
    world, scheduling = LeasingWorld(1), LeaseScheduling(())
    lease = waiting_lease(0, Request(0.0, "e0/m0", 0, 100, work_class=WorkClass.BULK))
    now_s = lease.arrived_at.timestamp()
    assert scheduling.is_behind([lease])
    world.look(0.0)
    scheduling.see_endpoints(world.statuses(), (), now_s)
    assert not scheduling.is_behind([lease])
    scheduling.see_leases([lease], now_s)
    assert not scheduling.take_verdicts(now_s).refused


def test_a_lease_that_was_judged_by_an_old_look_is_refused():
    """What the new look prevents."""
    scheduling = LeaseScheduling(())
    lease = waiting_lease(0, Request(0.0, "e0/m0", 0, 100, work_class=WorkClass.BULK))
    scheduling.see_leases([lease], lease.arrived_at.timestamp())
    assert scheduling.take_verdicts(lease.arrived_at.timestamp()).refused
