"""An endpoint as it was seen last: its state, its memory, what it has loaded, and what it could load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from core.model.inventory import Gpu, ModelFamily, Ram, Residency, ServerState
from core.model.stored import StoredObject

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class ResidentModel:
    """A model that an endpoint has loaded, or is loading.

    `expires_at` is when the server unloads it by itself; None: never, or the server does not say. `is_busy` is None
    where the server does not say.
    """

    name: str
    family: ModelFamily
    level: Residency = Residency.AWAKE
    vram_bytes: int | None = None
    ram_bytes: int | None = None
    expires_at: datetime | None = None
    is_busy: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """The resident in its stored form."""
        return {
            "name": self.name,
            "family": self.family.to_json(),
            "level": self.level.value,
            "vram_bytes": self.vram_bytes,
            "ram_bytes": self.ram_bytes,
            "expires_at": self.expires_at.isoformat() if self.expires_at else None,
            "is_busy": self.is_busy,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ResidentModel:
        """The resident that `to_json` wrote."""
        stored = StoredObject(value, "a resident model", newest=_VERSION)
        return cls(
            name=stored["name"],
            family=ModelFamily.from_json(stored["family"]),
            level=Residency(stored["level"]),
            vram_bytes=stored["vram_bytes"],
            ram_bytes=stored["ram_bytes"],
            expires_at=_time(stored["expires_at"]),
            is_busy=stored["is_busy"],
        )


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model that an endpoint can serve, as the family that Countersign would load.

    `size_bytes` is the size of its file. `estimate_bytes` is the memory that it takes when loaded, before what was
    observed corrects it; None where the server says too little for an estimate.
    """

    name: str
    family: ModelFamily
    size_bytes: int | None = None
    parameters: str = ""
    quantization: str = ""
    context_tokens: int | None = None
    estimate_bytes: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The model in its stored form."""
        return {
            "name": self.name,
            "family": self.family.to_json(),
            "size_bytes": self.size_bytes,
            "parameters": self.parameters,
            "quantization": self.quantization,
            "context_tokens": self.context_tokens,
            "estimate_bytes": self.estimate_bytes,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> KnownModel:
        """The model that `to_json` wrote."""
        stored = StoredObject(value, "a known model", newest=_VERSION)
        return cls(
            name=stored["name"],
            family=ModelFamily.from_json(stored["family"]),
            size_bytes=stored["size_bytes"],
            parameters=stored["parameters"],
            quantization=stored["quantization"],
            context_tokens=stored["context_tokens"],
            estimate_bytes=stored["estimate_bytes"],
        )


@dataclass(frozen=True, slots=True)
class EndpointSnapshot:
    """One endpoint at one moment.

    `kind` is the configured protocol, `server` the program and version behind it. `problem` says in one sentence what
    is wrong; it is empty while nothing is. `slots` is how many requests it works on at once, `running` and `waiting`
    how many it has; None where it does not say. An endpoint without GPUs works on the CPU, in `ram`. `max_resident` is
    how many models a server has loaded at most that loads and unloads them on request and does not say what they take;
    None for others. With `wakes_models` a request wakes a model that sleeps. `seen_at` is when it answered last,
    `checked_at` when it was asked last.
    """

    name: str
    kind: str
    state: ServerState = ServerState.UNKNOWN
    problem: str = ""
    server: str = ""
    gpus: tuple[Gpu, ...] = ()
    ram: Ram | None = None
    residents: tuple[ResidentModel, ...] = ()
    models: tuple[KnownModel, ...] = ()
    slots: int | None = None
    running: int | None = None
    waiting: int | None = None
    max_resident: int | None = None
    wakes_models: bool = True
    seen_at: datetime | None = None
    checked_at: datetime | None = None

    @property
    def foreign_bytes(self) -> int:
        """GPU memory that is used by something else than this endpoint's models, as far as the driver tells."""
        used = sum(gpu.total_bytes - gpu.free_bytes for gpu in self.gpus if gpu.is_measured)
        return max(0, used - sum(resident.vram_bytes or 0 for resident in self.residents))

    @property
    def capacity_bytes(self) -> int | None:
        """The most that one model can take here: all GPUs, or the main memory of a host without; None if unknown."""
        if self.gpus:
            return sum(max(0, gpu.total_bytes - gpu.reserve_bytes) for gpu in self.gpus)
        return self.ram.total_bytes if self.ram else None

    @property
    def loads_models(self) -> bool:
        """Whether models are loaded and unloaded here by the scheduler.

        That is an Ollama whose memory is known, and a server that says how many models it has loaded at most.
        """
        return self.max_resident is not None or (self.kind == "ollama" and self.capacity_bytes is not None)

    @property
    def is_scheduled(self) -> bool:
        """Whether requests need a lease: where models are loaded and unloaded, and on any other server that is up."""
        return self.loads_models or self.state is ServerState.UP

    def is_ready(self, resident: ResidentModel) -> bool:
        """Whether a model that is loaded answers a request without being loaded first."""
        return resident.level is Residency.AWAKE or (resident.level is Residency.ASLEEP and self.wakes_models)

    def residency_of(self, model: str) -> Residency:
        """How ready the model of that name is."""
        levels = [resident.level for resident in self.residents if resident.name == model]
        return levels[0] if levels else Residency.COLD

    def to_json(self) -> dict[str, Any]:
        """The snapshot in its stored form."""
        return {
            "v": _VERSION,
            "name": self.name,
            "kind": self.kind,
            "state": self.state.value,
            "problem": self.problem,
            "server": self.server,
            "gpus": [gpu.to_json() for gpu in self.gpus],
            "ram": self.ram.to_json() if self.ram else None,
            "residents": [resident.to_json() for resident in self.residents],
            "models": [model.to_json() for model in self.models],
            "slots": self.slots,
            "running": self.running,
            "waiting": self.waiting,
            "max_resident": self.max_resident,
            "wakes_models": self.wakes_models,
            "seen_at": self.seen_at.isoformat() if self.seen_at else None,
            "checked_at": self.checked_at.isoformat() if self.checked_at else None,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> EndpointSnapshot:
        """The snapshot that `to_json` wrote."""
        stored = StoredObject(value, "an endpoint", newest=_VERSION)
        ram = stored["ram"]
        return cls(
            name=stored["name"],
            kind=stored["kind"],
            state=ServerState(stored["state"]),
            problem=stored["problem"],
            server=stored["server"],
            gpus=tuple(Gpu.from_json(gpu) for gpu in stored["gpus"]),
            ram=Ram.from_json(ram) if ram else None,
            residents=tuple(ResidentModel.from_json(resident) for resident in stored["residents"]),
            models=tuple(KnownModel.from_json(model) for model in stored["models"]),
            slots=stored["slots"],
            running=stored["running"],
            waiting=stored["waiting"],
            max_resident=stored.get("max_resident"),
            wakes_models=stored.get("wakes_models", True),
            seen_at=_time(stored["seen_at"]),
            checked_at=_time(stored["checked_at"]),
        )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
