"""Limits of requests, reasons that people are shown, and moving a job."""

from __future__ import annotations

import pytest

from core.model.errors import ConflictError, NotFoundError, RefusedError, UsageError
from core.model.job import JobState
from core.model.lifecycle import State
from core.model.limits import Limit, LimitScope
from core.services.queue_control import MoveTo, PauseScope, PauseScopeKind, QueueControl, QueueMove
from core.services.requests import NewRequest
from core.store import jobs
from tests import builders
from tests.builders import ANA, LEE
from tests.clock import clock_ms

pytestmark = pytest.mark.queue


@pytest.fixture
def control(services):
    return QueueControl(services.database, lambda: services.settings)


async def why(services, number: int) -> str:
    place = (await services.document(number)).queue
    return place.why if place is not None else ""


async def test_a_request_over_the_rate_is_refused_until_the_oldest_is_an_hour_old(services):
    services.configure(limits=(Limit("hourly", LimitScope.PERSON, requests_per_hour=2),))
    for _ in range(2):
        await services.requests.ask(NewRequest(text="set a to 1", actor=ANA, repo="web"))
    with pytest.raises(RefusedError, match=r"the limit hourly allows ana 2 requests an hour\. Ask again after \d\d:"):
        await services.requests.ask(NewRequest(text="set a to 1", actor=ANA, repo="web"))
    await services.requests.ask(NewRequest(text="set a to 1", actor=LEE, repo="web"))


async def test_a_request_beyond_the_length_of_the_queue_is_refused(services):
    services.configure(limits=(Limit("short", LimitScope.REPOSITORY, frozenset({"web"}), queued=1),))
    await services.requests.ask(NewRequest(text="set a to 1", actor=ANA, repo="web"))
    with pytest.raises(RefusedError, match="the limit short allows web 1 waiting job") as caught:
        await services.requests.ask(NewRequest(text="set a to 1", actor=LEE, repo="web"))
    assert caught.value.problem.code == "queue_full"


async def test_people_are_told_which_limit_or_pause_a_job_waits_for(services, control):
    database = services.database
    services.configure(limits=(Limit("one", LimitScope.PERSON, running=1),))
    first, second = [await builders.put_task(database, State.QUEUED) for _ in range(2)]
    for number in (first, second):
        await builders.put_job(database, number, person="ana", lane="config")
    claims = builders.claimer(database, limits=services.settings.limits)
    await builders.put_worker(database, "w1", silent_s=-3600)
    assert (await claims.claim()) is not None
    assert await claims.claim() is None
    assert await why(services, second) == "The limit one lets ana run 1 change at once, and as many run."
    services.configure(limits=())
    third = await builders.put_task(database, State.QUEUED)
    await builders.put_job(database, third, person="lee", lane="config")
    lane = PauseScope(PauseScopeKind.LANE, "config")
    await control.pause(LEE, "the forge is being moved", lane)
    assert await builders.claimer(database).claim() is None
    assert await why(services, third) == "The lane config is paused by lee: the forge is being moved"


async def test_a_maintainer_moves_jobs_and_the_audit_trail_says_why(services, control):
    database = services.database
    numbers = [await builders.put_task(database, State.QUEUED) for _ in range(3)]
    for number in numbers:
        await builders.put_job(database, number, person="ana")
    one, two, three = numbers
    await control.move(LEE, three, QueueMove(MoveTo.FIRST, reason="the release waits"))
    await control.move(LEE, one, QueueMove(MoveTo.LAST))
    await control.move(LEE, one, QueueMove(MoveTo.BEFORE, two))
    assert (await services.kinds(three))[-1] == "job.moved"
    taken = [await builders.claim(database) for _ in range(3)]
    assert [job.number for job in taken if job is not None] == [three, one, two]
    with pytest.raises(ConflictError, match="runs already"):
        await control.move(LEE, one, QueueMove(MoveTo.FIRST))
    with pytest.raises(RefusedError, match="ana is not a maintainer"):
        await control.move(ANA, two, QueueMove(MoveTo.FIRST))


async def test_a_moved_job_goes_where_it_was_moved_whoever_asked_and_keeps_that_place(services, control):
    database = services.database
    services.configure(limits=(Limit("one", LimitScope.LANE, running=1),))
    numbers = [await builders.put_task(database, State.QUEUED) for _ in range(4)]
    for number, person in zip(numbers, ("ana", "ana", "ana", "lee"), strict=True):
        await builders.put_job(database, number, person=person, lane="config")
    one, two, three, four = numbers
    await control.move(LEE, three, QueueMove(MoveTo.BEFORE, four))
    await control.move(LEE, two, QueueMove(MoveTo.BEFORE, three))
    await builders.put_worker(database, "w1", silent_s=-3600)
    claims = builders.claimer(database, limits=services.settings.limits)
    order = []
    for _ in numbers:
        job = await claims.claim()
        assert job is not None
        assert await claims.claim() is None, "the others are parked"
        order.append(job.number)
        await jobs.finish(database, job)
    assert order == [two, three, one, four]


@pytest.mark.parametrize("order", [MoveTo.FIRST, MoveTo.LAST])
async def test_a_deadline_goes_before_what_was_moved_first(services, control, order):
    database = services.database
    numbers = [await builders.put_task(database, State.QUEUED) for _ in range(2)]
    now_ms = await database.read(clock_ms)
    await builders.put_job(database, numbers[0], deadline_ms=now_ms + 1000)
    await builders.put_job(database, numbers[1])
    await control.move(LEE, numbers[1], QueueMove(order))
    job = await builders.claim(database)
    assert job is not None
    assert job.number == numbers[0]


async def test_what_has_no_place_in_the_queue_is_not_moved(services, control):
    database = services.database
    idle, waits, queued = [await builders.put_task(database, State.QUEUED) for _ in range(3)]
    await builders.put_job(database, waits, state=JobState.WAITING.value, after=queued)
    await builders.put_job(database, queued)
    for number, reason in ((idle, "has no job in the queue"), (waits, "waits for another task")):
        with pytest.raises(ConflictError, match=reason):
            await control.move(LEE, number, QueueMove(MoveTo.FIRST))
        with pytest.raises(ConflictError, match=reason):
            await control.move(LEE, queued, QueueMove(MoveTo.BEFORE, number))
    with pytest.raises(UsageError, match="cannot go before itself"):
        await control.move(LEE, queued, QueueMove(MoveTo.BEFORE, queued))
    with pytest.raises(NotFoundError, match="no task #999"):
        await control.move(LEE, queued, QueueMove(MoveTo.BEFORE, 999))
    assert "job.moved" not in await services.kinds(queued)
