"""Pausing the queue: who may, and what is recorded of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from core.model.errors import Kind, NotFoundError, Problem, RefusedError
from core.model.lifecycle import State
from core.model.turn import Actor
from core.services.queries import Queries
from core.services.queue_control import QueueControl, QueuePause
from core.store.artifacts import ArtifactFiles
from core.store.database import Database
from tests import builders
from tests.builders import ANA, LEE

pytestmark = pytest.mark.queue

OPERATOR = Actor(None, "terminal", is_operator=True)
ANA_AT_HER_TERMINAL = Actor("ana", "terminal", is_operator=True)


@pytest.fixture
def control(services):
    return QueueControl(services.database, lambda: services.settings)


@pytest.fixture
def queries(services, tmp_path):
    return Queries(services.database, lambda: services.settings, ArtifactFiles(tmp_path))


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


@contextmanager
def counted_statements(database: Database) -> Iterator[list[str]]:
    """The statements that a database runs within the block."""
    statements: list[str] = []

    def note(_connection, _cursor, statement, *_others) -> None:
        statements.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    yield statements
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)


async def test_the_queue_is_read_with_the_same_number_of_statements_however_long_it_is(control, queries):
    database = control.database
    number = await builders.put_task(database, State.QUEUED)
    problem = Problem(Kind.FAILED, "gone", "the forge is down").to_json()
    await builders.put_job(database, number, error=problem)
    with counted_statements(database) as of_one_job:
        await queries.queue()
    for _ in range(20):
        await builders.put_job(database, number, error=problem)
    with counted_statements(database) as of_many_jobs:
        view = await queries.queue()
    assert [row.queued.problem for row in view.rows] == ["the forge is down"] * 21
    assert len(of_many_jobs) == len(of_one_job)


@pytest.mark.parametrize("nobody", [Actor(), Actor("mallory", "slack")])
async def test_whoever_is_not_configured_changes_nothing(control, queries, nobody):
    with pytest.raises(NotFoundError):
        await control.pause(nobody, "")
    assert (await queries.queue()).paused is None
