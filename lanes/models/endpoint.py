"""Endpoints: the model servers that the configuration names, with their time limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from core.model.errors import UsageError
from core.model.model_lease import ANY_ENDPOINT, split_model

CHAT_KINDS: Final = ("ollama", "openai")
"""The kinds of endpoint that Countersign sends requests to; the others serve agents, which talk to them directly."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model server; `kind` (ollama, anthropic, openai or gemini) is its protocol.

    Time limits are in seconds: until the first token (loading the model included), between two tokens, and for a whole
    answer. `context_tokens` bounds the size of one request. `key` is sent to the endpoint and nowhere else.

    `node` is the node whose GPUs it has, all of them or those at the indexes `gpus`; without one it is the host that
    asks, if the address is of that host. `gpu_memory_mib` and `ram_mib` stand in for what no worker can measure.
    `reserve_mib` of each GPU stay free. `parallel` is how many requests it works on at once; None if that is not
    configured.
    """

    name: str
    kind: str
    url: str
    key: str | None = field(default=None, repr=False)
    keep_alive: str = "5m"
    first_token_s: float = 120.0
    between_tokens_s: float = 60.0
    total_s: float = 900.0
    context_tokens: int = 32_768
    node: str | None = None
    gpus: tuple[int, ...] = ()
    gpu_memory_mib: tuple[int, ...] = ()
    ram_mib: int | None = None
    reserve_mib: int = 512
    parallel: int | None = None

    @property
    def requests_at_once(self) -> int:
        """How many requests it works on at once, one unless it is configured."""
        return self.parallel or 1


@dataclass(frozen=True, slots=True)
class ModelName:
    """A model of an endpoint, written ``endpoint/name``; the name may contain further slashes.

    A name without a slash, or ``*/name``, is the model of that name on any endpoint that has it.
    """

    endpoint: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a name; raises `UsageError` when a part is missing."""
        endpoint, name = split_model(text)
        if not (endpoint and name):
            raise UsageError(
                "no_model", f"{text!r} does not name a model", "Write endpoint/model, such as local/qwen3:8b."
            )
        return cls(endpoint, name)

    @property
    def is_anywhere(self) -> bool:
        """Whether any endpoint may serve it that has it."""
        return self.endpoint == ANY_ENDPOINT

    def endpoints_in(self, endpoints: Mapping[str, Endpoint]) -> tuple[Endpoint, ...]:
        """The endpoints that may serve it: its own, or all that Countersign or its agents may ask."""
        return tuple(each for each in endpoints.values() if self.is_anywhere or each.name == self.endpoint)

    def __str__(self) -> str:
        return f"{self.endpoint}/{self.name}"


def key_variable(endpoint: str) -> str:
    """The environment variable that holds the key of this endpoint."""
    return f"COUNTERSIGN_MODEL_{endpoint.upper().replace('-', '_')}_KEY"
