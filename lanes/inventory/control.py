"""Moves models into and out of the memory of endpoints: Ollama, llama.cpp's router, and vLLM that may sleep.

See ``POST /models/load`` and ``POST /models/unload`` in
https://github.com/ggml-org/llama.cpp/tree/master/tools/server and ``POST /sleep`` and ``POST /wake_up`` in
https://docs.vllm.ai/en/latest/features/sleep_mode/.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from core.model.errors import PermanentError, TransientError
from lanes.inventory import llama_cpp, vllm
from lanes.inventory.session import ProbeSession, ServerAnswer
from lanes.models.catalog import open_ollama_catalog
from lanes.models.endpoint import Endpoint
from lanes.models.endpoint_session import send_request, time_limit
from lanes.models.faults import FaultOrigin
from lanes.models.registry import find_endpoint

_LOOK_S: Final = 10.0
_LOOK_EVERY_S: Final = 0.2
_UNLOAD_S: Final = 60.0


class _Moves(Protocol):
    """Moves models of one server."""

    async def load(self, name: str) -> None: ...

    async def unload(self, name: str) -> None: ...


@dataclass(frozen=True, slots=True)
class ModelControl:
    """`core.ports.leases.EndpointControl` for the endpoints that `endpoints` gives at each move."""

    endpoints: Callable[[], Mapping[str, Endpoint]]

    async def load(self, endpoint: str, model: str) -> None:
        """Load the model with the endpoint's own options, so that all who ask for it share one load."""
        await (await self._moves(endpoint)).load(model)

    async def unload(self, endpoint: str, model: str) -> None:
        """Unload the model."""
        await (await self._moves(endpoint)).unload(model)

    async def _moves(self, name: str) -> _Moves:
        endpoint = find_endpoint(self.endpoints(), name)
        if endpoint.kind == "ollama":
            return open_ollama_catalog(endpoint)
        listed = (await ProbeSession(endpoint, _LOOK_S).ask("/models")).required_items("data")
        owners = {model.text("owned_by") for model in listed}
        own_routes = replace(endpoint, url=endpoint.url.removesuffix("/v1"))
        if llama_cpp.OWNER in owners:
            return _LlamaCppRouter(own_routes)
        if vllm.OWNER in owners:
            return _SleepingVllm(own_routes)
        raise PermanentError("not_moved", f"The endpoint {name} neither loads nor unloads models on request", "")


@dataclass(frozen=True, slots=True)
class _LlamaCppRouter:
    """Its moves begin with the answer; how far they are is in its list of models."""

    endpoint: Endpoint

    async def load(self, name: str) -> None:
        origin = FaultOrigin(self.endpoint, name)
        async with time_limit(origin, self.endpoint.first_token_s):
            if await self._is_unloaded(name):
                await _post(origin, "/models/load", {"model": name})
            await _until(self._is_loaded, name)

    async def unload(self, name: str) -> None:
        origin = FaultOrigin(self.endpoint, name)
        async with time_limit(origin, _UNLOAD_S):
            if not await self._is_unloaded(name):
                await _post(origin, "/models/unload", {"model": name})
            await _until(self._is_unloaded, name)

    async def _is_loaded(self, name: str) -> bool:
        status = await self._status(name)
        value = status.text("value")
        if value == "unloaded" and status.flag("failed"):
            message = f"{FaultOrigin(self.endpoint, name)} did not start, or its router stopped it"
            raise TransientError("model_down", message, "Look into the server's log.")
        return value in ("loaded", "sleeping")

    async def _is_unloaded(self, name: str) -> bool:
        return (await self._status(name)).text("value") in ("unloaded", "")

    async def _status(self, name: str) -> ServerAnswer:
        for model in (await ProbeSession(self.endpoint, _LOOK_S, name).ask("/models")).required_items("data"):
            if model.text("id") == name:
                return model.part("status")
        raise PermanentError("model_missing", f"The endpoint {self.endpoint.name} has no model {name}", "")


@dataclass(frozen=True, slots=True)
class _SleepingVllm:
    """It has one model, which sleeps in main memory or is awake; the routes are there in development mode."""

    endpoint: Endpoint

    async def load(self, name: str) -> None:
        await self._switch(name, "/wake_up", self.endpoint.first_token_s, is_sleeping=False)

    async def unload(self, name: str) -> None:
        await self._switch(name, "/sleep?level=1", _UNLOAD_S, is_sleeping=True)

    async def _switch(self, name: str, path: str, limit_s: float, *, is_sleeping: bool) -> None:
        origin = FaultOrigin(self.endpoint, name)
        session = ProbeSession(self.endpoint, _LOOK_S, name)

        async def is_done(_name: str) -> bool:
            return (await session.ask("/is_sleeping")).flag("is_sleeping") is is_sleeping

        async with time_limit(origin, limit_s):
            await _post(origin, path)
            await _until(is_done, name)


async def _until(is_done: Callable[[str], Awaitable[bool]], name: str) -> None:
    """Look at a model again and again; a server that never gets there meets the time limit of the move."""
    while True:
        if await is_done(name):
            return
        await asyncio.sleep(_LOOK_EVERY_S)


async def _post(origin: FaultOrigin, path: str, body: dict[str, Any] | None = None) -> None:
    """POST to a route whose answer says nothing more than its status."""
    async with send_request(origin, "POST", path, body) as response:
        await response.aread()
