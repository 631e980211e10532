"""What is known of model servers and of the hosts around them: GPUs, resident models, and the families they belong to.

All values are plain and frozen, and their stored JSON carries a version. Memory is in bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from core.model.stored import StoredObject

_VERSION: Final = 1


class ServerState(StrEnum):
    """Whether a model server can be given work.

    `UNKNOWN` was never looked at. `DOWN` did not answer, or answered something else. `WEDGED` answers, but a model that
    it lists as loaded does not. `DRAINING` is up, and maintainers want it to get no new work.
    """

    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"
    WEDGED = "wedged"
    DRAINING = "draining"


class Residency(StrEnum):
    """How much has to happen before a model can answer: nothing, a wake from RAM, the end of a load, a whole load."""

    AWAKE = "awake"
    ASLEEP = "asleep"
    LOADING = "loading"
    COLD = "cold"


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """The options of a load that force a reload when they change; None is the server's own default."""

    context_tokens: int | None = None
    parallel: int | None = None
    adapters: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The options in their stored form."""
        return {
            "context_tokens": self.context_tokens,
            "parallel": self.parallel,
            "adapters": list(self.adapters),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> LoadOptions:
        """The options that `to_json` wrote."""
        stored = StoredObject(value, "load options", newest=_VERSION)
        return cls(stored["context_tokens"], stored["parallel"], tuple(stored["adapters"]))


@dataclass(frozen=True, slots=True)
class ModelFamily:
    """Weights together with the load options that force a reload: what is loaded, kept and evicted as one.

    `weights` is their digest (``sha256:…``), or ``name:…`` where the server reports none.
    """

    weights: str
    options: LoadOptions = LoadOptions()

    @property
    def key(self) -> str:
        """The family as text, the same for equal families, such as ``sha256:9f…;context=32768;parallel=1``."""
        options = self.options
        parts = [self.weights]
        if options.context_tokens is not None:
            parts.append(f"context={options.context_tokens}")
        if options.parallel is not None:
            parts.append(f"parallel={options.parallel}")
        parts += [f"adapter={adapter}" for adapter in sorted(options.adapters)]
        return ";".join(parts)

    def to_json(self) -> dict[str, Any]:
        """The family in its stored form; `key` is for those who read the JSON."""
        return {"weights": self.weights, "options": self.options.to_json(), "key": self.key}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ModelFamily:
        """The family that `to_json` wrote."""
        stored = StoredObject(value, "a model family", newest=_VERSION)
        return cls(stored["weights"], LoadOptions.from_json(stored["options"]))


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process that has memory of a GPU; `used_bytes` is None where the driver does not say."""

    pid: int
    name: str = ""
    used_bytes: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The process in its stored form."""
        return {"pid": self.pid, "name": self.name, "used_bytes": self.used_bytes}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> GpuProcess:
        """The process that `to_json` wrote."""
        stored = StoredObject(value, "a GPU process", newest=_VERSION)
        return cls(stored["pid"], stored["name"], stored["used_bytes"])


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU. `free_bytes` is what its driver calls free, so the memory of foreign processes is not part of it.

    `reserve_bytes` of the free memory are never given to a model. Without a driver to ask (`is_measured` is False) the
    total is configured, and what is free is what the endpoint's own models leave.
    """

    id: str
    name: str
    total_bytes: int
    free_bytes: int
    reserve_bytes: int = 0
    is_measured: bool = True
    processes: tuple[GpuProcess, ...] = ()

    @property
    def usable_bytes(self) -> int:
        """What a model may take: the free memory without the reserve."""
        return max(0, self.free_bytes - self.reserve_bytes)

    def to_json(self) -> dict[str, Any]:
        """The GPU in its stored form, and as the ``--json`` documents show it."""
        return {
            "id": self.id,
            "name": self.name,
            "total_bytes": self.total_bytes,
            "free_bytes": self.free_bytes,
            "reserve_bytes": self.reserve_bytes,
            "usable_bytes": self.usable_bytes,
            "is_measured": self.is_measured,
            "processes": [process.to_json() for process in self.processes],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Gpu:
        """The GPU that `to_json` wrote."""
        stored = StoredObject(value, "a GPU", newest=_VERSION)
        return cls(
            id=stored["id"],
            name=stored["name"],
            total_bytes=stored["total_bytes"],
            free_bytes=stored["free_bytes"],
            reserve_bytes=stored["reserve_bytes"],
            is_measured=stored["is_measured"],
            processes=tuple(GpuProcess.from_json(process) for process in stored["processes"]),
        )


@dataclass(frozen=True, slots=True)
class Ram:
    """The main memory of a host."""

    total_bytes: int
    free_bytes: int

    def to_json(self) -> dict[str, int]:
        """The memory in its stored form."""
        return {"total_bytes": self.total_bytes, "free_bytes": self.free_bytes}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Ram:
        """The memory that `to_json` wrote."""
        stored = StoredObject(value, "main memory", newest=_VERSION)
        return cls(stored["total_bytes"], stored["free_bytes"])


@dataclass(frozen=True, slots=True)
class HostHardware:
    """The GPUs and the main memory of a host; `problem` says in one sentence why GPUs could not be read."""

    gpus: tuple[Gpu, ...] = ()
    ram: Ram | None = None
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """The hardware in its stored form."""
        return {
            "v": _VERSION,
            "gpus": [gpu.to_json() for gpu in self.gpus],
            "ram": self.ram.to_json() if self.ram else None,
            "problem": self.problem,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> HostHardware:
        """The hardware that `to_json` wrote."""
        stored = StoredObject(value, "the hardware of a host", newest=_VERSION)
        ram = stored["ram"]
        gpus = tuple(Gpu.from_json(gpu) for gpu in stored["gpus"])
        return cls(gpus, Ram.from_json(ram) if ram else None, stored["problem"])
