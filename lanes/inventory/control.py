"""Moves models into and out of the memory of the endpoints whose memory the scheduler knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lanes.models.catalog import OllamaCatalog, open_ollama_catalog
from lanes.models.endpoint import Endpoint
from lanes.models.registry import find_endpoint


@dataclass(frozen=True, slots=True)
class ModelControl:
    """`core.ports.leases.EndpointControl` for the endpoints that `endpoints` gives at each move."""

    endpoints: Callable[[], Mapping[str, Endpoint]]

    async def load(self, endpoint: str, model: str) -> None:
        """Load the model with the endpoint's own options, so that all who ask for it share one load."""
        await self._catalog(endpoint).load(model)

    async def unload(self, endpoint: str, model: str) -> None:
        """Unload the model."""
        await self._catalog(endpoint).unload(model)

    def _catalog(self, endpoint: str) -> OllamaCatalog:
        return open_ollama_catalog(find_endpoint(self.endpoints(), endpoint))
