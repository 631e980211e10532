"""Resolves the model names of a lane to models of the configured endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.model.errors import UsageError
from core.ports.inventory import EndpointAdmission
from core.ports.leases import ModelLeases
from lanes.models.answering_model import AnywhereCandidate, Candidate, FallbackModel
from lanes.models.chat import ChatModel
from lanes.models.endpoint import CHAT_KINDS, Endpoint, ModelName


class ModelRegistry:
    """The configured endpoints, with the admission and the leases that every caller shares."""

    def __init__(
        self, endpoints: Mapping[str, Endpoint], admission: EndpointAdmission, leases: ModelLeases | None = None
    ) -> None:
        self._endpoints, self._admission, self._leases = endpoints, admission, leases

    def model_for(self, names: Sequence[str]) -> ChatModel:
        """A model that asks `names` in their order until one answers; see `ModelName` for how they are written.

        Raises:
            UsageError: No name is given, an endpoint is unknown, or an endpoint's kind serves agents only.
        """
        if not names:
            raise UsageError(
                "no_model", "No model is named", "Name one in the lane's `models`, such as local/qwen3:8b."
            )
        candidates = [self._candidate_for(ModelName.parse(name)) for name in names]
        return FallbackModel(candidates, self._admission, self._leases)

    def _candidate_for(self, name: ModelName) -> Candidate | AnywhereCandidate:
        if not name.is_anywhere:
            return self._candidate(name)
        served = tuple(each.name for each in name.endpoints_in(self._endpoints) if each.kind in CHAT_KINDS)
        if not served:
            mend = f"Add an endpoint of kind {' or '.join(CHAT_KINDS)} under `models:` in countersign.yaml."
            raise UsageError("no_endpoint", f"No endpoint can serve the model {name.name}", mend)
        return AnywhereCandidate(name, served, self._candidate)

    def _candidate(self, name: ModelName) -> Candidate:
        endpoint = find_endpoint(self._endpoints, name.endpoint)
        if endpoint.kind == "ollama":
            from lanes.models.ollama import OllamaModel  # noqa: PLC0415 - the vendor's client is slow to import

            return Candidate(name, OllamaModel(endpoint, name.name))
        if endpoint.kind == "openai":
            from lanes.models.openai import OpenAiModel  # noqa: PLC0415 - imported only where it is used

            return Candidate(name, OpenAiModel(endpoint, name.name))
        raise UsageError(
            "not_asked",
            f"{name}: endpoints of kind {endpoint.kind} serve agents only",
            f"Name a model of an endpoint of kind {' or '.join(CHAT_KINDS)}.",
        )


def find_endpoint(endpoints: Mapping[str, Endpoint], name: str) -> Endpoint:
    """The endpoint called `name`; raises `UsageError` when there is none."""
    if name not in endpoints:
        known = ", ".join(sorted(endpoints)) or "none; add it under `models:` in countersign.yaml"
        raise UsageError("no_endpoint", f"There is no endpoint {name!r}", f"Known: {known}.")
    return endpoints[name]
