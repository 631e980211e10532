"""Rivals with one queue, as policies of the simulator: llama-swap, llama.cpp's router, first come, shortest first.

llama-swap's rule is that of `proxygroup.go` and `process.go` (https://github.com/mostlygeek/llama-swap), llama.cpp's
that of `tools/server/server-models.cpp` (https://github.com/ggml-org/llama.cpp). They are told the same events as the
scheduler and obey the same physics.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from core.scheduler.demand import Demand, EndpointSpec, Family
from core.scheduler.events import Arrived, Decision, EndpointUp, Event, Evict, Finished, Grant, Load, Loaded
from core.scheduler.reasons import Reason, ReasonCode

_ONLY = Reason(ReasonCode.ONLY_READY)
_LOAD = Reason(ReasonCode.BEST_LOAD)


@dataclass(slots=True)
class _Endpoint:
    spec: EndpointSpec
    residents: dict[str, bool] = field(default_factory=dict)
    """Whether each family is ready, the least recently used first."""
    running: dict[str, int] = field(default_factory=dict)
    loading: str | None = None


_Place = tuple[tuple[float, ...], int, Demand]
"""A demand in its queue: its place in the rule's order, then by arrival."""


@dataclass(slots=True)
class Swapping:
    """A rule of one queue for each endpoint group: a ready model first if `ready_first`, else by `order`.

    At most `max_models` are resident on an endpoint, counted and not measured unless `by_memory`; the least recently
    used idle ones are evicted, and a swap waits until the endpoint is idle if `swaps_when_idle`.
    """

    families: dict[str, Family]
    order: Callable[[Demand], tuple[float, ...]] = lambda demand: (demand.arrived_s,)
    ready_first: bool = False
    by_memory: bool = True
    max_models: int = 64
    swaps_when_idle: bool = False
    _endpoints: dict[str, _Endpoint] = field(default_factory=dict)
    _waiting: dict[str, list[_Place]] = field(default_factory=dict)
    """What waits for each family, as a heap in the rule's order."""
    _where: dict[str, tuple[str, str]] = field(default_factory=dict)
    _arrivals: int = 0

    def handle(self, event: Event, _now_s: float) -> Sequence[Decision]:
        """Take note of an event, then see on each endpoint what the queue allows."""
        match event:
            case EndpointUp(spec):
                self._endpoints[spec.name] = _Endpoint(spec)
            case Arrived(demand):
                self._arrivals += 1
                place = (self.order(demand), self._arrivals, demand)
                heapq.heappush(self._waiting.setdefault(demand.family, []), place)
            case Loaded(endpoint, family):
                self._endpoints[endpoint].loading = None
                self._endpoints[endpoint].residents[family] = True
            case Finished(demand_id):
                endpoint, family = self._where.pop(demand_id)
                self._endpoints[endpoint].running[family] -= 1
            case _:
                pass
        out: list[Decision] = []
        while self._step(out):
            pass
        return out

    def _step(self, out: list[Decision]) -> bool:
        """Grant or load for the first demand that can go on; False when none can."""
        heads = [demand for *_, demand in sorted(queue[0] for queue in self._waiting.values())]
        for demand in heads if self.ready_first else heads[:1]:
            ready = next((each for each in self._homes(demand) if self._can_serve(each, demand)), None)
            if ready is not None:
                self._remove_head(demand.family)
                self._grant(ready, demand, out)
                return True
        absent = next((each for each in heads if not self._homes(each)), None)
        if absent is None or (not self.ready_first and absent is not heads[0]):
            return False
        return self._swap_in(self.families[absent.family], out)

    def _remove_head(self, family: str) -> None:
        heapq.heappop(self._waiting[family])
        if not self._waiting[family]:
            del self._waiting[family]

    def _homes(self, demand: Demand) -> list[_Endpoint]:
        return [each for each in self._endpoints.values() if demand.family in each.residents]

    def _can_serve(self, endpoint: _Endpoint, demand: Demand) -> bool:
        return endpoint.residents[demand.family] and self._has_slot(endpoint)

    @staticmethod
    def _has_slot(endpoint: _Endpoint) -> bool:
        return sum(endpoint.running.values()) < endpoint.spec.slots

    def _grant(self, endpoint: _Endpoint, demand: Demand, out: list[Decision]) -> None:
        endpoint.running[demand.family] = endpoint.running.get(demand.family, 0) + 1
        endpoint.residents[demand.family] = endpoint.residents.pop(demand.family)  # used most recently
        self._where[demand.id] = (endpoint.spec.name, demand.family)
        out.append(Grant(demand.id, endpoint.spec.name, _ONLY))

    def _swap_in(self, family: Family, out: list[Decision]) -> bool:
        for endpoint in sorted(self._endpoints.values(), key=lambda each: len(each.residents)):
            victims = self._victims(endpoint, family)
            if victims is None:
                continue
            for name in victims:
                del endpoint.residents[name]
                endpoint.running.pop(name, None)
                out.append(Evict(endpoint.spec.name, name))
            endpoint.residents[family.name] = False
            endpoint.loading = family.name
            out.append(Load(endpoint.spec.name, family.name, _LOAD))
            return True
        return False

    def _victims(self, endpoint: _Endpoint, family: Family) -> list[str] | None:
        """What must go, the least recently used first; None when it cannot."""
        if endpoint.loading is not None or family.memory_mib > endpoint.spec.memory_mib:
            return None
        if self.swaps_when_idle and any(endpoint.running.values()):
            return None
        kept = dict.fromkeys(endpoint.residents)
        victims: list[str] = []
        for name in endpoint.residents:
            if self._fits([*kept, family.name], endpoint):
                break
            if not endpoint.running.get(name):
                del kept[name]
                victims.append(name)
        return victims if self._fits([*kept, family.name], endpoint) else None

    def _fits(self, names: Iterable[str], endpoint: _Endpoint) -> bool:
        names = list(names)
        memory_mib = sum(self.families[name].memory_mib for name in names)
        return len(names) <= self.max_models and memory_mib <= endpoint.spec.memory_mib
