"""What an endpoint tells of its models: those it has, one of them, those in memory, and how far a pull is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model that an endpoint has; sizes are in bytes, and what it does not say is empty."""

    name: str
    size_bytes: int | None = None
    parameters: str = ""
    quantization: str = ""
    changed: datetime | None = None
    digest: str = ""

    def to_json(self) -> dict[str, Any]:
        """The model as ``models list --json`` has it."""
        return {**asdict(self), "changed": self.changed.isoformat() if self.changed else None}


@dataclass(frozen=True, slots=True)
class ModelDetails:
    """What an endpoint tells of one model; `abilities` are completion, tools, vision, thinking and the like."""

    name: str
    abilities: tuple[str, ...] = ()
    family: str = ""
    parameters: str = ""
    quantization: str = ""
    context_tokens: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The model as ``models show --json`` has it."""
        return {**asdict(self), "abilities": list(self.abilities)}


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory: how much of it, how much of that on the GPU, and until when."""

    name: str
    size_bytes: int | None = None
    vram_bytes: int | None = None
    until: datetime | None = None
    context_tokens: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The model as ``models ps --json`` has it."""
        return {**asdict(self), "until": self.until.isoformat() if self.until else None}


@dataclass(frozen=True, slots=True)
class PullStep:
    """How far a pull is: what is done now, and bytes of the layer at hand, 0 of 0 where there is none."""

    words: str
    done_bytes: int = 0
    total_bytes: int = 0


Progress = Callable[[PullStep], Awaitable[None]]
