"""Lease families: which model families each endpoint has, under which names, and what they take there.

A family is weights with load options. It may be on several endpoints, with another name on each, and an endpoint may
have several names for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from core.model.endpoint_snapshot import KnownModel, ResidentModel
from core.model.inventory import ModelFamily
from core.model.model_lease import ModelPlace
from core.scheduler.demand import EndpointSpec, Family
from core.scheduler.load_time import expected_load_s
from core.services.inventory import EndpointStatus

_MIB: Final = 1024**2
_GIB: Final = 1024**3
_NOWHERE: Final = frozenset({""})
"""Stands for the endpoints of a family that none has now; no endpoint has an empty name."""
_COUNTED: Final = 1
"""What a model takes where models are counted, and memory is not known."""


@dataclass(slots=True)
class _EndpointFamilies:
    """The families of one endpoint: the name to ask for, the context, and the memory of each, and what names mean.

    `load_s` is shared with the endpoint's specification, so that it knows what is learned.
    """

    names: dict[str, str] = field(default_factory=dict)
    contexts: dict[str, int | None] = field(default_factory=dict)
    memory_mib: dict[str, int] = field(default_factory=dict)
    by_name: dict[str, str] = field(default_factory=dict)
    load_s: dict[str, float] = field(default_factory=dict)
    too_large: dict[str, str] = field(default_factory=dict)
    """Why each family that is larger than all the memory of the endpoint can never be loaded there."""
    taken_mib: dict[str, int] = field(default_factory=dict)
    """The memory that each loaded family was seen to take, where memory counts."""

    def add(self, family: str, model: str, context: int | None, memory_mib: int, load_s: float) -> None:
        self.names.setdefault(family, model)
        self.contexts[family] = context
        self.memory_mib[family] = memory_mib
        self.load_s[family] = load_s


@dataclass(slots=True)
class LeaseFamilies:
    """The families of the endpoints that can be used."""

    _endpoints: dict[str, _EndpointFamilies] = field(default_factory=dict)
    _expected: set[tuple[str, str]] = field(default_factory=set)
    """Families that were loaded from here, and not seen loaded yet."""
    _places: dict[tuple[str, str], ModelPlace] = field(default_factory=dict)
    """Where each family was last known, also after its endpoint stopped listing it: it may still be in memory."""
    _adjusted: dict[tuple[str, str], str] = field(default_factory=dict)
    """What a server made of a family's options, such as a context that it shortened: its residents are that family."""

    def see(self, status: EndpointStatus, in_use: Collection[str] = ()) -> list[str]:
        """Take note of what an endpoint has; returns the families that are loaded there, known models or not.

        Families `in_use` have work of ours. If their weights are loaded with other options now, that work did it: agent
        programs ask Ollama in protocols that cannot name a context. They count as loaded, or each turn would load
        twice.
        """
        snapshot = status.snapshot
        before = self._endpoints.get(snapshot.name)
        now = _EndpointFamilies(load_s=before.load_s if before is not None else {})
        self._endpoints[snapshot.name] = now
        now.load_s.clear()
        for model in snapshot.models:
            self._add_known(now, status, model)
        if not snapshot.loads_models:  # its server decides what is loaded: each model can be asked for at once
            residents = list(now.names)
        else:
            ready = (each for each in snapshot.residents if snapshot.is_ready(each))
            resident_families = {self._resident(now, snapshot.name, each, in_use): each for each in ready}
            residents = list(resident_families)
            if _is_measured(status):
                now.taken_mib = {name: (each.vram_bytes or 0) // _MIB for name, each in resident_families.items()}
        for family, name in now.names.items():
            self._places[snapshot.name, family] = ModelPlace(snapshot.name, name, now.contexts[family])
        return residents

    def forget(self, endpoint: str) -> None:
        """An endpoint cannot be used any more."""
        self._endpoints.pop(endpoint, None)

    def expect(self, endpoint: str, family: str) -> None:
        """A family was loaded on an endpoint, so that the next look shows what the server made of its options."""
        self._expected.add((endpoint, family))

    def families(self) -> Iterable[Family]:
        """Every family, with the endpoints that have it and the most memory and time that it takes on one of them."""
        homes: dict[str, list[_EndpointFamilies]] = {}
        names: dict[str, list[str]] = {}
        for endpoint, known in self._endpoints.items():
            for family in known.names:
                homes.setdefault(family, []).append(known)
                names.setdefault(family, []).append(endpoint)
        for family, places in homes.items():
            memory_mib = max(place.memory_mib[family] for place in places)
            load_s = max(place.load_s[family] for place in places)
            yield Family(family, memory_mib, load_s, None, frozenset(names[family]))

    def endpoints_of(self, family: str) -> Collection[str]:
        """The endpoints that have a family."""
        return [name for name, known in self._endpoints.items() if family in known.names]

    def too_large(self, family: str, endpoints: Collection[str]) -> str | None:
        """Why none of these endpoints can ever load a family; None if one can."""
        sentences = [self._endpoints[name].too_large.get(family) for name in endpoints]
        return sentences[0] if sentences and None not in sentences else None

    def uncounted_mib(self, endpoint: str, counted_mib: Mapping[str, int]) -> int:
        """What the loaded families take beyond what they are `counted_mib` with: their estimates were too low."""
        taken_mib = self._endpoints[endpoint].taken_mib
        return sum(max(0, mib - counted_mib.get(family, 0)) for family, mib in taken_mib.items())

    def seen_mib(self, endpoint: str) -> dict[str, int]:
        """What each loaded family takes, as was seen and as is expected of it by now, whichever is more."""
        known = self._endpoints[endpoint]
        seen = {family: mib for family, mib in known.taken_mib.items() if mib and family in known.memory_mib}
        return {family: max(mib, known.memory_mib[family]) for family, mib in seen.items()}

    def named(self, model: str, only_on: str = "") -> dict[str, int]:
        """The families that endpoints, or only one, call by this name, with the number of endpoints that have each.

        Ollama calls a model without a tag ``NAME:latest``.
        """
        found: dict[str, int] = {}
        for endpoint, known in self._endpoints.items():
            family = known.by_name.get(model) or known.by_name.get(f"{model}:latest")
            if family is not None and only_on in ("", endpoint):
                found[family] = len(self.endpoints_of(family))
        return found

    def place(self, endpoint: str, family: str) -> ModelPlace:
        """Where and under which name to ask for a family that this endpoint has, or had a moment ago."""
        return self._places[endpoint, family]

    def name_of(self, family: str) -> str:
        """What people call a family."""
        return next((known.names[family] for known in self._endpoints.values() if family in known.names), family)

    def spec(self, status: EndpointStatus) -> EndpointSpec:
        """The endpoint as the scheduler sees it; one chat more than its slots may run beside bulk work."""
        name = status.snapshot.name
        return EndpointSpec(
            name, memory_mib_of(status), _slots(status), chat_slots=1, load_s=self._endpoints[name].load_s
        )

    def _add_known(self, now: _EndpointFamilies, status: EndpointStatus, model: KnownModel) -> None:
        family, memory_mib = _key(model.name, model.family), _COUNTED
        if _is_measured(status):
            size = status.placed_bytes(model) or model.size_bytes
            if not size:
                return
            memory_mib = max(1, size // _MIB)
        now.by_name[model.name] = family
        if status.is_too_large(model):
            now.too_large[family] = _too_large(status, model)
        load_s = status.load_s(model)
        now.add(family, model.name, model.context_tokens, memory_mib, load_s or expected_load_s(memory_mib))

    def _resident(self, now: _EndpointFamilies, endpoint: str, resident: ResidentModel, in_use: Collection[str]) -> str:
        """The family of what is loaded: a known one, or one of its own for what others loaded with other options."""
        key, known = _key(resident.name, resident.family), now.by_name.get(resident.name)
        if key in now.names:
            self._expected.discard((endpoint, key))
            return key
        if known is not None and ((endpoint, known) in self._expected or known in in_use):
            self._expected.discard((endpoint, known))
            self._adjusted[(endpoint, key)] = known
        adjusted = self._adjusted.get((endpoint, key))
        if known is not None and (adjusted == known or resident.family.options.context_tokens is None):
            return known
        size_mib = max(_COUNTED, ((resident.vram_bytes or 0) + (resident.ram_bytes or 0)) // _MIB)
        now.add(key, resident.name, resident.family.options.context_tokens, size_mib, expected_load_s(size_mib))
        return key


def _key(name: str, family: ModelFamily) -> str:
    """The family's key where the weights have a digest; else the name that the server was configured with."""
    return family.key if family.weights.startswith("sha256:") else f"name:{name}"


def _too_large(status: EndpointStatus, model: KnownModel) -> str:
    name, needed, capacity = status.snapshot.name, status.needed_bytes(model) or 0, status.snapshot.capacity_bytes or 0
    return f"{name}/{model.name} needs {needed / _GIB:.1f} GiB, and {name} has {capacity / _GIB:.1f} GiB"


def memory_mib_of(status: EndpointStatus) -> int:
    """What may be filled with models: the endpoint's memory without what other processes use, or a number of models."""
    snapshot = status.snapshot
    if not _is_measured(status):
        return snapshot.max_resident or max(1, len(snapshot.models))
    return max(0, ((snapshot.capacity_bytes or 0) - snapshot.foreign_bytes) // _MIB)


def without_home(family: Family) -> Family:
    """The family while no endpoint has it."""
    return Family(family.name, family.memory_mib, family.load_s, family.wake_s, _NOWHERE)


def _is_measured(status: EndpointStatus) -> bool:
    """Whether the memory of models counts at an endpoint, and not their number."""
    return status.snapshot.loads_models and status.snapshot.max_resident is None


def _slots(status: EndpointStatus) -> int:
    """How many requests an endpoint works on at once; where memory counts, those of one model on each of its GPUs."""
    slots = status.snapshot.slots or 1
    return slots * max(1, len(status.snapshot.gpus)) if _is_measured(status) else slots
