"""One family on several endpoints: copies, pins, and clients with other options."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from lanes.models.chat import ChatMessage, ChatRequest
from lanes.models.endpoint import Endpoint
from lanes.models.registry import ModelRegistry
from tests import campaign
from tests.fakes.admission import MemoryAdmission
from tests.integration.leases.leased_models import endpoint_of, leased_models
from tests.shims.ollama.scheduler import GIB, Hardware, ShimModel
from tests.shims.ollama.server import GpuShim, Mode, words
from tests.worker_harness import eventually

pytestmark = [pytest.mark.queue, campaign.EITHER]


def a_shim(*names: str, speed: float = 20.0) -> GpuShim:
    """A GPU with room for one of these models."""
    models = {name: ShimModel(8 * GIB, 1024, load_s=4.0, wake_s=4.0) for name in names}
    return GpuShim(models, Hardware(memory_bytes=12 * GIB), reply=words(200), speed=speed)


async def test_a_model_that_many_wait_for_is_loaded_on_a_second_endpoint_too_and_both_answer(database):
    async with (
        a_shim("alpha") as one,
        a_shim("alpha") as two,
        leased_models(database, "w1", one=one, two=two) as leased,
    ):
        asks = [leased.workers[0].ask("alpha", job=f"job_{n}", is_chat=False) for n in range(8)]
        assert set(await asyncio.gather(*asks)) == {"one/alpha:latest", "two/alpha:latest"}
        assert [shim.scheduler.tally.loads + shim.scheduler.tally.wakes for shim in (one, two)] == [1, 1]
        assert one.cut_off == two.cut_off == 0


async def test_a_model_named_with_its_endpoint_is_asked_there_and_nowhere_else(database):
    async with (
        a_shim("alpha") as one,
        a_shim("alpha") as two,
        leased_models(database, "w1", one=one, two=two) as leased,
    ):
        assert await leased.workers[0].ask("*/alpha") in ("one/alpha:latest", "two/alpha:latest")
        asks = [leased.workers[0].ask("two/alpha", job=f"job_{n}", is_chat=False) for n in range(3)]
        assert set(await asyncio.gather(*asks)) == {"two/alpha"}


async def test_a_request_for_any_endpoint_goes_on_where_one_of_them_went_down(database):
    async with (
        a_shim("alpha") as one,
        a_shim("alpha") as two,
        leased_models(database, "w1", one=one, two=two) as leased,
    ):
        first = (await leased.workers[0].ask("alpha")).partition("/")[0]
        {"one": one, "two": two}[first].switch(Mode.VANISH)
        other = "two" if first == "one" else "one"
        assert (await leased.workers[0].ask("alpha")).partition("/")[0] == other


async def test_a_model_of_one_endpoint_only_is_found_by_its_name(database):
    async with a_shim("alpha") as one, a_shim("beta") as two, leased_models(database, "w1", one=one, two=two) as leased:
        assert await leased.workers[0].ask("beta") == "two/beta:latest"


async def test_a_model_that_none_has_says_which_endpoints_lack_it(database):
    async with a_shim("alpha") as one, leased_models(database, "w1", one=one) as leased:
        with pytest.raises(Exception, match="The endpoint one has no model gamma"):
            await leased.workers[0].ask("gamma")


async def test_clients_that_are_configured_with_other_contexts_do_not_make_the_server_load_again(database):
    async with a_shim("alpha") as shim, leased_models(database, "w1", "w2", gpu=shim) as leased:
        other = {"gpu": replace(leased.endpoints["gpu"], context_tokens=4096)}
        leased.workers[1].models = ModelRegistry(other, MemoryAdmission(), leased.workers[1].client)
        for index in range(6):
            assert await leased.workers[index % 2].ask("gpu/alpha") == "gpu/alpha"
        assert {entry["context"] for entry in shim.scheduler.tally.log} == {1024}
        assert shim.scheduler.tally.loads + shim.scheduler.tally.wakes == 1


async def test_a_model_that_another_program_loaded_with_its_own_context_is_loaded_once_for_us(database):
    async with a_shim("alpha") as shim:
        stranger = {"gpu": leased_endpoint(shim, 2048)}
        foreign = ModelRegistry(stranger, MemoryAdmission())
        async with leased_models(database, "w1", gpu=shim) as leased:
            await foreign.model_for(["gpu/alpha"]).ask(ChatRequest((ChatMessage("user", "hello"),), max_tokens=8))
            await leased.look()
            for _ in range(3):
                await leased.workers[0].ask("gpu/alpha")
            await eventually(lambda: is_loaded_with(shim, 1024))
            assert shim.scheduler.tally.loads + shim.scheduler.tally.wakes == 2


async def is_loaded_with(shim: GpuShim, context: int) -> bool:
    return [runner.context for runner in shim.scheduler.loaded.values()] == [context]


def leased_endpoint(shim: GpuShim, context: int) -> Endpoint:
    return replace(endpoint_of("gpu", shim), context_tokens=context)
