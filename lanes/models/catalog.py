"""The models that an endpoint has: lists them, and on Ollama pulls, loads and unloads them."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, cast

from ollama import AsyncClient, ProgressResponse

from core.model.errors import TransientError, UsageError
from lanes.models.answer_stream import with_deadlines
from lanes.models.endpoint import CHAT_KINDS, Endpoint
from lanes.models.endpoint_session import QUICK_REQUEST_S, get_json, time_limit
from lanes.models.faults import FaultOrigin, invalid_answer_error
from lanes.models.model_details import InstalledModel, LoadedModel, ModelDetails, PullProgress, PullStep
from lanes.models.ollama import keep_alive, ollama_client

PULL_IDLE_S: Final = 120.0
"""How long a pull may make no progress, in seconds."""


class ModelCatalog(Protocol):
    """The models of one endpoint.

    Every method raises `TransientError` when the endpoint does not answer, and `PermanentError` when it refuses.
    """

    async def version(self) -> str:
        """The server program and its version, as far as the endpoint reports them."""

    async def installed_models(self) -> tuple[InstalledModel, ...]:
        """The installed models, sorted by name."""


def is_chat_endpoint(endpoint: Endpoint) -> bool:
    """True if Countersign itself sends requests to the endpoint; the other kinds serve agents only."""
    return endpoint.kind in CHAT_KINDS


def open_catalog(endpoint: Endpoint) -> ModelCatalog:
    """The catalog of a chat endpoint; raises `UsageError` for an endpoint that serves agents only."""
    if endpoint.kind == "ollama":
        return OllamaCatalog(endpoint)
    if endpoint.kind == "openai":
        from lanes.models.openai import OpenAiCatalog  # noqa: PLC0415 - imported only where it is used

        return OpenAiCatalog(endpoint)
    raise UsageError("no_stock", f"The endpoint {endpoint.name} of kind {endpoint.kind} does not list its models", "")


def open_ollama_catalog(endpoint: Endpoint) -> OllamaCatalog:
    """The catalog of an Ollama endpoint, which can pull and load models; raises `UsageError` for other kinds."""
    if endpoint.kind != "ollama":
        mend = "Use the tools of its own server; Countersign manages models on Ollama only."
        raise UsageError("no_stock", f"The endpoint {endpoint.name} is of kind {endpoint.kind}, not ollama", mend)
    return OllamaCatalog(endpoint)


@dataclass(frozen=True, slots=True)
class OllamaCatalog:
    """The models of an Ollama server; see https://github.com/ollama/ollama/blob/main/docs/api.md."""

    endpoint: Endpoint

    async def version(self) -> str:
        """The server's version."""
        origin = FaultOrigin(self.endpoint)
        answer = await get_json(origin, "/api/version")
        if not isinstance(answer, dict) or not isinstance(answer.get("version"), str):
            raise invalid_answer_error(origin, "the server sent no version")
        return f"Ollama {answer['version'][:40]}"

    async def installed_models(self) -> tuple[InstalledModel, ...]:
        """The models on its disk, sorted by name."""
        async with self._quick_client() as client:
            listed = (await client.list()).models
        models = []
        for model in listed:
            details = model.details
            models.append(
                InstalledModel(
                    model.model or "",
                    int(model.size) if model.size is not None else None,
                    (details.parameter_size or "") if details else "",
                    (details.quantization_level or "") if details else "",
                    model.modified_at,
                    model.digest or "",
                )
            )
        return tuple(sorted(models, key=lambda model: model.name))

    async def details(self, name: str) -> ModelDetails:
        """The details of one model; raises `PermanentError` ``model_missing``."""
        async with self._quick_client(name) as client:
            shown = await client.show(name)
        details, properties = shown.details, shown.modelinfo or {}
        sizes = [
            value for key, value in properties.items() if key.endswith(".context_length") and isinstance(value, int)
        ]
        return ModelDetails(
            name,
            tuple(shown.capabilities or ()),
            (details.family or "") if details else "",
            (details.parameter_size or "") if details else "",
            (details.quantization_level or "") if details else "",
            sizes[0] if sizes else None,
        )

    async def loaded_models(self) -> tuple[LoadedModel, ...]:
        """The models in memory, sorted by name."""
        async with self._quick_client() as client:
            running = (await client.ps()).models
        models = [
            LoadedModel(
                model.model or model.name or "",
                int(model.size) if model.size is not None else None,
                int(model.size_vram) if model.size_vram is not None else None,
                model.expires_at,
                model.context_length,
            )
            for model in running
        ]
        return tuple(sorted(models, key=lambda model: model.name))

    async def pull(self, name: str, progress: PullProgress) -> None:
        """Download a model from Ollama's registry; it may take hours, but at most `PULL_IDLE_S` without progress.

        Raises:
            PermanentError: ``model_missing``, the registry does not have the model.
            TransientError: The endpoint failed, or the download stopped.
        """
        endpoint = replace(self.endpoint, first_token_s=PULL_IDLE_S, between_tokens_s=PULL_IDLE_S, total_s=math.inf)
        status = ""
        async with aclosing(self._pull_steps(FaultOrigin(endpoint, name))) as steps:
            async for step in steps:
                status = step.status or ""
                await progress(PullStep(status, step.completed or 0, step.total or 0))
        if status != "success":
            raise TransientError(
                "model_down",
                f"{FaultOrigin(endpoint, name)}: the pull stopped before its end",
                "Pull it again; it continues where it stopped.",
            )

    async def load(self, name: str) -> None:
        """Load the model for the endpoint's `keep_alive`, with the context size that lanes request."""
        options = {"num_ctx": self.endpoint.context_tokens}
        async with self._client(FaultOrigin(self.endpoint, name), self.endpoint.first_token_s) as client:
            await client.generate(name, keep_alive=keep_alive(self.endpoint), options=options)

    async def unload(self, name: str) -> None:
        """Unload the model from memory."""
        async with self._quick_client(name) as client:
            await client.generate(name, keep_alive=0)

    async def _pull_steps(self, origin: FaultOrigin) -> AsyncGenerator[ProgressResponse, None]:
        async with ollama_client(origin) as client:
            steps = await client.pull(origin.name, stream=True)
            async for step in with_deadlines(origin, cast("AsyncGenerator[ProgressResponse, None]", steps)):
                yield step

    def _quick_client(self, name: str = "") -> Any:
        return self._client(FaultOrigin(self.endpoint, name), QUICK_REQUEST_S)

    @asynccontextmanager
    async def _client(self, origin: FaultOrigin, seconds: float) -> AsyncIterator[AsyncClient]:
        """A client whose work must finish within `seconds`."""
        async with time_limit(origin, seconds), ollama_client(origin) as client:
            yield client
