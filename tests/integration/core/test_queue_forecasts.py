"""Forecasts of the queue in the database: who makes them, what is kept, and which cards are redrawn for them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import update

from core.model.job import JobState
from core.model.place import Place
from core.queue.queue_forecaster import QueueForecaster
from core.services.queries import Queries
from core.services.queue_forecasts import QueueForecasts
from core.store import cards, job_forecasts, jobs, switches
from core.store.artifacts import ArtifactFiles
from core.store.forecast_tables import JobForecastRow
from core.store.message_tables import CardRow
from core.store.unit_of_work import Tx
from tests import builders, campaign
from tests.service_harness import ServiceHarness

pytestmark = [pytest.mark.queue, campaign.EITHER]

PLACE = Place("telegram", "-100", None, False)


@pytest.fixture
def harness(database):
    return ServiceHarness(database)


def forecaster(harness: ServiceHarness, *, leads: bool = True) -> QueueForecaster:
    async def is_leading() -> bool:
        return leads

    settings = builders.always(harness.settings)
    return QueueForecaster(QueueForecasts(harness.database, settings), settings, is_leading)


async def put_tasks(harness: ServiceHarness, number: int, *, on_cards: bool = False) -> list[int]:
    """So many tasks that wait in the queue."""
    numbers = []
    for _ in range(number):
        task = await builders.put_task(harness.database)
        await builders.put_job(harness.database, task)
        numbers.append(task)
        if on_cards:
            await harness.database.write(partial(_bind, task))
    return numbers


async def _bind(task: int, tx: Tx) -> None:
    await cards.bind(tx, task, PLACE, None)


async def learn(harness: ServiceHarness, seconds: float, number: int = 30) -> None:
    """So many finished jobs that took so long each."""

    async def work(tx: Tx) -> None:
        for _ in range(number):
            row = builders.job_row(1, tx.now_ms - 3_600_000)
            row.state = JobState.DONE.value
            row.claimed_ms, row.finished_ms = tx.now_ms - round(seconds * 1000), tx.now_ms
            await jobs.add(tx, row)

    await builders.put_task(harness.database)
    await harness.database.write(work)


async def drawn(harness: ServiceHarness) -> None:
    """Every card was delivered."""
    await harness.database.write(lambda tx: _execute(tx, update(CardRow).values(due_ms=None)))


async def _execute(tx: Tx, statement) -> None:
    await tx.session.execute(statement)


async def due_cards(harness: ServiceHarness) -> int:
    leased = await harness.database.write(lambda tx: cards.begin(tx, "telegram", 500))
    return len(leased)


async def place_of(harness: ServiceHarness, number: int):
    place = (await harness.document(number)).queue
    assert place is not None
    return place


async def test_every_waiting_task_has_its_place_its_wait_and_the_start_that_it_was_promised(harness):
    await learn(harness, 100.0)
    await builders.put_worker(harness.database, "w1")
    numbers = await put_tasks(harness, 6)
    await forecaster(harness).round()
    places = [await place_of(harness, number) for number in numbers]
    assert [place.before for place in places] == [0, 1, 2, 3, 4, 5]
    waits = [place.wait.middle for place in places if place.wait is not None]
    assert waits == sorted(waits)
    assert waits[:2] == [0.0, 0.0]  # the two slots are free
    assert 150 <= waits[5] <= 260  # two jobs of 100 s before it in each slot
    promises = [place.promised_at for place in places]
    assert None not in promises
    assert promises[0] < promises[5]
    assert not any(place.is_late or place.needs_worker for place in places)


async def test_a_promise_is_made_once_and_a_broken_one_is_told_with_the_reason(harness):
    await builders.put_worker(harness.database, "w1")
    [number] = await put_tasks(harness, 1, on_cards=True)
    await forecaster(harness).round()
    await drawn(harness)
    promised_at = (await place_of(harness, number)).promised_at
    await forecaster(harness).round()
    assert (await place_of(harness, number)).promised_at == promised_at
    assert await due_cards(harness) == 0
    past = update(JobForecastRow).values(promised_ms=1_000_000)
    await harness.database.write(lambda tx: _execute(tx, past))
    await forecaster(harness).round()
    place = await place_of(harness, number)
    assert place.is_late
    assert place.why == "It is next, and waits for a worker that can run it."
    assert await due_cards(harness) == 1


async def test_a_hundred_waiting_tasks_do_not_have_all_their_cards_edited_at_once(harness):
    await learn(harness, 60.0)
    await builders.put_worker(harness.database, "w1")
    await put_tasks(harness, 100, on_cards=True)
    duty = forecaster(harness)
    await duty.round()
    await drawn(harness)
    long_ago = update(JobForecastRow).values(announced=[0.0, 1.0, 1.0, 1.0, 0.0, 1.0])
    await harness.database.write(lambda tx: _execute(tx, long_ago))
    await duty.round()
    first = await due_cards(harness)
    await duty.round()
    assert 1 <= first <= 10
    assert await due_cards(harness) <= 1


async def test_nothing_is_redrawn_while_nothing_changes(harness):
    await learn(harness, 60.0)
    await builders.put_worker(harness.database, "w1")
    await put_tasks(harness, 5, on_cards=True)
    duty = forecaster(harness)
    await duty.round()
    await drawn(harness)
    for _ in range(3):
        await duty.round()
    assert await due_cards(harness) == 0


async def test_a_finished_job_leaves_no_forecast(harness):
    await builders.put_worker(harness.database, "w1")
    await put_tasks(harness, 2)
    await forecaster(harness).round()
    job = await builders.claim(harness.database)
    assert job is not None
    await forecaster(harness).round()
    await harness.database.write(lambda tx: jobs.end(tx, job, JobState.DONE))
    await forecaster(harness).round()
    stored = await harness.database.read(job_forecasts.every)
    assert job.id not in stored
    assert len(stored) == 1


async def test_another_worker_that_does_not_lead_forecasts_nothing(harness):
    await builders.put_worker(harness.database, "w1")
    await put_tasks(harness, 1)
    await forecaster(harness, leads=False).round()
    assert await harness.database.read(job_forecasts.every) == {}


async def test_while_the_queue_is_paused_no_wait_is_told_and_the_promise_stays(harness):
    await builders.put_worker(harness.database, "w1")
    [number] = await put_tasks(harness, 1)
    await forecaster(harness).round()
    promised_at = (await place_of(harness, number)).promised_at
    await harness.database.write(lambda tx: switches.set_pause(tx, {"reason": "the move", "by": "lee"}, "lee"))
    await forecaster(harness).round()
    place = await place_of(harness, number)
    assert (place.wait, place.why) == (None, "The queue is paused: the move")
    assert place.promised_at == promised_at


async def test_without_a_worker_the_wait_counts_from_when_one_runs(harness):
    await learn(harness, 100.0)
    numbers = await put_tasks(harness, 4)
    place = await place_of(harness, numbers[3])
    assert place.needs_worker
    assert place.wait is not None
    assert 60 <= place.wait.middle <= 140
    rows = (await queries(harness).queue()).rows
    assert [row.place.needs_worker for row in rows] == [True] * 4
    assert rows[3].place.wait is not None


async def test_a_job_that_no_worker_can_run_has_no_wait(harness):
    await builders.put_worker(harness.database, "w1")
    task = await builders.put_task(harness.database)
    await builders.put_job(harness.database, task, capabilities="sandbox")
    await forecaster(harness).round()
    assert (await place_of(harness, task)).wait is None


async def test_the_queue_shows_the_same_places_as_the_tasks(harness):
    await learn(harness, 50.0)
    await builders.put_worker(harness.database, "w1")
    numbers = await put_tasks(harness, 5)
    await builders.claim(harness.database)
    await forecaster(harness).round()
    for row in (await queries(harness).queue()).rows:
        place = await place_of(harness, row.queued.job.number)
        assert replace(row.place, wait=None, rest=None) == replace(place, wait=None, rest=None)
    assert len(numbers) == 5


def queries(harness: ServiceHarness) -> Queries:
    return Queries(harness.database, builders.always(harness.settings), ArtifactFiles(Path()))
