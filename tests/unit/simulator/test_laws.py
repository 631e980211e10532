"""Laws that every simulation obeys, whatever the policy and the requests."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.scheduler.demand import EndpointSpec, Family
from core.simulator.machine import Machine
from core.simulator.policies import POLICIES, run_policy
from core.simulator.report import jain, report
from core.simulator.timeline import timeline
from tests.unit.simulator.worlds import REAL_POLICIES, cluster, request, request_lists

pytestmark = pytest.mark.queue

NODES = st.sampled_from(["48GB", "2x48GB", "a=48GB,b=24GB", "2x48GB+ram64GB", "48GB+ram32GB", "2x48GB+slots3"])


@settings(max_examples=40, deadline=None)
@given(request_lists(), NODES, st.sampled_from(list(POLICIES)), st.sampled_from([0.0, 0.5]))
def test_every_request_starts_after_it_arrived_and_finishes_after_its_work(requests, nodes, policy, contention):
    outcome = run_policy(policy, cluster(nodes, contention), requests)
    for each, start_s, finish_s, work_s in zip(
        requests, outcome.start_s, outcome.finish_s, outcome.work_s, strict=True
    ):
        assert each.arrival_s <= start_s
        assert start_s + work_s <= finish_s + 1e-6
        assert finish_s <= outcome.end_s


@settings(max_examples=40, deadline=None)
@given(request_lists(), NODES, st.sampled_from(REAL_POLICIES))
def test_endpoints_are_busy_for_exactly_the_work_that_was_asked_for(requests, nodes, policy):
    outcome = run_policy(policy, cluster(nodes), requests)
    assert outcome.busy_s == pytest.approx(sum(outcome.work_s))
    loading_s = sum(stay.ready_s - stay.load_s for stay in outcome.residencies)
    assert outcome.loading_s == pytest.approx(loading_s)
    assert outcome.loads + outcome.wakes == len(outcome.residencies)


@settings(max_examples=30, deadline=None)
@given(request_lists(), NODES, st.sampled_from(REAL_POLICIES))
def test_memory_is_never_exceeded_and_work_runs_only_where_its_model_is(requests, nodes, policy):
    simulated = cluster(nodes)
    outcome = run_policy(policy, simulated, requests)
    memory = {each.name: each.memory_mib for each in simulated.endpoints}
    for stay in outcome.residencies:
        together = [
            simulated.by_name[other.family].size_mib
            for other in outcome.residencies
            if other.endpoint == stay.endpoint and other.load_s <= stay.load_s < other.end_s
        ]
        assert sum(together) <= memory[stay.endpoint]
    for each, endpoint, start_s, finish_s in zip(
        requests, outcome.endpoint, outcome.start_s, outcome.finish_s, strict=True
    ):
        assert any(
            stay.endpoint == endpoint
            and stay.family == each.model
            and stay.ready_s <= start_s
            and finish_s <= stay.end_s
            for stay in outcome.residencies
        )


@settings(max_examples=20, deadline=None)
@given(request_lists(), st.sampled_from(list(POLICIES)))
def test_the_same_simulation_gives_the_same_result(requests, policy):
    first, second = (run_policy(policy, cluster("2x48GB"), requests) for _ in range(2))
    assert first.finish_s == second.finish_s
    assert report(first) == report(second)


@given(request_lists(models=["a"]))
def test_the_bound_with_one_slot_follows_lindleys_recursion(requests):
    """A request waits for the one before it: W(n+1) = max(0, W(n) + S(n) - A(n+1)) (Lindley 1952)."""
    outcome = run_policy("zero-swap-fifo", cluster(), requests)
    wait_s = 0.0
    for number, each in enumerate(requests):
        if number:
            gap_s = each.arrival_s - requests[number - 1].arrival_s
            wait_s = max(0.0, wait_s + outcome.work_s[number - 1] - gap_s)
        assert outcome.start_s[number] - each.arrival_s == pytest.approx(wait_s)


def test_the_shortest_first_bound_is_the_least_mean_where_all_wait_together():
    requests = [request(0, "a", work) for work in (30, 1, 10, 2)]
    outcome = run_policy("zero-swap-shortest", cluster(), requests)
    assert outcome.finish_s == [43.0, 1.0, 13.0, 3.0]


def test_what_runs_together_shares_the_speed_equally():
    machine = Machine(EndpointSpec("gpu", 48_000))
    machine.begin_load(Family("a", 10, 1.0), 1.0, 0.0)
    machine.end_load(1.0)
    machine.begin(1, "a", 10.0, 1.0)
    machine.begin(2, "a", 2.0, 5.0)
    assert machine.next_end() == (9.0, False), "the second gets half a second of work a second from 5 s on"
    assert machine.end_first(9.0) == 2
    assert machine.next_end() == (13.0, False), "the first had 4 + 2 of its 10 seconds of work"


def test_loading_and_serving_slow_each_other_down_by_the_contention():
    machine = Machine(EndpointSpec("gpu", 48_000), contention=0.5)
    machine.begin_load(Family("a", 10, 1.0), 1.0, 0.0)
    machine.end_load(1.0)
    machine.begin(1, "a", 10.0, 1.0)
    machine.begin_load(Family("b", 10, 2.0), 2.0, 1.0)
    assert machine.next_end() == (5.0, True)
    machine.end_load(5.0)
    assert machine.next_end() == (13.0, False)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=20))
def test_jains_index_is_between_one_share_and_one(values):
    assert 1 / len(values) - 1e-9 <= jain(values) <= 1 + 1e-9


@settings(max_examples=25, deadline=None)
@given(request_lists(), st.integers(1, 50))
def test_the_timeline_has_the_longest_queue_and_no_more_memory_than_there_was(requests, steps):
    outcome = run_policy("countersign", cluster("2x48GB"), requests)
    over_time = timeline(outcome, steps)
    longest = max(
        sum(each.arrival_s <= at.arrival_s < start_s for each, start_s in zip(requests, outcome.start_s, strict=True))
        for at in requests
    )
    assert len(over_time.waiting) == steps
    assert max(over_time.waiting) >= longest
    resident_s = sum(stay.end_s - stay.load_s for stay in outcome.residencies)
    shares = sum(sum(row) for families in over_time.resident.values() for row in families.values())
    assert shares * over_time.end_s / steps == pytest.approx(resident_s)
