"""What an endpoint reports about its models: installed ones, details, loaded ones, and the progress of a pull."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """An installed model; sizes are in bytes, and what the endpoint does not report is empty or None."""

    name: str
    size_bytes: int | None = None
    parameters: str = ""
    quantization: str = ""
    changed: datetime | None = None
    digest: str = ""

    def to_json(self) -> dict[str, Any]:
        """The model as ``models list --json`` prints it."""
        return {**asdict(self), "changed": self.changed.isoformat() if self.changed else None}


@dataclass(frozen=True, slots=True)
class ModelDetails:
    """The details of one model; `abilities` are completion, tools, vision, thinking and the like."""

    name: str
    abilities: tuple[str, ...] = ()
    family: str = ""
    parameters: str = ""
    quantization: str = ""
    context_tokens: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The model as ``models show --json`` prints it."""
        return {**asdict(self), "abilities": list(self.abilities)}


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory: its size, how much of that is on the GPU, and when it will be unloaded."""

    name: str
    size_bytes: int | None = None
    vram_bytes: int | None = None
    until: datetime | None = None
    context_tokens: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The model as ``models ps --json`` prints it."""
        return {**asdict(self), "until": self.until.isoformat() if self.until else None}


@dataclass(frozen=True, slots=True)
class PullStep:
    """The progress of a pull: its current step, and the bytes of the current layer (0 of 0 without one)."""

    status: str
    done_bytes: int = 0
    total_bytes: int = 0


PullProgress = Callable[[PullStep], Awaitable[None]]
