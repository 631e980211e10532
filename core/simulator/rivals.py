"""Rivals: the rules of what people use today, as policies of the simulator.

Each follows its source: Ollama `server/sched.go`, llama-swap's `proxygroup.go` and `process.go`, llama.cpp's router
(`tools/server/server-models.cpp`). They are told the same events as the scheduler and obey the same physics.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from core.scheduler.demand import Demand, EndpointSpec, Family
from core.scheduler.events import (
    Arrived,
    Decision,
    EndpointUp,
    Event,
    Evict,
    Finished,
    Grant,
    Load,
    Loaded,
)
from core.scheduler.reasons import Reason, ReasonCode

_ONLY = Reason(ReasonCode.ONLY_READY)
_LOAD = Reason(ReasonCode.BEST_LOAD)
KEEP_ALIVE_S = 300.0
"""Ollama's default `keep_alive`: https://github.com/ollama/ollama/blob/main/docs/faq.mdx"""


@dataclass(slots=True)
class _Runner:
    """A resident family of a rival: what runs and what is queued at it, and since when it is idle.

    `is_expiring` is Ollama's keep-alive of 0: it is unloaded as soon as it is idle.
    """

    family: Family
    endpoint: str
    is_ready: bool = False
    running: int = 0
    queue: deque[Demand] = field(default_factory=deque)
    idle_since_s: float = 0.0
    is_expiring: bool = False


@dataclass(slots=True)
class Ollama:
    """Ollama's own rules, one server over all GPUs.

    A request for a loaded model goes to its runner at once; all others share one queue whose head blocks the rest. One
    model loads at a time. The victim is the first idle runner by (keep_alive, name), else the first runner by that
    order, whose keep_alive becomes 0: the head waits until some runner is unloaded, and the victim may be used
    meanwhile. A runner serves `parallel` requests at a time, and expires after `KEEP_ALIVE_S` idle seconds. See
    `GetRunner`, `processPending` and `findRunnerToUnload` in
    https://github.com/ollama/ollama/blob/main/server/sched.go
    """

    families: dict[str, Family]
    parallel: int = 1
    max_runners: int = 3
    """For each GPU (OLLAMA_MAX_LOADED_MODELS)."""
    _specs: list[EndpointSpec] = field(default_factory=list)
    _runners: dict[str, _Runner] = field(default_factory=dict)
    _pending: deque[Demand] = field(default_factory=deque)
    _loading: str | None = None
    _waits_for_unload: bool = False
    _home: dict[str, str] = field(default_factory=dict)

    @property
    def memory_mib(self) -> int:
        """The memory of the largest GPU."""
        return max(spec.memory_mib for spec in self._specs)

    def handle(self, event: Event, now_s: float) -> Sequence[Decision]:
        """Follow `GetRunner`, `processPending` and `processCompleted`."""
        out: list[Decision] = []
        match event:
            case EndpointUp(spec):
                self._specs.append(spec)
            case Arrived(demand):
                if demand.family in self._runners:
                    self._use(self._runners[demand.family], demand, out)
                else:
                    self._pending.append(demand)
            case Loaded(_, family):
                self._loading = None
                self._runners[family].is_ready = True
                self._runners[family].idle_since_s = now_s
                self._advance(self._runners[family], out)
            case Finished(demand_id):
                runner = self._runners[self._home.pop(demand_id)]
                runner.running -= 1
                runner.idle_since_s = now_s
                self._advance(runner, out)
            case _:
                pass
        self._expire(now_s, out)
        self._work_pending(out)
        return out

    def _use(self, runner: _Runner, demand: Demand, out: list[Decision]) -> None:
        runner.queue.append(demand)
        self._advance(runner, out)

    def _advance(self, runner: _Runner, out: list[Decision]) -> None:
        while runner.is_ready and runner.queue and runner.running < self.parallel:
            demand = runner.queue.popleft()
            runner.running += 1
            self._home[demand.id] = runner.family.name
            out.append(Grant(demand.id, runner.endpoint, _ONLY))

    def _expire(self, now_s: float, out: list[Decision]) -> None:
        for runner in list(self._runners.values()):
            if self._is_idle(runner) and (runner.is_expiring or now_s - runner.idle_since_s > KEEP_ALIVE_S):
                self._unload(runner, out)

    def _work_pending(self, out: list[Decision]) -> None:
        """Work on the head of the queue, until it has to wait."""
        while self._pending and not self._waits_for_unload:
            demand = self._pending[0]
            if demand.family in self._runners:
                self._use(self._runners[self._pending.popleft().family], demand, out)
                continue
            if self._loading is not None:
                return
            family = self.families[demand.family]
            endpoint = self._with_room(family)
            if endpoint is None:
                victim = self._victim()
                if victim is None:
                    return
                victim.is_expiring = self._waits_for_unload = True
                if self._is_idle(victim):
                    self._unload(victim, out)
                continue
            self._pending.popleft()
            self._loading = family.name
            self._runners[family.name] = _Runner(family, endpoint, queue=deque([demand]))
            out.append(Load(endpoint, family.name, _LOAD))

    def _with_room(self, family: Family) -> str | None:
        """The GPU with the most free memory, if the family fits there."""
        free = {spec.name: spec.memory_mib for spec in self._specs}
        for runner in self._runners.values():
            free[runner.endpoint] -= runner.family.memory_mib
        endpoint = max(free, key=lambda name: free[name])
        fits = family.memory_mib <= free[endpoint] and len(self._runners) < self.max_runners * len(self._specs)
        return endpoint if fits else None

    def _victim(self) -> _Runner | None:
        """`findRunnerToUnload`: by the keep-alive, which is 0 or the default, then by the name."""
        runners = sorted(self._runners.values(), key=lambda runner: (not runner.is_expiring, runner.family.name))
        return next((runner for runner in runners if self._is_idle(runner)), runners[0] if runners else None)

    @staticmethod
    def _is_idle(runner: _Runner) -> bool:
        return runner.is_ready and not runner.running and not runner.queue

    def _unload(self, runner: _Runner, out: list[Decision]) -> None:
        del self._runners[runner.family.name]
        self._waits_for_unload = False
        out.append(Evict(runner.endpoint, runner.family.name))


@dataclass(slots=True)
class OllamaServers:
    """An Ollama server on each endpoint, behind a balancer that sends a request where the fewest are unfinished."""

    families: dict[str, Family]
    parallel: int = 1
    _servers: dict[str, Ollama] = field(default_factory=dict)
    _unfinished: dict[str, int] = field(default_factory=dict)
    _where: dict[str, str] = field(default_factory=dict)

    def handle(self, event: Event, now_s: float) -> Sequence[Decision]:
        """Pass the event to the server that it concerns."""
        match event:
            case EndpointUp(spec):
                self._servers[spec.name] = Ollama(self.families, self.parallel)
                self._unfinished[spec.name] = 0
                name = spec.name
            case Arrived(demand):
                memory = {each: self._memory_mib(each) for each in self._servers}
                able = [each for each, mib in memory.items() if self.families[demand.family].memory_mib <= mib]
                name = min(able, key=lambda each: self._unfinished[each])
                self._unfinished[name] += 1
                self._where[demand.id] = name
            case Finished(demand_id):
                name = self._where.pop(demand_id)
                self._unfinished[name] -= 1
            case Loaded(endpoint, _):
                name = endpoint
            case _:
                return ()
        return self._servers[name].handle(event, now_s)

    def _memory_mib(self, name: str) -> int:
        return self._servers[name].memory_mib


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
