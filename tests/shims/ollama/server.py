"""The HTTP side of the shim: Ollama's API, held to the `ollama` client's types, and faults that can be switched on.

``GET /_shim`` gives what happened, ``POST /_shim {"mode": "wedge"}`` switches. Modes: ``normal``; ``vanish`` resets
every connection; ``wedge`` answers questions, and no model answers; ``lie`` lists models as loaded whose runner is
dead; ``garbage`` answers what is not JSON; ``out-of-memory`` fails every load; ``slow-load`` loads ten times slower;
``stuck-load`` begins loads that never end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from aiohttp import web

from tests.fakes.ollama.model_store import StoredModel, digest_of, duration, full_name
from tests.fakes.ollama.script import Calls, Json, Request, Say
from tests.fakes.ollama.server import OllamaShim
from tests.fakes.ollama.speaking import Line, speak
from tests.shims.ollama.scheduler import Hardware, LoadFailedError, OllamaScheduler, QueueFullError, Runner, ShimModel

DEFAULT_CONTEXT = 4096
_CONTROL = "/_shim"
_LAYERS, _KV_HEADS = 32, 8
_OUT_OF_MEMORY = "llama runner process has terminated: cudaMalloc failed: out of memory"
_DEAD_RUNNER = "llama runner process has terminated: exit status 2"


class Mode(StrEnum):
    """How the shim fails."""

    NORMAL = "normal"
    VANISH = "vanish"
    WEDGE = "wedge"
    LIE = "lie"
    GARBAGE = "garbage"
    OUT_OF_MEMORY = "out-of-memory"
    SLOW_LOAD = "slow-load"
    STUCK_LOAD = "stuck-load"


_LOAD_FACTORS = {Mode.SLOW_LOAD: 10.0, Mode.STUCK_LOAD: 1_000_000.0}
"""How many times longer a load takes than the model says."""


Reply = Callable[[Request], Say | Calls]
"""What a model says to a request."""


def words(count: int = 64) -> Reply:
    """A reply of so many words, whatever is asked."""
    return lambda _request: Say(" ".join(["ok"] * count))


class GpuShim(OllamaShim):
    """An Ollama with GPU memory, load times and token rates; `async with` starts and stops it.

    `tokens_s` is how fast one request is answered, `prompt_tokens_s` how fast it is read. `speed` divides every time.
    """

    def __init__(
        self,
        models: dict[str, ShimModel],
        hardware: Hardware | None = None,
        *,
        reply: Reply | None = None,
        tokens_s: float = 50.0,
        prompt_tokens_s: float = 2000.0,
        speed: float = 1.0,
        port: int = 0,
    ) -> None:
        named = {full_name(name): model for name, model in models.items()}
        stocked = {name: StoredModel(size=model.weights_bytes) for name, model in named.items()}
        super().__init__(models=stocked, port=port)
        self.hardware = hardware or Hardware()
        self.scheduler = OllamaScheduler(named, self.hardware, speed=speed)
        self.reply, self.speed = reply or words(), speed
        self.tokens_s, self.prompt_tokens_s = tokens_s, prompt_tokens_s
        self.mode = Mode.NORMAL
        self.cut_off = 0
        self._answers: dict[str, set[asyncio.Task[Any]]] = {}
        """The answers under way of each model."""
        self.scheduler.load_fault = lambda _name: _OUT_OF_MEMORY if self.mode is Mode.OUT_OF_MEMORY else None

    async def start(self) -> None:
        """Listen, and serve the queue."""
        self.scheduler.start()
        await super().start()

    async def stop(self) -> None:
        """Listen no more."""
        self.mode = Mode.NORMAL
        await super().stop()
        await self.scheduler.stop()

    @property
    def resident(self) -> set[str]:
        """The models loaded now."""
        return set(self.scheduler.loaded)

    def switch(self, mode: str) -> None:
        """Fail in another way from now on."""
        self.mode = Mode(mode)
        self.scheduler.load_factor = _LOAD_FACTORS.get(self.mode, 1.0)

    def kill(self, name: str) -> None:
        """End a model's process with whatever it is answering: the connections break."""
        for answer in self._answers.pop(full_name(name), set()):
            answer.cancel()
        self.scheduler.unload(full_name(name))

    async def _route(self, request: web.Request, path: str) -> web.StreamResponse:
        if path == _CONTROL:
            return await self._control(request)
        if self.mode is Mode.VANISH:
            return Line(self, path, request).reset()
        if self.mode is Mode.GARBAGE:
            return web.Response(text="<html>It works!</html>", content_type="text/html")
        return await super()._route(request, path)

    async def _control(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            body = await request.json()
            if "mode" in body:
                self.switch(body["mode"])
            if "foreign_bytes" in body:
                self.hardware.foreign_bytes = int(body["foreign_bytes"])
        return web.json_response(self.report())

    def report(self) -> Json:
        """What happened so far."""
        return {
            "mode": self.mode.value,
            "resident": sorted(self.resident),
            "loading": self.scheduler.loading,
            "waiting": self.scheduler.waiting,
            "free_bytes": self.scheduler.free_bytes,
            "answered": len(self.scheduler.tally.log),
            "cut_off": self.cut_off,
            "violations": self.violations,
            **asdict(self.scheduler.tally),
        }

    def _told(self, request: web.Request, path: str) -> web.Response:
        if path == "/api/ps":
            return Line(self, path, request).whole({"models": self._listed()})
        return super()._told(request, path)

    def _known(self, request: web.Request, path: str, body: Json) -> web.Response:
        """A model's shape is such that its KV cache has the size that the shim counts with."""
        name = full_name(body["model"])
        if path != "/api/show" or name not in self.scheduler.models:
            return super()._known(request, path, body)
        shown = self.store.shown(name)
        length = self.scheduler.models[name].kv_bytes_per_token // (_LAYERS * _KV_HEADS * 2 * 2)
        prefix = self.store.models[name].family
        shown["model_info"] |= {
            f"{prefix}.block_count": _LAYERS,
            f"{prefix}.attention.head_count": 4 * _KV_HEADS,
            f"{prefix}.attention.head_count_kv": _KV_HEADS,
            f"{prefix}.attention.key_length": length,
            f"{prefix}.attention.value_length": length,
            f"{prefix}.embedding_length": 4 * _KV_HEADS * length,
        }
        return Line(self, path, request).whole(shown)

    def _listed(self) -> list[Json]:
        """What ``/api/ps`` lists; a liar lists every model that it has."""
        loaded = self.scheduler.loaded
        if self.mode is Mode.LIE:
            dead = {name: self._dead(name) for name in self.scheduler.models if name not in loaded}
            loaded = {**loaded, **dead}
        return [self._row(runner) for _, runner in sorted(loaded.items())]

    def _dead(self, name: str) -> Runner:
        need = self.scheduler.models[name].needs(DEFAULT_CONTEXT, 1)
        return Runner(name, DEFAULT_CONTEXT, timedelta(minutes=5), need, 0, asyncio.Semaphore(1))

    def _row(self, runner: Runner) -> Json:
        is_idle = not runner.users and runner.expires_at is not None
        expires_at = runner.expires_at if is_idle else datetime.now(UTC) + runner.keep_alive
        return {
            "name": runner.name,
            "model": runner.name,
            "size": runner.vram_bytes + runner.ram_bytes,
            "digest": digest_of(runner.name),
            "details": self.store.models[runner.name].details(),
            "expires_at": expires_at.isoformat() if expires_at else "",
            "size_vram": runner.vram_bytes,
            "context_length": runner.context,
        }

    async def _load(self, request: web.Request, path: str, body: Json) -> web.StreamResponse:
        """A request without words loads the model, or unloads it."""
        name, keep_alive = full_name(body["model"]), duration(body.get("keep_alive"))
        said: Json = {"message": {"role": "assistant", "content": ""}} if path == "/api/chat" else {"response": ""}
        line = Line(self, path, request)
        if keep_alive == timedelta():
            self.scheduler.unload(name)
            return line.whole({**line.opening(body["model"]), **said, "done": True, "done_reason": "unload"})
        try:
            async with self.scheduler.runner(name, _context(body), keep_alive):
                return line.whole({**line.opening(body["model"]), **said, "done": True, "done_reason": "load"})
        except LoadFailedError as error:
            return web.json_response({"error": str(error)}, status=500)

    async def _ask(self, request: web.Request, path: str, body: Json) -> web.StreamResponse:
        name = full_name(body["model"])
        if self.store.find(name) is None:
            return web.json_response({"error": f"model '{body['model']}' not found"}, status=404)
        if not (body.get("messages") if path == "/api/chat" else body.get("prompt")):
            return await self._load(request, path, body)
        if self.mode is Mode.WEDGE:
            await asyncio.sleep(3600)
        if self.mode is Mode.LIE:
            return web.json_response({"error": _DEAD_RUNNER}, status=500)
        asked = Request(path, body, dict(request.headers))
        self.requests.append(asked)
        entry = {"model": name, "arrived_s": time.monotonic()}
        try:
            async with self.scheduler.runner(name, _context(body), duration(body.get("keep_alive"))) as runner:
                return await self._speak(request, asked, runner, entry)
        except QueueFullError:
            busy = {"error": "server busy, please try again.  maximum pending requests exceeded"}
            return web.json_response(busy, status=503)
        except LoadFailedError as error:
            return web.json_response({"error": str(error)}, status=500)

    async def _answer_canary(self, request: web.Request, path: str, body: Json) -> web.StreamResponse:
        """Work on a test request as on any other: that is what it tests."""
        self.canaries.append(body)
        return await self._ask(request, path, body)

    async def _speak(
        self, request: web.Request, asked: Request, runner: Runner, entry: dict[str, Any]
    ) -> web.StreamResponse:
        """Read the prompt and answer, at the shim's rates."""
        answers, answer_task = self._answers.setdefault(runner.name, set()), asyncio.current_task()
        assert answer_task is not None
        answers.add(answer_task)
        answer_task.add_done_callback(answers.discard)
        entry["started_s"] = time.monotonic()
        load_s = (entry["started_s"] - entry["arrived_s"]) * self.speed
        await asyncio.sleep(asked.prompt_tokens / self.prompt_tokens_s / self.speed)
        answer = self.reply(asked)
        pause_s = 1 / self.tokens_s / self.speed
        timed = replace(answer, per_token_s=pause_s)
        if isinstance(timed, Say):
            timed = replace(timed, load_s=load_s)
        try:
            response = await speak(Line(self, asked.path, request), asked, timed)
        except asyncio.CancelledError:
            self.cut_off += 1
            raise
        self.scheduler.tally.log.append(
            {**entry, "finished_s": time.monotonic(), "context": runner.context, "asked": asked.text}
        )
        return response


def _context(body: Json) -> int:
    return int((body.get("options") or {}).get("num_ctx", DEFAULT_CONTEXT))
