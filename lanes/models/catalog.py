"""The models of an endpoint: which it has, which are loaded, and fetching, loading and unloading one."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, cast

from ollama import AsyncClient, ProgressResponse

from core.model.errors import TransientError, UsageError
from lanes.models.endpoint import ASKED, Endpoint
from lanes.models.endpoint_session import QUICK_S, got, in_seconds
from lanes.models.faults import FaultOrigin, babbled
from lanes.models.ollama import keep_alive, speaking
from lanes.models.reading import in_time
from lanes.models.recorded import InstalledModel, LoadedModel, ModelDetails, Progress, PullStep

STALLED_S: Final = 120.0
"""How long a pull may stand still."""


class ModelCatalog(Protocol):
    """The models of one endpoint. All raise `TransientError` when it does not answer, `PermanentError` otherwise."""

    async def version(self) -> str:
        """What program it is, as far as it says."""

    async def kept(self) -> tuple[InstalledModel, ...]:
        """The models that it has, by name."""


def asked_directly(endpoint: Endpoint) -> bool:
    """Whether the endpoint is asked by Countersign itself, rather than only by agents."""
    return endpoint.kind in ASKED


def catalog_of(endpoint: Endpoint) -> ModelCatalog:
    """The stock of any endpoint that is asked directly; raises `UsageError` for one that serves agents only."""
    if endpoint.kind == "ollama":
        return OllamaCatalog(endpoint)
    if endpoint.kind == "openai":
        from lanes.models.openai import OpenAiCatalog  # noqa: PLC0415 (what is not used is not imported)

        return OpenAiCatalog(endpoint)
    raise UsageError(
        "no_stock", f"the endpoint {endpoint.name} of kind {endpoint.kind} tells nothing of its models", ""
    )


def ollama_catalog(endpoint: Endpoint) -> OllamaCatalog:
    """The stock of an endpoint whose models can be fetched and loaded; raises `UsageError` for all but Ollama."""
    if endpoint.kind != "ollama":
        mend = "Do it where its models are kept; only an Ollama takes such orders."
        raise UsageError("no_stock", f"the endpoint {endpoint.name} is of kind {endpoint.kind}", mend)
    return OllamaCatalog(endpoint)


@dataclass(frozen=True, slots=True)
class OllamaCatalog:
    """The models of an Ollama."""

    endpoint: Endpoint

    async def version(self) -> str:
        """The server's version."""
        whose = FaultOrigin(self.endpoint)
        said = await got(whose, "/api/version")
        if not isinstance(said, dict) or not isinstance(said.get("version"), str):
            raise babbled(whose, "it tells no version")
        return f"Ollama {said['version'][:40]}"

    async def kept(self) -> tuple[InstalledModel, ...]:
        """The models on its disk, by name."""
        async with self._quickly() as client:
            found = (await client.list()).models
        models = []
        for model in found:
            make = model.details
            models.append(
                InstalledModel(
                    model.model or "",
                    int(model.size) if model.size is not None else None,
                    (make.parameter_size or "") if make else "",
                    (make.quantization_level or "") if make else "",
                    model.modified_at,
                    model.digest or "",
                )
            )
        return tuple(sorted(models, key=lambda model: model.name))

    async def shown(self, name: str) -> ModelDetails:
        """What it tells of one model; raises `PermanentError` ``model_missing``."""
        async with self._quickly(name) as client:
            found = await client.show(name)
        make, facts = found.details, found.modelinfo or {}
        sizes = [value for key, value in facts.items() if key.endswith(".context_length") and isinstance(value, int)]
        return ModelDetails(
            name,
            tuple(found.capabilities or ()),
            (make.family or "") if make else "",
            (make.parameter_size or "") if make else "",
            (make.quantization_level or "") if make else "",
            sizes[0] if sizes else None,
        )

    async def loaded(self) -> tuple[LoadedModel, ...]:
        """The models in memory, by name."""
        async with self._quickly() as client:
            found = (await client.ps()).models
        models = [
            LoadedModel(
                model.model or model.name or "",
                int(model.size) if model.size is not None else None,
                int(model.size_vram) if model.size_vram is not None else None,
                model.expires_at,
                model.context_length,
            )
            for model in found
        ]
        return tuple(sorted(models, key=lambda model: model.name))

    async def pull(self, name: str, progress: Progress) -> None:
        """Fetch a model from Ollama's registry; stands still for `STALLED_S` at most, and may take hours.

        Raises `PermanentError` ``model_missing`` when the registry has none of that name.
        """
        patient = replace(self.endpoint, first_token_s=STALLED_S, between_tokens_s=STALLED_S, total_s=math.inf)
        last = ""
        async with aclosing(self._steps(FaultOrigin(patient, name))) as steps:
            async for step in steps:
                last = step.status or ""
                await progress(PullStep(last, step.completed or 0, step.total or 0))
        if last != "success":
            raise TransientError(
                "model_down",
                f"{FaultOrigin(patient, name)}: the pull ended in the middle",
                "Pull it again; it goes on.",
            )

    async def load(self, name: str) -> None:
        """Have the model in memory for the endpoint's `keep_alive`, as large a context as lanes will ask for."""
        options = {"num_ctx": self.endpoint.context_tokens}
        async with self._within(FaultOrigin(self.endpoint, name), self.endpoint.first_token_s) as client:
            await client.generate(name, keep_alive=keep_alive(self.endpoint), options=options)

    async def unload(self, name: str) -> None:
        """Have the model's memory free."""
        async with self._quickly(name) as client:
            await client.generate(name, keep_alive=0)

    async def _steps(self, whose: FaultOrigin) -> AsyncGenerator[ProgressResponse, None]:
        async with speaking(whose) as client:
            steps = await client.pull(whose.name, stream=True)
            async for step in in_time(whose, cast("AsyncGenerator[ProgressResponse, None]", steps)):
                yield step

    def _quickly(self, name: str = "") -> Any:
        return self._within(FaultOrigin(self.endpoint, name), QUICK_S)

    @asynccontextmanager
    async def _within(self, whose: FaultOrigin, seconds: float) -> AsyncIterator[AsyncClient]:
        """A client that must be done in so many seconds."""
        async with in_seconds(whose, seconds), speaking(whose) as client:
            yield client
