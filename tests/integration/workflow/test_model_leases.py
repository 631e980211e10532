"""Steps side by side lease their models one by one: each for itself, and each keeps its own between two turns."""

from __future__ import annotations

import asyncio

import pytest

from core.model.model_lease import LeaseState, ModelWork, working_for
from tests import campaign
from tests.integration.leases.leased_models import endpoint_of, leased_endpoints
from tests.integration.workflow.conftest import lane_named
from tests.shims.ollama.scheduler import GIB, Hardware, ShimModel
from tests.shims.ollama.server import GpuShim, words
from tests.worker_harness import eventually

pytestmark = [pytest.mark.queue, campaign.EITHER]

LANE = "name: one, run: doing, do: a\nname: two, run: doing, do: b"


async def test_steps_side_by_side_lease_their_models_each_for_itself(database, runner, scripted):
    models = {"alpha": ShimModel(8 * GIB, 1024, load_s=1.0, wake_s=1.0)}
    shim = GpuShim(models, Hardware(memory_bytes=12 * GIB), reply=words(20), speed=4.0)
    async with shim, leased_endpoints(database, ["w1"], {"gpu": endpoint_of("gpu", shim)}, 60_000) as leased:
        model = leased.workers[0].models.model_for(["gpu/alpha"])
        both_done = asyncio.Barrier(2)

        async def ask(_order: object) -> None:
            async with asyncio.timeout(60):
                await model.ask(leased.workers[0].request())
                await model.ask(leased.workers[0].request())
                await both_done.wait()

        scripted.before = ask
        scripted.does = lambda order: {f"{order.intent.text}.txt": "x"}
        seen: set[tuple[str, LeaseState]] = set()

        async def both_are_seen() -> bool:
            alive = (await leased.book.alive()).leases
            seen.update((lease.work.part, lease.state) for lease in alive)
            return {part for part, _ in seen} == {"one", "two"}

        with working_for(ModelWork("job_1", is_chat=False, is_agent=True)):
            work = asyncio.create_task(runner.run(lane_named(LANE)))
        await eventually(both_are_seen)
        await work
        held = [(lease.work.part, lease.state) for lease in (await leased.book.alive()).leases]
        assert sorted(held) == [("one", LeaseState.HELD), ("two", LeaseState.HELD)]
        assert len(shim.scheduler.tally.log) == 4
        assert shim.scheduler.tally.loads + shim.scheduler.tally.wakes == 1
