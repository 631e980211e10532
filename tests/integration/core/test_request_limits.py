"""Limits of requests, reasons that people are shown, and moving a job."""

from __future__ import annotations

import pytest

from core.model.errors import ConflictError, RefusedError
from core.model.lifecycle import State
from core.model.limits import Limit, LimitScope
from core.services.queue_control import MoveTo, PauseScope, PauseScopeKind, QueueControl, QueueMove
from core.services.requests import NewRequest
from tests import builders
from tests.builders import ANA, LEE

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
