"""Snapshots of servers that vanish, hang, lie, answer garbage or run out of memory, on a shim with GPU memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import ollama
import pytest

from core.model.endpoint_snapshot import EndpointSnapshot
from core.model.inventory import Gpu, HostHardware, Ram, Residency, ServerState
from lanes.inventory.canary_watch import CanaryPace
from lanes.inventory.snapshots import SnapshotTaker
from lanes.models.endpoint import Endpoint
from tests.integration.inventory import answers
from tests.shims.ollama import GpuShim, Hardware, ShimModel
from tests.shims.recorded import RecordedServer

pytestmark = pytest.mark.queue
GIB = 1024**3
MODELS = {"small": ShimModel(4 * GIB, load_s=0.0), "large": ShimModel(40 * GIB, load_s=0.0)}
PACE = CanaryPace(every_s=0.2, limit_s=1.5)
HELLO = [{"role": "user", "content": "hello"}]


@asynccontextmanager
async def shim() -> AsyncIterator[GpuShim]:
    hardware = Hardware(memory_bytes=24 * GIB)
    async with GpuShim(MODELS, hardware, tokens_s=10_000.0, prompt_tokens_s=100_000.0) as running:
        yield running


class Looker:
    """Looks at one endpoint again and again, as the refresher does."""

    def __init__(self, endpoint: Endpoint, hardware: Mapping[str, HostHardware] | None = None) -> None:
        self.taker = SnapshotTaker(lambda: {endpoint.name: endpoint}, "here", limit_s=2.0, pace=PACE)
        self.hardware = hardware or {}
        self.known: dict[str, EndpointSnapshot] = {}

    async def look(self, *in_use: str) -> EndpointSnapshot:
        now = datetime.now(UTC)
        (snapshot,) = await self.taker.look(self.known, self.hardware, frozenset(in_use), now)
        self.known = {snapshot.name: snapshot}
        return snapshot

    async def until(self, state: ServerState, *in_use: str, within_s: float = 20.0) -> EndpointSnapshot:
        async with asyncio.timeout(within_s):
            while (snapshot := await self.look(*in_use)).state is not state:  # noqa: ASYNC110 - it looks, too
                await asyncio.sleep(0.05)
        return snapshot


def configured(server: GpuShim, **settings) -> Endpoint:
    endpoint = Endpoint("local", "ollama", server.url, context_tokens=4096, first_token_s=0.5)
    return replace(endpoint, **{"gpu_memory_mib": (24 * 1024,), **settings})


async def test_what_is_loaded_is_seen_with_its_memory_and_its_estimate_fits():
    async with shim() as server:
        looker = Looker(configured(server))
        assert (await looker.look()).residency_of("small:latest") is Residency.COLD
        await ollama.AsyncClient(server.url).chat("small", HELLO, options={"num_ctx": 4096})
        snapshot = await looker.look()
    (resident,) = snapshot.residents
    model = next(model for model in snapshot.models if model.name == "small:latest")
    assert snapshot.state is ServerState.UP
    assert resident.family == model.family
    assert resident.vram_bytes == 4 * GIB + 4096 * 131_072
    assert model.estimate_bytes == pytest.approx(resident.vram_bytes, rel=0.15)
    assert snapshot.gpus[0].free_bytes == 24 * GIB - resident.vram_bytes
    assert snapshot.gpus[0].reserve_bytes == 512 * 1024**2


async def test_a_server_that_vanishes_is_down_and_keeps_what_is_known_of_it():
    async with shim() as server:
        looker = Looker(configured(server))
        seen = await looker.look()
        server.switch("vanish")
        down = await looker.look()
        assert (down.state, down.residents) == (ServerState.DOWN, ())
        assert "local" in down.problem
        assert (down.seen_at, down.server, down.models) == (seen.seen_at, seen.server, seen.models)
        server.switch("normal")
        assert (await looker.look()).state is ServerState.UP


async def test_garbage_is_down_with_a_sentence():
    async with shim() as server:
        server.switch("garbage")
        down = await Looker(configured(server)).look()
    assert down.state is ServerState.DOWN
    assert down.problem == ("the endpoint local sent an invalid answer: the server sent something that is not JSON")


async def test_a_wedged_runner_is_found_by_the_canary_and_not_by_the_list():
    async with shim() as server:
        looker = Looker(configured(server))
        await ollama.AsyncClient(server.url).chat("small", HELLO)
        assert (await looker.look()).state is ServerState.UP
        server.switch("wedge")
        listed = (await ollama.AsyncClient(server.url).ps()).models
        assert [model.model for model in listed] == ["small:latest"], "its health is green"
        wedged = await looker.until(ServerState.WEDGED)
        assert "small:latest is listed as loaded and did not answer" in wedged.problem
        server.switch("normal")
        assert (await looker.until(ServerState.UP)).problem == ""
        looker.taker.close()


async def test_a_dead_runner_that_is_listed_is_found():
    async with shim() as server:
        looker = Looker(configured(server))
        server.switch("lie")
        lying = await looker.until(ServerState.WEDGED)
        assert "is listed as loaded and failed a test request" in lying.problem
        looker.taker.close()


async def test_a_wedge_is_remembered_by_the_next_process_until_a_canary_passes():
    async with shim() as server:
        looker = Looker(configured(server))
        await ollama.AsyncClient(server.url).chat("small", HELLO)
        await looker.look()
        server.switch("wedge")
        await looker.until(ServerState.WEDGED)
        looker.taker.close()
        successor = Looker(configured(server))
        successor.known = looker.known
        assert (await successor.look()).state is ServerState.WEDGED
        server.switch("normal")
        await successor.until(ServerState.UP)
        successor.taker.close()


async def test_canaries_wait_longer_after_each_failure():
    async with shim() as server:
        looker = Looker(configured(server))
        server.switch("lie")
        await looker.until(ServerState.WEDGED)
        before = len(server.canaries)
        loop = asyncio.get_running_loop()
        end = loop.time() + 1.5
        while loop.time() < end:
            await looker.look()
            await asyncio.sleep(0.05)
        rounds = (len(server.canaries) - before) / 2
        looker.taker.close()
    assert rounds <= 3, "0.2, 0.4 and 0.8 s"


async def test_a_canary_neither_loads_nor_keeps_a_model_nor_changes_its_context():
    async with shim() as server:
        looker = Looker(configured(server))
        await ollama.AsyncClient(server.url).chat("small", HELLO, keep_alive=60, options={"num_ctx": 8192})
        expires_at = (await looker.look()).residents[0].expires_at
        async with asyncio.timeout(20):
            while not server.canaries:
                await looker.look()
                await asyncio.sleep(0.05)
        after = await looker.look()
        looker.taker.close()
    assert expires_at is not None
    assert after.residents[0].expires_at is not None
    assert (after.residents[0].expires_at - expires_at).total_seconds() < 3
    assert after.residents[0].family.options.context_tokens == 8192
    assert server.scheduler.tally.loads == 1


async def test_no_canary_is_sent_to_an_endpoint_in_use_or_without_a_model_in_memory():
    async with shim() as server:
        looker = Looker(configured(server))
        for _ in range(8):
            await looker.look()
            await asyncio.sleep(0.05)
        await ollama.AsyncClient(server.url).chat("small", HELLO)
        for _ in range(8):
            await looker.look("local")
            await asyncio.sleep(0.05)
        assert server.canaries == []
        looker.taker.close()


async def test_a_full_queue_and_a_model_that_was_deleted_are_no_verdict():
    busy = (503, {"error": "server busy, please try again.  maximum pending requests exceeded"})
    for answer in (busy, (404, {"error": "model 'small:latest' not found"})):
        async with RecordedServer({"/api/generate": answer, **LISTED}) as server:
            looker = Looker(Endpoint("local", "ollama", server.url))
            for _ in range(12):
                assert (await looker.look()).state is ServerState.UP
                await asyncio.sleep(0.05)
            assert server.bodies, "it was asked"
            looker.taker.close()


LISTED = {
    "/api/version": {"version": "0.12.6"},
    "/api/tags": {"models": []},
    "/api/ps": {"models": [{"name": "small:latest", "digest": "ab", "size": 1, "size_vram": 1}]},
}


async def test_the_gpus_of_an_endpoint_are_those_of_its_node_with_foreign_memory_and_a_reserve():
    gpus = tuple(Gpu(f"GPU-{n}", "RTX", 24 * GIB, free * GIB) for n, free in enumerate((20, 10)))
    hardware = {"here": HostHardware(gpus, Ram(64 * GIB, 32 * GIB)), "far": HostHardware(gpus[:1])}
    async with shim() as server:
        endpoint = configured(server, gpu_memory_mib=(), reserve_mib=1024)
        ours = await Looker(endpoint, hardware).look()
        second = await Looker(replace(endpoint, gpus=(1, 7)), hardware).look()
        far = await Looker(replace(endpoint, node="far"), hardware).look()
        nowhere = await Looker(replace(endpoint, node="gone"), hardware).look()
    assert [gpu.usable_bytes for gpu in ours.gpus] == [19 * GIB, 9 * GIB]
    assert (ours.foreign_bytes, ours.ram) == (18 * GIB, Ram(64 * GIB, 32 * GIB))
    assert [gpu.id for gpu in second.gpus] == ["GPU-1"], "one that is not there is left out"
    assert [gpu.id for gpu in far.gpus] == ["GPU-0"]
    assert (nowhere.gpus, nowhere.ram) == ((), None)


async def test_a_cpu_only_server_is_an_endpoint_with_ram():
    async with shim() as server:
        server.hardware.memory_bytes = 0
        await ollama.AsyncClient(server.url).chat("small", HELLO)
        snapshot = await Looker(configured(server, gpu_memory_mib=(), node="cpu", ram_mib=65_536)).look()
    assert snapshot.gpus == ()
    assert snapshot.ram is not None
    assert snapshot.ram.free_bytes == 64 * GIB - (4 * GIB + 4096 * 131_072)
    assert snapshot.capacity_bytes == 64 * GIB


async def test_a_changed_configuration_is_looked_at_anew_and_agents_endpoints_are_left_alone():
    async with shim() as one, shim() as other:
        endpoints = {"local": configured(one), "hub": Endpoint("hub", "anthropic", "https://api.example.com")}
        taker = SnapshotTaker(lambda: endpoints, "here", limit_s=2.0)
        look = taker.look({}, {}, frozenset(), datetime.now(UTC))
        assert [(s.name, s.state) for s in await look] == [("local", ServerState.UP), ("hub", ServerState.UNKNOWN)]
        endpoints = {"local": configured(other)}
        await taker.look({}, {}, frozenset(), datetime.now(UTC))
        assert "/api/tags" in other.paths
        taker.close()


async def until_state(looker: Looker, state: ServerState) -> EndpointSnapshot:
    snapshot = await looker.until(state)
    looker.taker.close()
    return snapshot


async def test_vllm_and_llama_cpp_get_their_canary_as_a_chat_of_one_token():
    dead = (500, {"error": {"message": "EngineCore encountered an issue", "code": 500}})
    for recorded, model in ((answers.VLLM, "Qwen/Qwen3-8B"), (answers.OLD_LLAMA_SERVER, "qwen3")):
        idle = {**recorded, "/metrics": "", "/slots": [], "/v1/chat/completions": dead}
        async with RecordedServer(idle) as server:
            looker = Looker(Endpoint("gpu", "openai", f"{server.url}/v1", first_token_s=1.0))
            wedged = await until_state(looker, ServerState.WEDGED)
            assert f"{model} is listed as loaded and failed a test request" in wedged.problem
            assert {body["max_tokens"] for body in server.bodies} == {1}
            assert model in {body["model"] for body in server.bodies}


async def test_a_model_that_sleeps_is_not_woken_by_a_canary():
    recorded = {**answers.VLLM, "/is_sleeping": {"is_sleeping": True}}
    async with RecordedServer(recorded) as server:
        looker = Looker(Endpoint("gpu", "openai", f"{server.url}/v1"))
        for _ in range(10):
            assert (await looker.look()).state is ServerState.UP
            await asyncio.sleep(0.05)
        looker.taker.close()
    assert server.bodies == []


async def test_a_server_that_may_charge_gets_no_canary():
    async with RecordedServer(answers.OPAQUE) as server:
        looker = Looker(Endpoint("cloud", "openai", f"{server.url}/v1"))
        for _ in range(10):
            assert (await looker.look()).state is ServerState.UP
            await asyncio.sleep(0.05)
        looker.taker.close()
    assert server.bodies == []
