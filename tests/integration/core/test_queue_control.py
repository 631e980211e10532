"""Pausing the queue: who may, and what is recorded of it."""

from __future__ import annotations

import pytest

from core.model.errors import NotFoundError, RefusedError
from core.model.turn import Actor
from core.services.queries import Queries
from core.services.queue_control import QueueControl, QueuePause
from core.store.artifacts import ArtifactFiles
from tests import builders
from tests.builders import ANA, LEE

pytestmark = pytest.mark.queue

OPERATOR = Actor(None, "terminal", is_operator=True)
ANA_AT_HER_TERMINAL = Actor("ana", "terminal", is_operator=True)


@pytest.fixture
def control(office):
    return QueueControl(office.database, lambda: office.settings)


@pytest.fixture
def queries(office, tmp_path):
    return Queries(office.database, lambda: office.settings, ArtifactFiles(tmp_path))


@pytest.mark.parametrize("actor", [LEE, OPERATOR, ANA_AT_HER_TERMINAL])
async def test_a_maintainer_and_the_local_operator_pause_and_resume(control, queries, actor):
    assert await control.pause(actor, "upgrade") == QueuePause("upgrade", actor.person)
    assert (await queries.queue()).paused == QueuePause("upgrade", actor.person)
    await control.resume(actor)
    assert (await queries.queue()).paused is None
    assert await builders.kinds_of(control.database, 0) == ["queue.paused", "queue.resumed"]
    assert {event.person for event in await queries.events()} == {actor.person}


async def test_a_member_changes_nothing(control, queries):
    await control.pause(LEE, "upgrade")
    for attempt in (control.pause(ANA, ""), control.resume(ANA)):
        with pytest.raises(RefusedError, match="ana is not a maintainer"):
            await attempt
    assert (await queries.queue()).paused == QueuePause("upgrade", "lee")
    assert await builders.kinds_of(control.database, 0) == ["queue.paused"]


@pytest.mark.parametrize("nobody", [Actor(), Actor("mallory", "slack")])
async def test_whoever_is_not_configured_changes_nothing(control, queries, nobody):
    with pytest.raises(NotFoundError):
        await control.pause(nobody, "")
    assert (await queries.queue()).paused is None
