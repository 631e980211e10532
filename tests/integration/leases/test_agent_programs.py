"""Agent programs behind the broker: each request waits for a lease, and the program's model stays between two."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from core.model.budget import Budget
from core.model.model_lease import LeaseState, ModelWork, working_for
from core.model.turn import Actor
from core.store import model_leases
from lanes.egress import EgressBroker, UsageAccount
from lanes.models.endpoint import ModelName
from tests import campaign
from tests.integration.leases.leased_models import LeasedModels, endpoint_of, leased_endpoints, leased_models
from tests.shims.ollama.scheduler import GIB, Hardware, ShimModel
from tests.shims.ollama.server import GpuShim, words
from tests.worker_harness import eventually

pytestmark = [pytest.mark.queue, campaign.EITHER]


def a_shim(*, speed: float = 20.0, answer: int = 8) -> GpuShim:
    """A GPU with room for one of two models."""
    models = {name: ShimModel(8 * GIB, 1024, load_s=4.0, wake_s=4.0) for name in ("alpha", "beta")}
    return GpuShim(models, Hardware(memory_bytes=12 * GIB), reply=words(answer), speed=speed)


class Program:
    """What runs in a sandbox: it asks the broker, over its socket."""

    def __init__(self, broker: EgressBroker, session: aiohttp.ClientSession) -> None:
        self.broker, self._session = broker, session

    async def ask(self, **body: Any) -> int:
        """One request; its status."""
        question = {"model": self.broker.models[0], "messages": [{"role": "user", "content": "hello"}], **body}
        async with self._session.post("http://inside/api/chat", json=question) as answer:
            await answer.read()
            return answer.status


@asynccontextmanager
async def program(leased: LeasedModels, model: str, job: str) -> AsyncIterator[Program]:
    """An agent program of a job, with the leases of the first worker."""
    name = ModelName.parse(model)
    work = ModelWork(job, is_chat=False, is_agent=True)
    with working_for(work):
        account = UsageAccount(model, Budget())
        leases = leased.workers[0].client
        broker = EgressBroker(leased.endpoints[name.endpoint], (name.name,), account, leases=leases)
    async with broker, aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(broker.socket))) as session:
        yield Program(broker, session)


async def states(leased: LeasedModels) -> list[tuple[str, LeaseState]]:
    return [(lease.model, lease.state) for lease in (await leased.book.alive()).leases]


async def has(leased: LeasedModels, model: str, state: LeaseState) -> bool:
    return (model, state) in await states(leased)


async def test_a_request_has_a_lease_while_it_is_answered_and_keeps_its_model_until_the_next(database):
    async with (
        a_shim(speed=1.0, answer=60) as shim,
        leased_endpoints(database, ["w1"], {"gpu": endpoint_of("gpu", shim)}, held_ms=60_000) as leased,
        program(leased, "gpu/alpha", "job_1") as agent,
    ):
        asking = asyncio.create_task(agent.ask())
        await eventually(lambda: has(leased, "gpu/alpha", LeaseState.GRANTED))
        assert await asking == 200
        await eventually(lambda: has(leased, "gpu/alpha", LeaseState.HELD))
        await leased.database.write(lambda tx: model_leases.end_held(tx, ["job_1"]))
        assert await states(leased) == []


async def test_two_programs_with_two_models_are_served_one_after_the_other_and_nothing_is_cut_off(database):
    async with (
        a_shim() as shim,
        leased_endpoints(database, ["w1"], {"gpu": endpoint_of("gpu", shim)}, held_ms=60_000) as leased,
        program(leased, "gpu/alpha", "job_1") as one,
        program(leased, "gpu/beta", "job_2") as other,
    ):

        async def turns(agent: Program, job: str) -> list[int]:
            statuses = [await agent.ask() for _ in range(4)]
            await leased.database.write(lambda tx: model_leases.end_held(tx, [job]))  # as the end of its job does
            return statuses

        assert list(await asyncio.gather(turns(one, "job_1"), turns(other, "job_2"))) == [[200] * 4, [200] * 4]
        assert shim.scheduler.tally.loads + shim.scheduler.tally.wakes == 2, "each keeps its model between its turns"
        assert shim.cut_off == 0


async def test_a_program_that_names_its_own_context_makes_the_server_load_nothing_again(database):
    async with (
        a_shim() as shim,
        leased_models(database, "w1", gpu=shim) as leased,
        program(leased, "gpu/alpha", "job_1") as agent,
    ):
        assert await leased.workers[0].ask("gpu/alpha") == "gpu/alpha"
        assert await agent.ask(options={"num_ctx": 2048, "temperature": 0}) == 200
        assert shim.requests[-1].body["options"] == {"num_ctx": 1024, "temperature": 0}
        assert shim.scheduler.tally.loads + shim.scheduler.tally.wakes == 1


async def test_a_program_that_closes_its_connection_while_it_waits_leaves_no_lease(database):
    async with (
        a_shim(speed=0.5) as shim,
        leased_models(database, "w1", gpu=shim) as leased,
        program(leased, "gpu/alpha", "job_1") as agent,
    ):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await agent.ask()

        async def is_over() -> bool:
            return await states(leased) == []

        await eventually(is_over)
        assert shim.requests == []


async def test_the_requests_of_a_program_are_refused_while_its_endpoint_drains(database):
    async with (
        a_shim() as shim,
        leased_models(database, "w1", gpu=shim) as leased,
        program(leased, "gpu/alpha", "job_1") as agent,
    ):
        await leased.inventory.drain(Actor("lee", "terminal"), "gpu", "new driver")
        await asyncio.sleep(0)

        async def is_refused() -> bool:
            return await agent.ask() == 503

        await eventually(is_refused)
        assert "The endpoint gpu gets no work now" in agent.broker.log.content().decode()


async def test_a_program_that_waits_keeps_its_slot_and_a_job_that_waits_before_it_starts_does_not(database):
    async with (
        a_shim(speed=1.0) as shim,
        leased_models(database, "w1", gpu=shim) as leased,
        program(leased, "gpu/alpha", "job_1") as agent,
    ):
        client = leased.workers[0].client

        async def reserve() -> None:
            with working_for(ModelWork("job_2", is_chat=False, is_agent=True)):
                await client.reserve("gpu/alpha")

        asking, reserving = asyncio.create_task(agent.ask()), asyncio.create_task(reserve())

        async def both_wait() -> bool:
            return len(await states(leased)) == 2

        await eventually(both_wait)
        assert list(client.waiting_jobs) == ["job_2"]
        await asyncio.gather(asking, reserving)
        assert list(client.waiting_jobs) == []
