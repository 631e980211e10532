"""Servers of OpenAI's protocol for tests: a router of llama.cpp, a vLLM that may sleep, and one that only lists models.

The routes are those of the documentation: "Using multiple models" in
https://github.com/ggml-org/llama.cpp/tree/master/tools/server, and
https://docs.vllm.ai/en/latest/features/sleep_mode/. What answers is a `Backend`, simulated or a real engine.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from aiohttp import web

Json = dict[str, Any]


class Backend(Protocol):
    """One model of a server."""

    async def start(self) -> None:
        """Load it."""

    async def stop(self) -> None:
        """Unload it."""

    def answer(self, body: Json) -> AsyncIterator[bytes]:
        """The events of a streamed answer."""


@dataclass
class SimulatedBackend:
    """Loads and answers in a given time; with `fails` it does not load."""

    load_s: float = 0.2
    answer_s: float = 0.05
    fails: bool = False

    async def start(self) -> None:
        await asyncio.sleep(self.load_s)
        if self.fails:
            raise RuntimeError("failed to load the model")

    async def stop(self) -> None:
        return

    async def answer(self, body: Json) -> AsyncIterator[bytes]:
        await asyncio.sleep(self.answer_s)
        delta = {"choices": [{"delta": {"content": "ok"}, "finish_reason": None}]}
        last = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
        usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}
        for event in (delta, last, usage):
            yield f"data: {json.dumps(event)}\n\n".encode()
        yield b"data: [DONE]\n\n"


class OpenAiServer:
    """A server with these models, of which all are loaded; `async with` starts and stops it.

    `most_at_once` is how many requests it worked on at the same time; `asked` are the models that it was asked for.
    """

    owner = "another"

    def __init__(self, models: Mapping[str, Backend]) -> None:
        self.models = dict(models)
        self.asked: list[str] = []
        self.most_at_once = 0
        self._at_once = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """What an endpoint's `url` is."""
        assert self._runner is not None
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/v1/models", self.list_models)
        app.router.add_post("/v1/chat/completions", self._chat)
        self.add_routes(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def add_routes(self, app: web.Application) -> None:
        """Add what this kind of server has beside."""

    def entry(self, name: str) -> Json:
        """A model in the list."""
        return {"id": name, "object": "model", "created": 1, "owned_by": self.owner}

    async def list_models(self, _request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [self.entry(name) for name in self.models]})

    async def ready(self, name: str) -> None:
        """Have a model ready for a request."""

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        name = body["model"]
        if name not in self.models:
            return web.json_response({"error": {"code": 404, "message": f"model {name} not found"}}, status=404)
        self.asked.append(name)
        await self.ready(name)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            out = web.StreamResponse(headers={"content-type": "text/event-stream"})
            await out.prepare(request)
            async for event in self.models[name].answer(body):
                await out.write(event)
            return out
        finally:
            self._at_once -= 1


@dataclass
class _Slot:
    value: str = "unloaded"
    failed: bool = False
    used_s: float = 0.0
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class LlamaRouter(OpenAiServer):
    """Loads a model for a request, unless it is loaded, and unloads the least recently used one beyond `most`.

    `loads` counts loads, and `evictions` those that the router decided by itself.
    """

    owner = "llamacpp"

    def __init__(self, models: Mapping[str, Backend], most: int) -> None:
        super().__init__(models)
        self.most, self.loads, self.evictions = most, 0, 0
        self._slots = {name: _Slot() for name in models}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def resident(self) -> set[str]:
        """The models that are loaded now."""
        return {name for name, slot in self._slots.items() if slot.value == "loaded"}

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/models", self.list_models)
        app.router.add_get("/props", self._props)
        app.router.add_post("/models/load", self._load)
        app.router.add_post("/models/unload", self._unload)

    def entry(self, name: str) -> Json:
        slot = self._slots[name]
        status: Json = {"value": slot.value, "args": ["llama-server", "-c", "4096"] if slot.value != "unloaded" else []}
        if slot.failed:
            status |= {"failed": True, "exit_code": 1}
        return {**super().entry(name), "status": status}

    async def ready(self, name: str) -> None:
        while (slot := self._slots[name]).value != "loaded":
            if slot.value == "unloaded":
                self._begin(name)
            await slot.changed.wait()
        slot.used_s = time.monotonic()

    async def _props(self, _request: web.Request) -> web.Response:
        return web.json_response({"role": "router", "max_instances": self.most, "models_autoload": True})

    async def _load(self, request: web.Request) -> web.Response:
        name = (await request.json())["model"]
        if name not in self.models:
            return web.json_response({"error": {"code": 404, "message": "model is not found"}}, status=404)
        if self._slots[name].value != "unloaded":
            return web.json_response({"error": {"code": 400, "message": "model is already running"}}, status=400)
        self._begin(name)
        return web.json_response({"success": True})

    async def _unload(self, request: web.Request) -> web.Response:
        await self._stop((await request.json())["model"])
        return web.json_response({"success": True})

    def _begin(self, name: str) -> None:
        slot = self._slots[name]
        slot.value, slot.failed = "loading", False
        self.loads += 1
        task = asyncio.create_task(self._start(name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start(self, name: str) -> None:
        slot = self._slots[name]
        while len(self.resident) >= self.most:
            self.evictions += 1
            await self._stop(min(self.resident, key=lambda each: self._slots[each].used_s))
        try:
            await self.models[name].start()
            slot.value, slot.used_s = "loaded", time.monotonic()
        except RuntimeError:
            slot.value, slot.failed = "unloaded", True
        self._change(slot)

    async def _stop(self, name: str) -> None:
        await self.models[name].stop()
        self._slots[name].value = "unloaded"
        self._change(self._slots[name])

    @staticmethod
    def _change(slot: _Slot) -> None:
        slot.changed.set()
        slot.changed = asyncio.Event()


class Vllm(OpenAiServer):
    """A vLLM in development mode; while it sleeps, requests fail."""

    owner = "vllm"

    def __init__(self, models: Mapping[str, Backend], *, is_sleeping: bool = False) -> None:
        super().__init__(models)
        self.is_sleeping, self.wakes = is_sleeping, 0

    def entry(self, name: str) -> Json:
        return {**super().entry(name), "root": name, "parent": None, "max_model_len": 4096}

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/is_sleeping", self._state)
        app.router.add_post("/wake_up", self._wake)

    async def ready(self, name: str) -> None:
        if self.is_sleeping:
            raise web.HTTPInternalServerError(text="the engine sleeps")

    async def _state(self, _request: web.Request) -> web.Response:
        return web.json_response({"is_sleeping": self.is_sleeping})

    async def _wake(self, _request: web.Request) -> web.Response:
        self.is_sleeping = False
        self.wakes += 1
        return web.Response()
