"""The shim schedules as Ollama does, and is a program that others start."""

from __future__ import annotations

import asyncio
import contextlib
import sys

import httpx
import ollama
import pytest

from tests.shims.ollama import GpuShim, Hardware, ShimModel

pytestmark = pytest.mark.queue
GIB = 1024**3
HELLO = [{"role": "user", "content": "hello"}]


def shim(memory_gib: int = 16, **hardware) -> GpuShim:
    models = {
        "a": ShimModel(5 * GIB, load_s=1.0, wake_s=0.2),
        "b": ShimModel(5 * GIB, load_s=1.0, wake_s=0.2),
        "c": ShimModel(14 * GIB, load_s=1.0, wake_s=0.2),
    }
    return GpuShim(models, Hardware(memory_bytes=memory_gib * GIB, **hardware), speed=10.0)


async def chat(server: GpuShim, name: str, **options) -> None:
    await ollama.AsyncClient(server.url).chat(name, HELLO, **options)


async def test_a_loaded_model_bypasses_the_queue_whose_head_blocks_the_rest():
    async with shim() as server:
        await chat(server, "a", keep_alive=-1)
        loading = asyncio.create_task(chat(server, "c"))
        await server.until(lambda: server.scheduler.waiting or server.scheduler.loading)
        behind = asyncio.create_task(chat(server, "b"))
        await asyncio.gather(loading, behind)
    order = [entry["model"] for entry in server.scheduler.tally.log]
    assert order == ["a:latest", "c:latest", "b:latest"], "b would have fitted beside a, and waits for c"


async def test_the_victim_is_the_first_idle_one_by_keep_alive_and_name_not_the_oldest():
    async with shim() as server:
        await chat(server, "a", keep_alive="10m")
        await chat(server, "b", keep_alive="5m")
        await chat(server, "b", keep_alive="5m")
        server.scheduler.models["d:latest"] = ShimModel(5 * GIB, load_s=0.0)
        server.store.models["d:latest"] = server.store.models["a:latest"]
        await chat(server, "d", keep_alive="10m")
        assert server.resident == {"a:latest", "d:latest"}, "a was used longest ago"


async def test_another_context_loads_the_same_weights_again():
    async with shim() as server:
        for context in (4096, 8192, 4096):
            await chat(server, "a", options={"num_ctx": context})
        assert (server.scheduler.tally.loads, server.scheduler.tally.wakes) == (1, 2)
        assert server.scheduler.tally.evictions == 2


async def test_what_runs_is_never_cut_off_by_an_eviction():
    async with shim() as server:
        await asyncio.gather(*(chat(server, name) for name in "acabcacb"))
    assert len(server.scheduler.tally.log) == 8
    assert server.cut_off == 0
    assert server.scheduler.tally.evictions >= 3


async def test_foreign_memory_leaves_less_room_and_a_model_too_large_goes_partly_to_ram():
    async with shim() as server:
        server.hardware.foreign_bytes = 10 * GIB
        await chat(server, "c")
        (row,) = (await ollama.AsyncClient(server.url).ps()).models
    assert row.size_vram == 6 * GIB
    assert row.size == 14 * GIB + 4096 * 131_072


async def test_models_expire_after_their_keep_alive():
    async with shim() as server:
        await chat(server, "a", keep_alive=1)
        await server.until(lambda: not server.resident)
        assert server.scheduler.tally.expiries == 1


async def test_a_full_queue_is_503_and_a_failing_load_500():
    async with shim(max_queue=0) as server:
        with pytest.raises(ollama.ResponseError, match="server busy") as caught:
            await chat(server, "a")
        assert caught.value.status_code == 503
    async with shim() as server:
        server.switch("out-of-memory")
        with pytest.raises(ollama.ResponseError, match="out of memory"):
            await chat(server, "a")
        server.switch("normal")
        await chat(server, "a")


async def test_a_slow_load_is_ten_times_slower():
    async with shim() as server:
        server.switch("slow-load")
        await chat(server, "a")
        assert server.scheduler.tally.loading_s == pytest.approx(10.0)


async def test_a_client_that_goes_away_is_not_loaded_for_in_vain():
    async with shim() as server:
        server.switch("slow-load")
        blocking = asyncio.create_task(chat(server, "c"))
        await server.until(lambda: server.scheduler.loading)
        leaving = asyncio.create_task(chat(server, "b"))
        await server.until(lambda: server.scheduler.waiting)
        leaving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await leaving
        await blocking
        await asyncio.sleep(0.3)
        assert server.resident == {"c:latest"}


async def test_it_is_a_program_with_a_switch():
    words = ["--memory", "8GiB", "--model", "tiny=1GiB,load=0.1", "--tokens-s", "1000", "--answer-tokens", "3"]
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.shims.ollama", *words, stdout=asyncio.subprocess.PIPE
    )
    assert program.stdout is not None
    url = (await asyncio.wait_for(program.stdout.readline(), 60)).decode().strip()
    answer = await ollama.AsyncClient(url).chat("tiny", HELLO)
    assert answer.message.content == "ok ok ok"
    async with httpx.AsyncClient() as client:
        report = (await client.post(f"{url}/_shim", json={"mode": "lie"})).json()
        assert (report["mode"], report["loads"], report["answered"]) == ("lie", 1, 1)
    with pytest.raises(ollama.ResponseError, match="llama runner process has terminated"):
        await ollama.AsyncClient(url).generate("tiny", "x")
    program.terminate()
    rest = await asyncio.wait_for(program.stdout.read(), 60)
    assert (await program.wait(), rest.decode().strip()) == (0, "no violations")
