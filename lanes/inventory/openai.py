"""The inventory of a server of OpenAI's protocol: llama.cpp and vLLM by their own routes, any other as one slot.

Which one it is follows from ``owned_by`` of its models: https://platform.openai.com/docs/api-reference/models/list.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.model.endpoint_snapshot import KnownModel
from core.model.inventory import LoadOptions, ModelFamily
from lanes.inventory import llama_cpp, vllm
from lanes.inventory.reading import EndpointReading
from lanes.inventory.session import ProbeSession
from lanes.models.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class OpenAiProbe:
    """Reads one endpoint of kind openai."""

    endpoint: Endpoint

    async def read(self, limit_s: float) -> EndpointReading:
        """What the server says now; raises `TransientError` or `PermanentError`.

        The configured `parallel` says how many requests it gets at once, else the server does, else it is one.
        """
        reading = await self._read(limit_s)
        return replace(reading, slots=self.endpoint.parallel or reading.slots or 1)

    async def _read(self, limit_s: float) -> EndpointReading:
        listed = (await ProbeSession(self.endpoint, limit_s).ask("/models")).required_items("data")
        owners = {model.text("owned_by") for model in listed}
        own_routes = ProbeSession(replace(self.endpoint, url=self.endpoint.url.removesuffix("/v1")), limit_s)
        if llama_cpp.OWNER in owners:
            return await llama_cpp.read_llama_cpp(own_routes, listed)
        if vllm.OWNER in owners:
            return await vllm.read_vllm(own_routes, listed)
        options = LoadOptions(self.endpoint.context_tokens)
        names = sorted({model.required_text("id") for model in listed})
        models = tuple(KnownModel(name, ModelFamily(f"name:{name}", options)) for name in names)
        return EndpointReading("OpenAI's protocol", (), models, has_canary=False)
