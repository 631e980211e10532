"""What is simulated: models with their speeds and sizes, and endpoints that hold them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from core.model.errors import UsageError
from core.scheduler.demand import EndpointSpec, Family
from core.simulator.trace import Request

_MOST_ENDPOINTS: Final = 10_000
_MOST_SLOTS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Model:
    """A simulated model. Speeds are in tokens per second of an endpoint that serves nothing else."""

    name: str
    size_mib: int
    prompt_rate: float
    output_rate: float
    load_s: float
    wake_s: float | None = None

    def __post_init__(self) -> None:
        if not (self.size_mib > 0 and self.prompt_rate > 0 and self.output_rate > 0 and self.load_s >= 0):
            raise UsageError(
                "bad_model", f"The model {self.name} needs a size and rates above 0", "Correct the model's figures."
            )

    @property
    def family(self) -> Family:
        """The model as the scheduler knows it."""
        return Family(self.name, self.size_mib, self.load_s, self.wake_s)

    def work_s(self, request: Request) -> float:
        """How long an endpoint works on such a request when it serves nothing else."""
        if request.work_s is not None:
            return request.work_s
        return request.prompt_tokens / self.prompt_rate + request.output_tokens / self.output_rate


@dataclass(frozen=True, slots=True)
class Cluster:
    """The models and endpoints of a simulation.

    `contention` is the share of its speed that each loses while an endpoint loads and serves at the same time, because
    both use the same disk and memory bus.
    """

    models: tuple[Model, ...]
    endpoints: tuple[EndpointSpec, ...]
    contention: float = 0.0
    by_name: dict[str, Model] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _unique("model", [each.name for each in self.models])
        _unique("endpoint", [each.name for each in self.endpoints])
        if not self.endpoints:
            raise UsageError("no_nodes", "A simulation needs at least one endpoint", "Name one, such as 2x48GB.")
        if not 0 <= self.contention < 1:
            raise UsageError(
                "bad_contention", f"The contention is {self.contention}", "Give a share from 0 to below 1."
            )
        largest = max(each.memory_mib for each in self.endpoints)
        for model in self.models:
            if model.size_mib > largest:
                raise UsageError(
                    "too_large",
                    f"The model {model.name} needs {model.size_mib} MiB, but the largest endpoint has {largest} MiB",
                    "Leave the model out, or simulate a larger endpoint.",
                )
        self.by_name.update({each.name: each for each in self.models})

    def work_s(self, request: Request) -> float:
        """How long an endpoint works on a request when it serves nothing else; raises `KeyError` for another model."""
        return self.by_name[request.model].work_s(request)


def parse_nodes(text: str) -> tuple[EndpointSpec, ...]:
    """Read endpoints written like ``2x48GB`` or ``a=24GB,b=80GB+ram64GB+slots4``; memory is in GB (2^30 bytes).

    `ram` is the main memory for families that sleep, `slots` how many requests run at the same time (1).

    Raises `UsageError` with the part that cannot be read.
    """
    specs: list[EndpointSpec] = []
    for part in text.split(","):
        name, equals, size = part.strip().rpartition("=")
        copies, times, size = size.rpartition("x")
        memory, *extras = size.split("+")
        try:
            number = int(copies) if times else 1
            extra = dict(_extra(each) for each in extras)
            memory_mib = _mib(memory)
        except ValueError:
            number, memory_mib, extra = 0, 0, {}
        if not 1 <= number <= _MOST_ENDPOINTS or (equals and (not name or times)):
            raise UsageError("bad_nodes", f"{part.strip()!r} is not an endpoint", "Write 2x48GB or a=24GB+ram64GB.")
        for _ in range(number):
            label = name or f"gpu{len(specs) + 1}"
            slots, ram_mib = extra.get("slots", 1), extra.get("ram", 0)
            specs.append(EndpointSpec(label, memory_mib, slots, chat_slots=1, ram_mib=ram_mib))
    _unique("endpoint", [each.name for each in specs])
    return tuple(specs)


def _extra(text: str) -> tuple[str, int]:
    """A part after a ``+``: its word with its value."""
    if text.startswith("ram"):
        return "ram", _mib(text.removeprefix("ram"))
    slots = int(text.removeprefix("slots")) if text.startswith("slots") else 0
    if not 1 <= slots <= _MOST_SLOTS:
        raise ValueError(text)
    return "slots", slots


def _mib(text: str) -> int:
    number = float(text.strip().lower().removesuffix("gb").removesuffix("g"))
    if not 0.001 <= number < 1e6:
        raise ValueError(text)
    return round(number * 1024)


def _unique(what: str, names: Sequence[str]) -> None:
    twice = sorted(name for name, number in Counter(names).items() if number > 1)
    if twice:
        raise UsageError("twice", f"The {what} {twice[0]} is named twice", "Give each its own name.")
