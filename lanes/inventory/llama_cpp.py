"""The inventory of llama.cpp's server, with one model or as a router of several.

See https://github.com/ggml-org/llama.cpp/tree/master/tools/server (GET /models, /props, /slots and /metrics, and
"Using multiple models"). ``/slots`` counts as work: it wakes a sleeping model and keeps it from falling asleep. So it
is asked only of servers whose ``/props`` has no ``is_sleeping``, which cannot sleep. A router loads a model for a GET
about it, unless ``autoload=false`` says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final
from urllib.parse import quote

from core.model.endpoint_snapshot import KnownModel, ResidentModel
from core.model.errors import CountersignError, PermanentError
from core.model.inventory import LoadOptions, ModelFamily, Residency
from lanes.inventory.memory import ModelShape, estimate_memory
from lanes.inventory.metrics_text import metric_total
from lanes.inventory.reading import EndpointReading
from lanes.inventory.session import ProbeSession, ServerAnswer

OWNER: Final = "llamacpp"
"""``owned_by`` of its models."""
_LEVELS: Final[Mapping[str, Residency]] = {
    "loaded": Residency.AWAKE,
    "sleeping": Residency.ASLEEP,
    "loading": Residency.LOADING,
}
"""The router's ``status.value``; other values, such as unloaded and downloading, are models that are not in memory."""
_CONTEXT: Final = ("-c", "--ctx-size", "-ctx")
_PARALLEL: Final = ("-np", "--parallel")
_ADAPTERS: Final = ("--lora",)


async def read_llama_cpp(session: ProbeSession, listed: Sequence[ServerAnswer]) -> EndpointReading:
    """The reading of a server that listed these models."""
    if any(model.part("status").text("value") for model in listed):
        return await _read_router(session, listed)
    properties = await session.ask("/props")
    build = properties.text("build_info")[:40]
    server = f"llama.cpp {build}" if build else "llama.cpp"
    context = properties.part("default_generation_settings").count("n_ctx")
    slots, is_sleeping = properties.count("total_slots"), properties.flag("is_sleeping")
    running, waiting = await _load_of(session, can_sleep=is_sleeping is not None)
    options = LoadOptions(context, slots)
    residents, models = [], []
    for model in listed:
        name, size = model.required_text("id"), model.part("meta").count("size")
        family = ModelFamily(f"name:{name}", options)
        level = Residency.ASLEEP if is_sleeping else Residency.AWAKE
        residents.append(ResidentModel(name, family, level, is_busy=None if running is None else running > 0))
        estimate = estimate_memory(ModelShape(size), options).total_bytes if size else None
        models.append(KnownModel(name, family, size, context_tokens=context, estimate_bytes=estimate))
    return EndpointReading(server, tuple(residents), tuple(models), slots, running, waiting)


async def _read_router(session: ProbeSession, listed: Sequence[ServerAnswer]) -> EndpointReading:
    residents, models = [], []
    counts: list[tuple[int, int]] = []
    for model in listed:
        name, status = model.required_text("id"), model.part("status")
        arguments = status.texts("args")
        context, parallel = _number(arguments, _CONTEXT), _number(arguments, _PARALLEL)
        family = ModelFamily(f"name:{name}", LoadOptions(context, parallel, tuple(_values(arguments, _ADAPTERS))))
        models.append(KnownModel(name, family, model.part("meta").count("size"), context_tokens=context))
        level = _LEVELS.get(status.text("value"))
        if level is None:
            continue
        running, waiting = None, None
        if level is Residency.AWAKE:
            running, waiting = await _load_of(session, f"?model={quote(name, safe='')}&autoload=false", can_sleep=True)
        if running is not None:
            counts.append((running, waiting or 0))
        residents.append(ResidentModel(name, family, level, is_busy=None if running is None else running > 0))
    running, waiting = (sum(pair[0] for pair in counts), sum(pair[1] for pair in counts)) if counts else (None, None)
    return EndpointReading(
        "llama.cpp router",
        tuple(residents),
        tuple(models),
        None,
        running,
        waiting,
        max_resident=await _max_resident(session),
    )


async def _max_resident(session: ProbeSession) -> int | None:
    """How many models the router has loaded at most; None where it says nothing, or has no bound."""
    try:
        return (await session.ask("/props")).count("max_instances") or None
    except PermanentError:
        return None


async def _load_of(session: ProbeSession, query: str = "", *, can_sleep: bool) -> tuple[int | None, int | None]:
    """How many requests it works on and how many wait; None where it does not say (it needs ``--metrics``)."""
    try:
        text = await session.ask_text(f"/metrics{query}")
    except PermanentError:
        pass
    except CountersignError as error:
        if error.problem.code != "model_down":  # 501: the server was started without --metrics
            raise
    else:
        return metric_total(text, "llamacpp:requests_processing"), metric_total(text, "llamacpp:requests_deferred")
    if can_sleep:
        return None, None
    try:
        slots = await session.ask_list("/slots")
    except PermanentError:  # --no-slots
        return None, None
    return sum(1 for slot in slots if slot.flag("is_processing")), None


def _number(arguments: Sequence[str], names: Sequence[str]) -> int | None:
    """The number after one of these options; the last one counts, as for the server."""
    values = [value for value in _values(arguments, names) if value.isascii() and value.isdigit()]
    return int(values[-1][:9]) or None if values else None


def _values(arguments: Sequence[str], names: Sequence[str]) -> list[str]:
    return [value for name, value in pairwise(arguments) if name in names]
