"""Which endpoint and which models an agent program uses: those that its lane names and its protocol reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.model.errors import UsageError
from core.model.lane import Lane
from core.ports.leases import LeaseRefusedError, ModelLeases
from lanes.agent_clis.adapter import AgentCliAdapter
from lanes.egress import PROTOCOLS
from lanes.models import Endpoint, ModelName

ModelChoice = tuple[Endpoint, tuple[str, ...]]
"""An endpoint, and the names of the lane's models there."""


def usable_endpoints(
    endpoints: Mapping[str, Endpoint], lane: Lane, adapter: AgentCliAdapter
) -> tuple[ModelChoice, ...]:
    """The endpoints that the program can use, those of the lane's first models first.

    Raises `UsageError` when there are none.
    """
    names = tuple(map(ModelName.parse, lane.models))
    if not names:
        mend = "Add one to its file, as in: models: [endpoint/name]."
        raise UsageError("no_model", f"The lane {lane.name} names no model", mend)
    usable: dict[str, Endpoint] = {}
    for name in names:
        for endpoint in name.endpoints_in(endpoints):
            if adapter.protocol in PROTOCOLS.get(endpoint.kind, ()):
                usable.setdefault(endpoint.name, endpoint)
    if not usable:
        kinds = " or ".join(sorted(kind for kind, protocols in PROTOCOLS.items() if adapter.protocol in protocols))
        message = f"The lane {lane.name} does not name an endpoint that {adapter.name} can use"
        raise UsageError("no_endpoint", message, f"Name a model of an endpoint of kind {kinds} (`models:`).")
    return tuple(
        (endpoint, tuple(name.name for name in names if name.is_anywhere or name.endpoint == endpoint.name))
        for endpoint in usable.values()
    )


async def reserve_model(leases: ModelLeases | None, lane: Lane, choices: Sequence[ModelChoice]) -> ModelChoice:
    """Wait for a model before anything is started for the program; returns what to use.

    A model that any endpoint may serve is used where it is granted; else the first endpoint is used that grants one.
    Raises `LeaseRefusedError` when none does.
    """
    if leases is None:
        return choices[0]
    first = ModelName.parse(lane.models[0])
    place = await leases.reserve(str(first)) if first.is_anywhere else None
    for endpoint, models in choices:
        if place is not None and place.endpoint == endpoint.name:
            return endpoint, (place.model, *models[1:])
    refused: list[LeaseRefusedError] = []
    for endpoint, models in choices:
        try:
            await leases.reserve(str(ModelName(endpoint.name, models[0])))
        except LeaseRefusedError as error:
            refused.append(error)
        else:
            return endpoint, models
    raise refused[-1]
