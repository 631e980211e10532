"""The circuit breaker's laws, over every course of events that Hypothesis finds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.circuit_breaker import BreakerState, BreakerThresholds, CircuitBreaker

pytestmark = pytest.mark.lanes
THRESHOLDS = BreakerThresholds(failures=3, open_s=10.0, max_open_s=60.0)
EVENTS = st.lists(
    st.one_of(
        st.just(("ask",)),
        st.just(("success",)),
        st.tuples(st.just("failure"), st.none() | st.integers(0, 10_000)),
        st.tuples(st.just("wait"), st.integers(0, 100)),
    ),
    max_size=60,
)


def course(events) -> list[tuple[str, float, CircuitBreaker, CircuitBreaker, bool]]:
    """Each event with the time, the breaker before and after it, and whether a question went through."""
    breaker, now_s, seen = CircuitBreaker(THRESHOLDS), 0.0, []
    for kind, *value in events:
        before, admitted = breaker, False
        if kind == "ask":
            breaker, admitted = breaker.admit(now_s)
        elif kind == "success":
            breaker = CircuitBreaker(THRESHOLDS)
        elif kind == "failure":
            breaker = breaker.after_failure(now_s, value[0])
        else:
            now_s += value[0]
        seen.append((kind, now_s, before, breaker, admitted))
    return seen


@given(EVENTS)
def test_closed_admits_all_open_none_and_half_open_one(events):
    for kind, now_s, before, after, admitted in course(events):
        if kind != "ask":
            continue
        assert admitted == (before.state(now_s) is not BreakerState.OPEN)
        if before.state(now_s) is BreakerState.HALF_OPEN:
            assert after.state(now_s) is BreakerState.OPEN
            assert after.admit(now_s)[1] is False
        else:
            assert after == before


@given(EVENTS)
def test_it_opens_only_by_a_failure_and_not_before_the_threshold(events):
    for kind, now_s, before, after, _ in course(events):
        if before.state(now_s) is BreakerState.CLOSED and after.state(now_s) is not BreakerState.CLOSED:
            assert kind == "failure"
            assert after.failures >= THRESHOLDS.failures


@given(EVENTS)
def test_a_success_closes_it_and_nothing_is_held_against_it(events):
    for kind, _, _, after, _ in course(events):
        if kind == "success":
            assert after == CircuitBreaker(THRESHOLDS)


@given(EVENTS)
def test_it_is_never_open_for_longer_than_its_bound(events):
    for _, now_s, _, after, _ in course(events):
        assert after.until_s is None or after.until_s - now_s <= THRESHOLDS.max_open_s
        assert after.state(now_s + THRESHOLDS.max_open_s) is not BreakerState.OPEN


@given(EVENTS)
def test_waiting_changes_nothing_but_open_to_half_open(events):
    for kind, now_s, before, after, _ in course(events):
        if kind == "wait":
            assert after == before
            assert after.state(now_s) is BreakerState.CLOSED or before.until_s is not None


@given(st.integers(0, 20), st.integers(0, 1000))
def test_many_failures_at_once_open_it_no_longer_than_one(extra, now_s):
    breaker = CircuitBreaker(THRESHOLDS)
    for _ in range(THRESHOLDS.failures + extra):
        breaker = breaker.after_failure(now_s)
    assert breaker.until_s == now_s + THRESHOLDS.open_s


def test_each_failed_trial_doubles_the_time_up_to_the_bound():
    breaker, now_s, waits = CircuitBreaker(THRESHOLDS), 0.0, []
    for _ in range(2):
        breaker = breaker.after_failure(now_s)
    for _ in range(6):
        breaker = breaker.after_failure(now_s)
        assert breaker.until_s is not None
        waits.append(breaker.until_s - now_s)
        now_s = breaker.until_s
        breaker, admitted = breaker.admit(now_s)
        assert admitted
    assert waits == [10, 20, 40, 60, 60, 60]


def test_a_trial_of_which_nothing_is_accepted_is_followed_by_another():
    breaker = CircuitBreaker(THRESHOLDS)
    for _ in range(3):
        breaker = breaker.after_failure(0)
    breaker, first = breaker.admit(10)
    _, too_soon = breaker.admit(19)
    _, second = breaker.admit(20)
    assert (first, too_soon, second) == (True, False, True)


def test_what_the_endpoint_asked_for_is_given():
    breaker = CircuitBreaker(THRESHOLDS)
    for _ in range(3):
        breaker = breaker.after_failure(0, 33)
    assert breaker.until_s == 33
