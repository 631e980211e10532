"""Windows of a run are labelled by how the endpoints kept up with what arrived."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.simulator.policies import run_policy
from core.simulator.simulation import ModelStay, Outcome
from core.simulator.trace import Request
from core.simulator.windows import WindowState, counts_of, state_of, windows
from tests.unit.simulator.worlds import cluster, request, request_lists

pytestmark = pytest.mark.queue

HOUR = 3600.0


def outcome(*rows: tuple[float, float, float, float], stays: tuple[ModelStay, ...] = ()) -> Outcome:
    """A run on one endpoint from (arrival, work, start, finish) of each request."""
    requests = [Request(arrival_s, "a", 0, 0) for arrival_s, *_ in rows]
    result = Outcome(
        requests,
        [row[1] for row in rows],
        [row[2] for row in rows],
        [row[3] for row in rows],
        [float("inf")] * len(rows),
    )
    result.endpoint = ["gpu"] * len(rows)
    result.residencies = list(stays)
    return result


def states(run: Outcome, number: int) -> list[WindowState]:
    return [each.state for each in windows(run, number)]


def test_a_window_in_which_all_arriving_work_is_started_is_stable():
    assert states(outcome((0, 10, 0, 10), (100, 10, 100, 110)), 1) == [WindowState.STABLE]


def test_a_window_with_more_work_than_time_is_overloaded_and_the_next_is_backlogged():
    run = outcome((0, 100, 0, 100), (10, 100, 100, 200), (20, 100, 200, 300), (150, 1, 300, 301), (200, 1, 301, 302))
    assert states(run, 2) == [WindowState.OVERLOADED, WindowState.STABLE]
    run.start_s[2:], run.finish_s[2:] = [250.0, 350.0, 351.0], [350.0, 351.0, 352.0]
    assert states(run, 2) == [WindowState.OVERLOADED, WindowState.BACKLOGGED]


def test_time_that_an_endpoint_loads_and_serves_nothing_counts_as_stalled():
    stays = (ModelStay("gpu", "a", 0.0, 60.0, 200.0),)
    run = outcome((0, 10, 60, 70), (100, 10, 100, 110), stays=stays)
    assert windows(run, 1)[0].stalled == pytest.approx(0.6)
    busy = outcome((0, 50, 20, 70), (100, 10, 100, 110), stays=stays)
    assert windows(busy, 1)[0].stalled == pytest.approx(0.2), "it served beside 40 s of the load"
    assert windows(outcome((0, 50, 60, 110), (100, 10, 110, 120), stays=stays), 1)[0].state is WindowState.OVERLOADED


def test_windows_are_hours_of_a_day_and_eighths_of_a_minute():
    day = windows(outcome((0, 1, 0, 1), (24 * HOUR, 1, 24 * HOUR, 24 * HOUR + 1)))
    assert [(each.from_s, each.to_s) for each in day] == [(hour * HOUR, (hour + 1) * HOUR) for hour in range(24)]
    assert len(windows(outcome((0, 1, 0, 1), (60, 1, 60, 61)))) == 8
    assert len(windows(outcome((0, 1, 0, 1), (23 * 24 * HOUR, 1, 23 * 24 * HOUR, 23 * 24 * HOUR + 1)))) <= 48


def test_one_request_alone_is_one_stable_window_of_any_length():
    assert state_of(windows(outcome((0, 0, 0, 0)))) is WindowState.STABLE
    for policy in ("countersign", "ollama", "zero-swap-fifo"):
        assert state_of(windows(run_policy(policy, cluster(), [request(0, "a")]))) is WindowState.STABLE


@pytest.mark.parametrize(
    ("numbers", "state"),
    [
        ((8, 0, 0), "stable"),
        ((7, 1, 0), "stable"),
        ((6, 1, 1), "backlogged"),
        ((6, 0, 2), "overloaded"),
        ((0, 0, 1), "overloaded"),
    ],
)
def test_a_run_is_called_what_a_quarter_of_its_windows_are_at_least(numbers, state):
    order = list(WindowState)
    sample = windows(outcome((0, 0, 0, 0)), 1)[0]
    parts = [
        type(sample)(0, 1, order[index], 0, 0, 0, 0, 0, 0)
        for index, number in enumerate(numbers)
        for _ in range(number)
    ]
    assert state_of(parts).value == state
    assert tuple(counts_of(parts).values()) == numbers


@settings(max_examples=30, deadline=None)
@given(request_lists(), st.sampled_from(["countersign", "ollama", "zero-swap-fifo"]), st.none() | st.integers(1, 30))
def test_each_request_arrives_in_one_window_and_windows_share_out_the_work(requests, policy, number):
    run = run_policy(policy, cluster("2x48GB"), requests)
    parts = windows(run, number)
    assert sum(each.arrived for each in parts) == len(requests)
    offered_s = sum(each.offered * (each.to_s - each.from_s) for each in parts) * run.endpoints
    assert offered_s == pytest.approx(sum(run.work_s))
    assert parts[0].from_s == 0
    assert all(before.to_s == after.from_s for before, after in pairwise(parts))
    last_s = requests[-1].arrival_s
    waiting = sum(start_s > last_s for start_s in run.start_s)
    if parts[-1].to_s == last_s:
        assert parts[-1].waiting == waiting


def test_twice_the_work_that_fits_is_overloaded_and_half_of_it_is_stable():
    for gap_s, state in ((20.0, "stable"), (5.0, "overloaded")):
        requests = [request(number * gap_s, "a", 10) for number in range(200)]
        run = run_policy("countersign", cluster(), requests)
        assert state_of(windows(run)).value == state
