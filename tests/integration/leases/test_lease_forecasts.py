"""Forecasts of work that waits for models: made from the live scheduler by the worker that grants."""

from __future__ import annotations

import asyncio

import pytest

from core.queue.queue_forecaster import QueueForecaster
from core.services.queue_forecasts import QueueForecasts
from core.services.task_document import TaskDocuments
from core.store import model_loads
from tests import builders, campaign
from tests.integration.leases.leased_models import LeasedModels, leased_models
from tests.shims.ollama.scheduler import GIB, Hardware, ShimModel
from tests.shims.ollama.server import GpuShim, words
from tests.worker_harness import eventually

pytestmark = [pytest.mark.queue, campaign.EITHER]


def slow_shim() -> GpuShim:
    """A GPU with room for one of two models, which it loads for longer than any test takes."""
    models = {name: ShimModel(8 * GIB, 1024, load_s=600.0, wake_s=600.0) for name in ("alpha", "beta")}
    return GpuShim(models, Hardware(memory_bytes=12 * GIB), reply=words(400))


async def running_task(leased: LeasedModels) -> tuple[int, str]:
    """A task whose job a worker runs."""
    number = await builders.put_task(leased.database)
    await builders.put_job(leased.database, number)
    job = await builders.claim(leased.database)
    assert job is not None
    return number, job.id


async def test_work_that_waits_for_a_model_has_a_wait_a_promise_and_a_reason(database):
    async with slow_shim() as shim, leased_models(database, "w1", gpu=shim) as leased:
        await builders.put_worker(database, "w1")
        worker = leased.workers[0]

        async def leads() -> bool:
            return worker.granter.scheduling is not None

        forecaster = QueueForecaster(
            QueueForecasts(database, leased.settings), leased.settings, leads, lambda: worker.granter.scheduling
        )
        first, first_job = await running_task(leased)
        second, second_job = await running_task(leased)
        work = asyncio.create_task(worker.ask("gpu/alpha", job=first_job, is_chat=False, tokens=400))
        await eventually(lambda: _is_explained(leased, first_job))
        await forecaster.round()
        assert await database.read(model_loads.loading) == {"gpu": "gpu/alpha:latest"}
        other = asyncio.create_task(worker.ask("gpu/beta", job=second_job, is_chat=False, tokens=400))
        await eventually(lambda: _is_explained(leased, second_job))
        await forecaster.round()
        places = [await _place(leased, number) for number in (first, second)]
        assert [place.position for place in places] == [0, 0]
        assert places[0].wait.middle < places[1].wait.middle
        assert places[1].wait.middle > 4.0  # at least its own load
        assert places[1].before == 1
        assert places[1].why
        assert None not in [place.promised_at for place in places]
        for task in (work, other):
            task.cancel()
        await asyncio.gather(work, other, return_exceptions=True)


async def _place(leased: LeasedModels, number: int):
    place = (await TaskDocuments(leased.database, leased.settings).document(number)).queue
    assert place is not None
    return place


async def _is_explained(leased: LeasedModels, job: str) -> bool:
    """Whether the scheduler knows that a job waits, and said why."""
    return any(lease.reason for lease in (await leased.book.alive()).leases if lease.work.job == job)
