"""The laws of the order in which jobs are claimed, and of the waits between their attempts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.job import backoff_s
from core.model.job_order import AGE_PER_PRIORITY, URGENT, in_order
from tests.builders import NOON, job

pytestmark = pytest.mark.queue

minutes = st.integers(-600, 600).map(lambda n: timedelta(minutes=n))


@st.composite
def queues(draw):
    """Up to 12 jobs of any age, priority and deadline."""
    return [
        job(
            id=f"job_{n}",
            priority=draw(st.integers(-5, 5)),
            ready_at=NOON - abs(draw(minutes)),
            deadline_at=draw(st.none() | minutes.map(lambda late: NOON + late)),
        )
        for n in range(draw(st.integers(0, 12)))
    ]


@given(queues(), st.randoms())
def test_the_order_does_not_depend_on_the_order_of_the_rows(jobs, random):
    shuffled = jobs[:]
    random.shuffle(shuffled)
    assert in_order(shuffled, NOON) == in_order(jobs, NOON)


@given(queues())
def test_urgent_jobs_go_first_by_their_deadlines(jobs):
    ranked = in_order(jobs, NOON)
    urgent = [j for j in ranked if j.deadline_at is not None and j.deadline_at - NOON <= URGENT]
    assert list(ranked[: len(urgent)]) == urgent
    deadlines = [j.deadline_at for j in urgent if j.deadline_at is not None]
    assert deadlines == sorted(deadlines)


@given(st.integers(-5, 5), st.integers(-5, 5))
def test_between_jobs_of_one_age_the_higher_priority_goes_first(one, other):
    ranked = in_order([job(id="one", priority=one), job(id="other", priority=other)], NOON)
    assert ranked[0].priority == max(one, other)


def test_between_equals_the_older_goes_first():
    older = job(id="z", ready_at=NOON - timedelta(seconds=1))
    assert in_order([job(id="a"), older], NOON)[0] is older


@given(st.integers(0, 50), st.integers(0, 50))
def test_waiting_beats_any_priority_in_time(low, ahead):
    """A job is overtaken only by what came within `AGE_PER_PRIORITY` for each step of priority: none starves."""
    old = job(id="old", priority=low)
    later = NOON + AGE_PER_PRIORITY * (ahead + 1)
    newcomers = [job(id=f"new_{n}", priority=low + ahead, ready_at=later) for n in range(5)]
    assert in_order([*newcomers, old], later)[0] is old


@given(queues(), minutes)
def test_as_time_passes_jobs_that_are_not_urgent_keep_their_order(jobs, wait):
    patient = [j for j in jobs if j.deadline_at is None]
    now = in_order(patient, NOON)
    assert in_order(patient, NOON + abs(wait)) == now


@given(st.integers(1, 60), st.floats(0, 1, exclude_max=True))
def test_the_wait_before_another_try_grows_and_is_bounded(attempt, jitter):
    wait_s = backoff_s(attempt, jitter)
    assert 0.75 * min(300, 2**attempt) <= wait_s <= 375
    assert backoff_s(attempt + 3, 0) >= backoff_s(attempt, 0)
