"""An endpoint: a server of models that the configuration names, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Self

from core.model.errors import UsageError

ASKED: Final = ("ollama", "openai")
"""The kinds of endpoint that Countersign asks itself; the others serve agents, which speak with them on their own."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server of models: `kind` is ollama, anthropic, openai or gemini, which is the protocol it speaks.

    Times are in seconds: until the first token (a model may have to be loaded first), between two tokens, and for one
    whole answer. `context_tokens` is how much one question may hold. `key` never leaves this host but for the endpoint.
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


@dataclass(frozen=True, slots=True)
class ModelName:
    """A model at an endpoint, written ``endpoint/name``; the name may hold further slashes."""

    endpoint: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The two parts of `text`; raises `UsageError`."""
        endpoint, slash, name = text.partition("/")
        if not (endpoint and slash and name):
            raise UsageError(
                "no_model", f"{text!r} does not name a model", "Write endpoint/model, such as local/qwen3:8b."
            )
        return cls(endpoint, name)

    def __str__(self) -> str:
        return f"{self.endpoint}/{self.name}"


def key_variable(endpoint: str) -> str:
    """The variable of the environment that holds the key of the endpoint of this name."""
    return f"COUNTERSIGN_MODEL_{endpoint.upper().replace('-', '_')}_KEY"
