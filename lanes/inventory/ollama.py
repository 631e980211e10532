"""The inventory of an Ollama server, from ``/api/version``, ``/api/tags``, ``/api/show`` and ``/api/ps``.

The answers are described in https://github.com/ollama/ollama/blob/main/docs/api.md. ``/api/ps`` lists what is loaded
with its whole size and the part of it on GPUs; it does not say whether a model is busy, nor which GPUs there are.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from core.model.endpoint_snapshot import KnownModel, ResidentModel
from core.model.errors import PermanentError
from core.model.inventory import LoadOptions, ModelFamily, Residency
from lanes.inventory.memory import ModelShape, estimate_memory, weights_bytes
from lanes.inventory.reading import EndpointReading
from lanes.inventory.session import ProbeSession, ServerAnswer
from lanes.models.endpoint import Endpoint

_LIST_EVERY_S: Final = 60.0
"""How long the version and the list of installed models are kept."""
_MAX_SHOWN: Final = 20
"""How many models are asked for their shape in one look; the others follow in the next ones."""


@dataclass(slots=True)
class OllamaProbe:
    """Reads one Ollama; what seldom changes is kept between two looks: its version, its models and their shapes."""

    endpoint: Endpoint
    clock: Callable[[], float] = time.monotonic
    _server: str = ""
    _models: tuple[KnownModel, ...] = ()
    _listed_s: float | None = None
    _shapes: dict[str, ModelShape] = field(default_factory=dict)

    async def read(self, limit_s: float) -> EndpointReading:
        """What the server says now; raises `TransientError` or `PermanentError`."""
        session = ProbeSession(self.endpoint, limit_s)
        loaded = (await session.ask("/api/ps")).required_items("models")
        now_s = self.clock()
        if self._listed_s is None or now_s - self._listed_s >= _LIST_EVERY_S:
            version = (await session.ask("/api/version")).required_text("version")
            self._server = f"Ollama {version[:40]}"
            self._models = await self._known_models(session)
            self._listed_s = now_s
        residents = tuple(sorted((self._resident(model) for model in loaded), key=lambda one: one.name))
        if not {one.name for one in residents} <= {model.name for model in self._models}:
            self._listed_s = None  # one was pulled since: the next look lists them again
        return EndpointReading(self._server, residents, self._models, slots=self.endpoint.requests_at_once)

    async def _known_models(self, session: ProbeSession) -> tuple[KnownModel, ...]:
        listed = (await session.ask("/api/tags")).required_items("models")
        installed = {model.required_text("digest"): model for model in listed}
        self._shapes = {digest: shape for digest, shape in self._shapes.items() if digest in installed}
        for digest in [digest for digest in installed if digest not in self._shapes][:_MAX_SHOWN]:
            self._shapes[digest] = await _shape(session, installed[digest])
        return tuple(sorted((self._known(model) for model in listed), key=lambda model: model.name))

    def _known(self, model: ServerAnswer) -> KnownModel:
        details, digest = model.part("details"), model.required_text("digest")
        options = LoadOptions(self.endpoint.context_tokens, self.endpoint.requests_at_once)
        shape = self._shapes.get(digest)
        return KnownModel(
            name=_name(model),
            family=ModelFamily(_weights(digest), options),
            size_bytes=model.count("size"),
            parameters=details.text("parameter_size"),
            quantization=details.text("quantization_level"),
            context_tokens=self.endpoint.context_tokens,
            estimate_bytes=estimate_memory(shape, options).total_bytes if shape and shape.weights_bytes else None,
        )

    def _resident(self, model: ServerAnswer) -> ResidentModel:
        size, vram = model.count("size"), model.count("size_vram")
        options = LoadOptions(model.count("context_length"), self.endpoint.requests_at_once)
        return ResidentModel(
            name=_name(model),
            family=ModelFamily(_weights(model.required_text("digest")), options),
            level=Residency.AWAKE,
            vram_bytes=vram,
            ram_bytes=max(0, size - (vram or 0)) if size is not None else None,
            expires_at=model.time("expires_at"),
        )


def _name(model: ServerAnswer) -> str:
    return model.text("model") or model.required_text("name")


def _weights(digest: str) -> str:
    return digest if digest.startswith("sha256:") else f"sha256:{digest}"


async def _shape(session: ProbeSession, model: ServerAnswer) -> ModelShape:
    """The shape of an installed model; without one where the server knows nothing of it."""
    details = model.part("details")
    size = weights_bytes(model.count("size"), details.text("parameter_size"), details.text("quantization_level"))
    try:
        shown = await session.ask("/api/show", {"model": _name(model)})
    except PermanentError:  # deleted since it was listed, or of a format that it cannot show
        return ModelShape(size)
    return shape_of(shown.part("model_info"), size)


def shape_of(metadata: ServerAnswer, size: int) -> ModelShape:
    """The shape in the metadata of a GGUF file whose weights have `size` bytes."""
    prefix = metadata.text("general.architecture")
    layers = metadata.count(f"{prefix}.block_count") or 0
    heads = _in_all_layers(metadata.counts(f"{prefix}.attention.head_count"), layers)
    kv_heads = _in_all_layers(metadata.counts(f"{prefix}.attention.head_count_kv"), layers) or heads
    width = metadata.count(f"{prefix}.embedding_length") or 0
    head_length = width * layers // heads if heads else 0
    key_length = metadata.count(f"{prefix}.attention.key_length") or head_length
    value_length = metadata.count(f"{prefix}.attention.value_length") or key_length
    return ModelShape(size, layers, kv_heads, key_length, value_length)


def _in_all_layers(heads: int | tuple[int, ...] | None, layers: int) -> int:
    """The number of heads in all layers; hybrid models list it for each layer."""
    return sum(heads) if isinstance(heads, tuple) else (heads or 0) * layers
