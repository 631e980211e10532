"""The models that a fake Ollama has: what is on its disk, and what is loaded."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tests.fakes.ollama.script import Json, Script

MODEL: Final = "qwen3:8b"
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_FOR_EVER: Final = timedelta(days=365 * 100)


@dataclass(frozen=True, slots=True)
class StoredModel:
    """One model: whether it knows tools, its sizes in bytes, and its own script, if it has one."""

    tools: bool = True
    size: int = 5_225_388_164
    vram: int = 6_700_000_000
    family: str = "qwen3"
    parameters: str = "8.2B"
    script: Script | None = None

    def details(self) -> Json:
        """What Ollama tells of a model's make."""
        return {
            "parent_model": "",
            "format": "gguf",
            "family": self.family,
            "families": [self.family],
            "parameter_size": self.parameters,
            "quantization_level": "Q4_K_M",
        }


class ModelStore:
    """Models by full name; those loaded, with the time at which each goes."""

    def __init__(self, models: Mapping[str, StoredModel] | Iterable[str]) -> None:
        given = models if isinstance(models, Mapping) else {name: StoredModel() for name in models}
        self.models = {full_name(name): stocked for name, stocked in given.items()}
        self.loaded: dict[str, datetime] = {}

    def find(self, name: str) -> StoredModel | None:
        """The model of that name."""
        return self.models.get(full_name(name))

    def resident(self) -> set[str]:
        """The models loaded now."""
        now = datetime.now(UTC)
        self.loaded = {name: until for name, until in self.loaded.items() if until > now}
        return set(self.loaded)

    def keep(self, name: str, keep_alive: Any) -> bool:
        """Load a model for a while, or unload it for 0; whether it was not loaded before."""
        known = full_name(name)
        cold = known not in self.resident()
        span = duration(keep_alive)
        if span == timedelta():
            self.loaded.pop(known, None)
        else:
            self.loaded[known] = datetime.now(UTC) + span
        return cold

    def tags(self) -> Json:
        """GET /api/tags."""
        return {
            "models": [
                {
                    "model": name,
                    "modified_at": "2026-01-31T18:00:00.5+01:00",
                    "size": stocked.size,
                    "digest": digest_of(name),
                    "details": stocked.details(),
                }
                for name, stocked in self.models.items()
            ]
        }

    def running(self) -> Json:
        """GET /api/ps."""
        return {
            "models": [
                {
                    "name": name,
                    "model": name,
                    "size": self.models[name].vram,
                    "digest": digest_of(name),
                    "details": self.models[name].details(),
                    "expires_at": self.loaded[name].isoformat(),
                    "size_vram": self.models[name].vram,
                    "context_length": 4096,
                }
                for name in sorted(self.resident() & set(self.models))
            ]
        }

    def shown(self, name: str) -> Json:
        """POST /api/show."""
        stocked = self.models[full_name(name)]
        return {
            "modelfile": f"# Modelfile\nFROM {name}\n",
            "parameters": "temperature 0.6",
            "template": "{{ .Prompt }}",
            "license": "Apache License",
            "details": stocked.details(),
            "model_info": {"general.architecture": stocked.family, f"{stocked.family}.context_length": 40_960},
            "capabilities": ["completion", *(["tools"] if stocked.tools else [])],
            "modified_at": "2026-01-31T18:00:00.5+01:00",
        }


def full_name(name: str) -> str:
    """A model's name with its tag, as Ollama completes it."""
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


def digest_of(name: str) -> str:
    """Some digest, always the same for a name."""
    return hashlib.sha256(full_name(name).encode()).hexdigest()


def duration(said: Any) -> timedelta:
    """``keep_alive`` as Ollama reads it: seconds, or text in Go's way; less than nothing means for ever.

    Raises `ValueError`.
    """
    if said is None:
        return timedelta(minutes=5)
    if isinstance(said, int | float):
        return _FOR_EVER if said < 0 else timedelta(seconds=said)
    text = str(said)
    if text == "0":
        return timedelta()
    if not re.fullmatch(r"-?(\d+(\.\d+)?(ms|s|m|h))+", text):
        raise ValueError(f'time: invalid duration "{text}"')
    if text.startswith("-"):
        return _FOR_EVER
    return timedelta(
        seconds=sum(float(n) * _SECONDS[unit] for n, _, unit in re.findall(r"(\d+(\.\d+)?)(ms|s|m|h)", text))
    )
