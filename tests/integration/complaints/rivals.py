"""The rules of rivals, each as small as its source allows, in front of the same shims as Countersign's queue.

Ollama's own rules are the shim's. The others stand before shims that could load anything at once: what is loaded,
evicted and killed is the rival's decision alone.
"""

from __future__ import annotations

import asyncio
import heapq
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Final

import aiohttp

from lanes.models.chat import ChatMessage, ChatRequest
from lanes.models.ollama import OllamaModel
from tests.integration.complaints.queues import Ask, endpoints_of
from tests.shims.ollama.server import GpuShim

_PATHS: Final = ("/api/ps", "/api/tags", "/api/version")
"""Every question about itself that Ollama answers (https://github.com/ollama/ollama/blob/main/docs/api.md)."""

_PRIORITY: Final = 128
"""LiteLLM's default; less is earlier."""


@dataclass
class OllamaRules:
    """Requests go to the server, which decides by its `server/sched.go`: see `tests.shims.ollama.scheduler`."""

    shims: Mapping[str, GpuShim]

    async def ask(self, ask: Ask) -> str:
        await self._send(ask)
        return ask.models[0]

    async def end_agent(self, agent: str) -> None:
        """Ollama does not know agents."""

    async def why(self, model: str) -> str:
        """What `/api/ps` and the other questions say of requests that wait for the model."""
        endpoint, _, name = model.partition("/")
        async with aiohttp.ClientSession(self.shims[endpoint].url) as client:
            answers = [await (await client.get(path)).json() for path in _PATHS]
        texts = [json.dumps({key: value for key, value in each.items() if key != "models"}) for each in answers]
        loaded = [json.dumps(each) for each in answers[0]["models"]]
        return " ".join(text for text in (*texts, *loaded) if name in text)

    async def _send(self, ask: Ask) -> None:
        endpoint, _, name = ask.models[0].partition("/")
        server = replace(endpoints_of(self.shims)[endpoint], context_tokens=ask.context)
        await OllamaModel(server, name).ask(ChatRequest((ChatMessage("user", "hello"),), max_tokens=ask.tokens))


@dataclass
class LlamaSwapRules(OllamaRules):
    """llama-swap: one model at a time. A request for it is served; another one swaps once what runs is over.

    What arrives meanwhile for the old model waits behind the swap. See `swapProcessGroup` and `ProxyRequest` in
    https://github.com/mostlygeek/llama-swap/blob/main/proxy/processgroup.go
    """

    _loaded: str = ""
    _running: int = 0
    _turns: asyncio.Lock = field(default_factory=asyncio.Lock)
    _idle: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def ask(self, ask: Ask) -> str:
        async with self._turns:
            if self._loaded != ask.models[0]:
                async with self._idle:
                    await self._idle.wait_for(lambda: not self._running)
                if self._loaded:
                    self._unload(self._loaded)
                self._loaded = ask.models[0]
            self._running += 1
        try:
            return await super().ask(ask)
        finally:
            self._running -= 1
            async with self._idle:
                self._idle.notify_all()

    def _unload(self, model: str) -> None:
        endpoint, _, name = model.partition("/")
        self.shims[endpoint].scheduler.unload(f"{name}:latest")


@dataclass
class LlamaCppRouterRules(OllamaRules):
    """llama.cpp's router: at most `models_max` models, by number. The least recently used one is stopped at once.

    Whether it answers a request is not looked at, nor how large it is. A request waits for the end of the model that it
    stopped; when another request took the room meanwhile, it goes on waiting for that. See `unload_lru` and `load` in
    https://github.com/ggml-org/llama.cpp/blob/master/tools/server/server-models.cpp and its issues 21678 and 28443.
    """

    models_max: int = 1
    _used: dict[str, None] = field(default_factory=dict)
    """The loaded models, the least recently used first."""

    async def ask(self, ask: Ask) -> str:
        model = ask.models[0]
        if model not in self._used and len(self._used) >= self.models_max:
            victim = next(iter(self._used))
            endpoint, _, name = victim.partition("/")
            self.shims[endpoint].kill(name)
            await asyncio.sleep(0)  # the process ends; what waits for that goes on
            self._used.pop(victim, None)
            if len(self._used) >= self.models_max:
                await asyncio.Event().wait()
        self._used.pop(model, None)
        self._used[model] = None
        return await super().ask(ask)


@dataclass
class LiteLlmRules(OllamaRules):
    """LiteLLM's scheduler: a heap of (priority, id) for each model; the head goes when the deployment is free.

    Neither the time that a request has waited nor who asks counts, and a chat has no other priority unless the caller
    sends one. See https://github.com/BerriAI/litellm/blob/main/litellm/scheduler.py
    """

    _heap: list[tuple[int, int]] = field(default_factory=list)
    _ids: count[int] = field(default_factory=count)
    _is_busy: bool = False
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def ask(self, ask: Ask) -> str:
        place = (_PRIORITY, next(self._ids))
        heapq.heappush(self._heap, place)
        async with self._changed:
            await self._changed.wait_for(lambda: not self._is_busy and self._heap[0] == place)
            heapq.heappop(self._heap)
            self._is_busy = True
        try:
            return await super().ask(ask)
        finally:
            async with self._changed:
                self._is_busy = False
                self._changed.notify_all()


@dataclass
class GpuStackRules(OllamaRules):
    """GPUStack: a model is placed where the total memory less that of its own models suffices.

    The memory that other programs use is not looked at: `allocatable = total - allocated - system_reserved`, see
    https://github.com/gpustack/gpustack/issues/6044
    """

    async def ask(self, ask: Ask) -> str:
        for model in ask.models:
            endpoint, _, name = model.partition("/")
            scheduler = self.shims[endpoint].scheduler
            need = scheduler.models[f"{name}:latest"].needs(ask.context, scheduler.hardware.parallel)
            allocated = sum(runner.vram_bytes for runner in scheduler.loaded.values())
            if scheduler.hardware.memory_bytes - allocated >= need:
                return await super().ask(replace(ask, models=(model,)))
        raise AssertionError("no GPU has room, by this rule")
