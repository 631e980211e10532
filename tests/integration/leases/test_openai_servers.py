"""Leases of servers other than Ollama: a llama.cpp router, a vLLM that sleeps, and one that only lists its models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import update
from sqlmodel import col

from core.model.errors import TransientError
from core.model.model_lease import LeaseState, ModelWork
from core.store import model_leases
from core.store.database import Database
from core.store.lease_table import ModelLeaseRow
from core.store.unit_of_work import Tx
from lanes.models.endpoint import Endpoint
from tests import builders, campaign
from tests.integration.leases.leased_models import LeasedModels, leased_endpoints
from tests.shims.openai_servers import Json, LlamaRouter, OpenAiServer, SimulatedBackend, Vllm
from tests.worker_harness import eventually

pytestmark = [pytest.mark.queue, campaign.EITHER]


def endpoint(server: OpenAiServer, parallel: int | None = None) -> Endpoint:
    return Endpoint("gpu", "openai", server.url, context_tokens=4096, parallel=parallel)


async def in_turn(leased: LeasedModels, names: list[str]) -> list[str]:
    asks = [leased.workers[0].ask(name, job=f"job_{n}", is_chat=False) for n, name in enumerate(names)]
    return list(await asyncio.gather(*asks))


async def was_asked(server: OpenAiServer) -> bool:
    return bool(server.asked)


async def test_a_router_swaps_two_models_a_few_times_and_never_by_its_own_rule(database):
    backends = {"a": SimulatedBackend(), "b": SimulatedBackend()}
    names = ["gpu/a", "gpu/b"] * 6
    async with (
        LlamaRouter(backends, most=1) as router,
        leased_endpoints(database, ["w1"], {"gpu": endpoint(router)}) as leased,
    ):
        assert await in_turn(leased, names) == names
        assert router.loads <= len(names) / 2
        assert router.evictions == 0


async def test_a_model_that_a_router_cannot_start_is_told_to_those_who_wait(database):
    backends = {"a": SimulatedBackend(fails=True), "b": SimulatedBackend()}
    async with (
        LlamaRouter(backends, most=1) as router,
        leased_endpoints(database, ["w1"], {"gpu": endpoint(router)}) as leased,
    ):
        with pytest.raises(TransientError, match=r"gpu/a could not be loaded: .*did not start"):
            await leased.workers[0].ask("gpu/a")
        assert await leased.workers[0].ask("gpu/b") == "gpu/b"


async def test_a_vllm_that_sleeps_is_woken_before_it_is_asked(database):
    async with (
        Vllm({"a": SimulatedBackend()}, is_sleeping=True) as server,
        leased_endpoints(database, ["w1"], {"gpu": endpoint(server)}) as leased,
    ):
        assert await in_turn(leased, ["gpu/a"] * 3) == ["gpu/a"] * 3
        assert server.wakes == 1


@pytest.mark.parametrize(("parallel", "most"), [(None, 1), (2, 2)])
async def test_a_server_of_which_nothing_is_known_gets_as_much_at_once_as_is_configured(database, parallel, most):
    async with (
        OpenAiServer({"a": SimulatedBackend(answer_s=0.3)}) as server,
        leased_endpoints(database, ["w1"], {"gpu": endpoint(server, parallel)}) as leased,
    ):
        await in_turn(leased, ["gpu/a"] * 4)
        assert server.most_at_once == most


class FirstWaits(SimulatedBackend):
    """Its first answer comes when the test says so; the others come at once."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self._is_first = asyncio.Event(), True

    async def answer(self, body: Json) -> AsyncIterator[bytes]:
        is_first, self._is_first = self._is_first, False
        if is_first:
            await self.gate.wait()
        async for event in super().answer(body):
            yield event


async def learned(database: Database, seconds: dict[str, float]) -> None:
    """Let work of each lane have taken this long until now."""

    async def work(tx: Tx) -> None:
        for lane, took_s in seconds.items():
            for _ in range(40):
                ended = await model_leases.add(
                    tx, "gpu/a", ModelWork(), key="ana", kind=(lane, "gpu/a"), until_ms=tx.now_ms
                )
                times = {"state": LeaseState.ENDED.value, "ended_ms": tx.now_ms}
                granted_ms = tx.now_ms - round(took_s * 1000)
                of_it = update(ModelLeaseRow).where(col(ModelLeaseRow.id) == ended)
                await tx.session.execute(of_it.values(granted_ms=granted_ms, **times))

    await database.write(work)


async def test_a_short_chat_is_answered_beside_bulk_work_that_has_the_only_slot(database):
    await learned(database, {"": 1.0, "code": 60.0})
    number = await builders.put_task(database)
    jobs = [await builders.put_job(database, number, lane="code") for _ in range(3)]
    backend = FirstWaits()
    async with (
        OpenAiServer({"a": backend}) as server,
        leased_endpoints(database, ["w1"], {"gpu": endpoint(server)}) as leased,
    ):
        worker = leased.workers[0]
        bulk = [asyncio.create_task(worker.ask("gpu/a", job=job, is_chat=False)) for job in jobs]
        await eventually(lambda: was_asked(server))
        assert await worker.ask("gpu/a") == "gpu/a"
        assert server.asked == ["a", "a"], "other bulk work waits for the slot"
        backend.gate.set()
        assert await asyncio.gather(*bulk) == ["gpu/a"] * 3
