"""The shelf: takes the models that a lane names from the endpoints of the configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.model.errors import UsageError
from lanes.models.breaker import CircuitBreakers
from lanes.models.chat import ChatModel
from lanes.models.endpoint import ASKED, Endpoint, ModelName
from lanes.models.fallback import Candidate, FallbackModel


class ModelRegistry:
    """The endpoints by name, and the breakers that all who ask in this process share."""

    def __init__(self, endpoints: Mapping[str, Endpoint], breakers: CircuitBreakers) -> None:
        self._endpoints, self._breakers = endpoints, breakers

    def model(self, names: Sequence[str]) -> ChatModel:
        """The models called `names` (``endpoint/model``), of which the first that answers is taken.

        Raises `UsageError` for no names, an unknown endpoint, and a kind of endpoint that only agents speak with.
        """
        if not names:
            raise UsageError(
                "no_model", "no model is named", "Name one in the lane's `models`, such as local/qwen3:8b."
            )
        return FallbackModel([self._candidate(ModelName.parse(name)) for name in names], self._breakers)

    def _candidate(self, name: ModelName) -> Candidate:
        endpoint = endpoint_of(self._endpoints, name.endpoint)
        if endpoint.kind == "ollama":
            from lanes.models.ollama import OllamaModel  # noqa: PLC0415 (the vendor's client is slow to import)

            return Candidate(name, OllamaModel(endpoint, name.name))
        if endpoint.kind == "openai":
            from lanes.models.openai import OpenAiModel  # noqa: PLC0415 (the same)

            return Candidate(name, OpenAiModel(endpoint, name.name))
        raise UsageError(
            "not_asked",
            f"{name}: an endpoint of kind {endpoint.kind} serves agents only",
            f"Name a model of an endpoint of kind {' or '.join(ASKED)}.",
        )


def endpoint_of(endpoints: Mapping[str, Endpoint], name: str) -> Endpoint:
    """The endpoint called `name`; raises `UsageError`."""
    if name not in endpoints:
        known = ", ".join(sorted(endpoints)) or "none; see `models:` in countersign.yaml"
        raise UsageError("no_endpoint", f"no endpoint is called {name!r}", f"Known: {known}.")
    return endpoints[name]
