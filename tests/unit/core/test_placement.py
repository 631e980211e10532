"""Placement: the laws of the order in which a node takes jobs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.job import PAYLOAD_VERSION, backoff_s
from core.model.job_order import AGE_PER_PRIORITY, URGENT, NodeView, rank
from tests.builders import NOON, job

pytestmark = pytest.mark.queue

NODE = NodeView("here", frozenset({"sandbox", "git"}))
minutes = st.integers(-600, 600).map(lambda n: timedelta(minutes=n))
capabilities = st.frozensets(st.sampled_from(["sandbox", "git", "gpu"]), max_size=2)


@st.composite
def queues(draw):
    """Up to 12 jobs of any age, priority, deadline and need."""
    return [
        job(
            id=f"job_{n}",
            priority=draw(st.integers(-5, 5)),
            ready_at=NOON - abs(draw(minutes)),
            deadline_at=draw(st.none() | minutes.map(lambda late: NOON + late)),
            needs=draw(capabilities),
            payload_version=draw(st.sampled_from([PAYLOAD_VERSION, PAYLOAD_VERSION, PAYLOAD_VERSION + 1])),
        )
        for n in range(draw(st.integers(0, 12)))
    ]


@given(queues(), st.randoms())
def test_the_order_does_not_depend_on_the_order_of_the_rows(jobs, random):
    shuffled = jobs[:]
    random.shuffle(shuffled)
    assert rank(shuffled, NODE, NOON) == rank(jobs, NODE, NOON)


@given(queues())
def test_a_node_gets_every_job_that_fits_once_and_never_one_that_does_not(jobs):
    fitting = {j.id for j in jobs if j.needs <= NODE.offers and j.payload_version <= PAYLOAD_VERSION}
    ranked = [j.id for j in rank(jobs, NODE, NOON)]
    assert sorted(ranked) == sorted(fitting)


@given(queues())
def test_urgent_jobs_go_first_by_their_deadlines(jobs):
    ranked = rank(jobs, NODE, NOON)
    urgent = [j for j in ranked if j.deadline_at is not None and j.deadline_at - NOON <= URGENT]
    assert list(ranked[: len(urgent)]) == urgent
    deadlines = [j.deadline_at for j in urgent if j.deadline_at is not None]
    assert deadlines == sorted(deadlines)


@given(st.integers(-5, 5), st.integers(-5, 5))
def test_between_jobs_of_one_age_the_higher_priority_goes_first(one, other):
    ranked = rank([job(id="one", priority=one), job(id="other", priority=other)], NODE, NOON)
    assert ranked[0].priority == max(one, other)


def test_between_equals_the_older_goes_first():
    older = job(id="z", ready_at=NOON - timedelta(seconds=1))
    assert rank([job(id="a"), older], NODE, NOON)[0] is older


@given(st.integers(0, 50), st.integers(0, 50))
def test_waiting_beats_any_priority_in_time(low, ahead):
    """A job is overtaken only by what came within `AGE_PER_PRIORITY` for each step of priority: none starves."""
    old = job(id="old", priority=low)
    later = NOON + AGE_PER_PRIORITY * (ahead + 1)
    newcomers = [job(id=f"new_{n}", priority=low + ahead, ready_at=later) for n in range(5)]
    assert rank([*newcomers, old], NODE, later)[0] is old


@given(queues(), minutes)
def test_as_time_passes_jobs_that_are_not_urgent_keep_their_order(jobs, wait):
    patient = [j for j in jobs if j.deadline_at is None]
    now = rank(patient, NODE, NOON)
    assert rank(patient, NODE, NOON + abs(wait)) == now


@given(st.integers(1, 60), st.floats(0, 1, exclude_max=True))
def test_the_wait_before_another_try_grows_and_is_bounded(attempt, jitter):
    wait_s = backoff_s(attempt, jitter)
    assert 0.75 * min(300, 2**attempt) <= wait_s <= 375
    assert backoff_s(attempt + 3, 0) >= backoff_s(attempt, 0)
