"""A load that evicts what is asked for often waits until its own demands have waited long enough."""

from __future__ import annotations

import pytest

from core.scheduler.demand import Demand, EndpointSpec, Family, Work, WorkClass
from core.scheduler.events import Arrived, EndpointUp, Finished, Load, Loaded, Tick
from core.scheduler.reasons import ReasonCode
from core.scheduler.scheduler import Scheduler
from core.scheduler.weights import Weights
from core.simulator.policies import run_policy
from core.simulator.simulation import PhysicsError, simulate
from tests.unit.simulator.worlds import cluster, request

pytestmark = pytest.mark.queue

POPULAR, GIANT = Family("popular", 10_000, 10.0), Family("giant", 40_000, 40.0)
ASKED_S = 600.0
"""When the giant is asked for."""


def a_demand(name: str, family: str, at_s: float, work_class: WorkClass = WorkClass.CHAT) -> Demand:
    return Demand(name, family, Work(5.0, 10.0), at_s, work_class, "ana")


def with_the_popular_one_loaded(weights: Weights | None = None, every_s: float = 10.0) -> Scheduler:
    """One endpoint with room for one of the two; one of them was asked for every `every_s` seconds for ten minutes."""
    scheduler = Scheduler((POPULAR, GIANT), weights)
    scheduler.handle(EndpointUp(EndpointSpec("e", 45_000), ("popular",)), 0.0)
    for number in range(int(ASKED_S / every_s)):
        at_s = every_s * number
        scheduler.handle(Arrived(a_demand(f"p{number}", "popular", at_s)), at_s)
        scheduler.handle(Finished(f"p{number}"), at_s + 1.0)
    return scheduler


def put_off_s(scheduler: Scheduler, *demands: Demand) -> float:
    """How long after `ASKED_S` the giant begins to load for these demands, with a look every second."""
    decisions = [each for demand in demands for each in scheduler.handle(Arrived(demand), demand.arrived_s)]
    for second in range(700):
        if any(isinstance(each, Load) and each.family == "giant" for each in decisions):
            return float(second)
        decisions = list(scheduler.handle(Tick(), ASKED_S + second + 1))
    raise AssertionError("the giant was never loaded")


def test_a_rare_giant_evicts_a_popular_family_only_after_it_has_waited_and_the_reason_says_so():
    scheduler = with_the_popular_one_loaded()
    assert scheduler.handle(Arrived(a_demand("g", "giant", ASKED_S)), ASKED_S) == ()
    reason = scheduler.why("g", ASKED_S)
    assert reason.code is ReasonCode.SPARES
    assert reason.sentence() == "giant is loaded later: popular must make room for it, and is asked for often."
    assert 10 < put_off_s(scheduler) < 300


def test_a_giant_is_loaded_at_once_when_what_it_evicts_is_hardly_asked_for():
    assert put_off_s(with_the_popular_one_loaded(every_s=300.0), a_demand("g", "giant", ASKED_S)) == 0


def test_a_giant_is_loaded_at_once_with_weights_without_patience():
    scheduler = with_the_popular_one_loaded(Weights(patience=0.0))
    assert put_off_s(scheduler, a_demand("g", "giant", ASKED_S)) == 0


def test_the_more_waits_for_a_giant_the_sooner_it_is_loaded():
    one = put_off_s(with_the_popular_one_loaded(), a_demand("g", "giant", ASKED_S))
    four = put_off_s(with_the_popular_one_loaded(), *(a_demand(f"g{n}", "giant", ASKED_S) for n in range(4)))
    bulk = put_off_s(with_the_popular_one_loaded(), a_demand("g", "giant", ASKED_S, WorkClass.BULK))
    assert four < one < bulk


def test_a_promised_start_at_risk_ends_the_patience():
    endless = Weights(patience=1e9)
    assert put_off_s(with_the_popular_one_loaded(endless), a_demand("g", "giant", ASKED_S)) > 500


def test_what_arrives_meanwhile_for_the_loaded_family_is_served_at_once():
    scheduler = with_the_popular_one_loaded()
    scheduler.handle(Arrived(a_demand("g", "giant", ASKED_S)), ASKED_S)
    (grant,) = scheduler.handle(Arrived(a_demand("p", "popular", ASKED_S + 2.0)), ASKED_S + 2.0)
    assert getattr(grant, "demand", "") == "p"
    scheduler.handle(Finished("p"), ASKED_S + 5.0)
    assert put_off_s(scheduler) > 0
    assert [getattr(each, "demand", "") for each in scheduler.handle(Loaded("e", "giant"), ASKED_S + 400.0)] == ["g"]


def test_a_simulation_goes_on_while_time_alone_must_pass():
    """The giant is asked for last, so no other event makes the scheduler look again."""
    sizes = {"popular": 10, "giant": 40}
    requests = [request(10.0 * number, "popular", 1, WorkClass.CHAT) for number in range(60)]
    requests.append(request(600.0, "giant", 5, WorkClass.CHAT))
    world = cluster("45GB", sizes_gb=sizes)
    outcome = run_policy("countersign", world, requests)
    assert 640 < outcome.start_s[-1] < 900
    families = [each.family for each in world.models]
    with pytest.raises(PhysicsError, match="1 requests wait and nothing goes on"):
        simulate(world, requests, Scheduler(families), tick_s=0)
