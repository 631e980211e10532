"""The inventory of vLLM, from ``/v1/models``, ``/version``, ``/metrics`` and ``/is_sleeping``.

See https://docs.vllm.ai/en/stable/serving/openai_compatible_server/ and, for the metrics,
https://docs.vllm.ai/en/stable/usage/metrics/. ``/is_sleeping`` is there in development mode with sleep mode enabled:
https://docs.vllm.ai/en/latest/features/sleep_mode/. A server has one model, and its adapters are listed as further ones
whose ``parent`` it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from core.model.endpoint_snapshot import KnownModel, ResidentModel
from core.model.errors import PermanentError
from core.model.inventory import LoadOptions, ModelFamily, Residency
from lanes.inventory.metrics_text import metric_total
from lanes.inventory.reading import EndpointReading
from lanes.inventory.session import ProbeSession, ServerAnswer

OWNER: Final = "vllm"
"""``owned_by`` of its models."""
_SLOTS: Final = 8
"""How many requests it is given at once unless `parallel` is configured: it works on many in one batch."""


async def read_vllm(session: ProbeSession, listed: Sequence[ServerAnswer]) -> EndpointReading:
    """The reading of a server that listed these models."""
    version = await _optional(session, "/version")
    sleeping = await _optional(session, "/is_sleeping")
    level = Residency.ASLEEP if sleeping is not None and sleeping.flag("is_sleeping") else Residency.AWAKE
    running, waiting = await _load_of(session)
    residents, models = [], []
    for model in listed:
        name, base = model.required_text("id"), model.text("parent")
        weights = base or model.text("root") or name
        options = LoadOptions(model.count("max_model_len"), adapters=(name,) if base else ())
        family = ModelFamily(f"name:{weights}", options)
        residents.append(ResidentModel(name, family, level, is_busy=None if running is None else running > 0))
        models.append(KnownModel(name, family, context_tokens=options.context_tokens))
    number = version.text("version")[:40] if version is not None else ""
    server = f"vLLM {number}" if number else "vLLM"
    return EndpointReading(
        server,
        tuple(residents),
        tuple(models),
        _SLOTS,
        running,
        waiting,
        max_resident=len(models) if sleeping is not None else None,
        wakes_models=False,
    )


async def _load_of(session: ProbeSession) -> tuple[int | None, int | None]:
    try:
        text = await session.ask_text("/metrics")
    except PermanentError:
        return None, None
    return metric_total(text, "vllm:num_requests_running"), metric_total(text, "vllm:num_requests_waiting")


async def _optional(session: ProbeSession, path: str) -> ServerAnswer | None:
    """The answer of a route that some servers lack."""
    try:
        return await session.ask(path)
    except PermanentError:
        return None
