"""A rival: Ollama's own rules as a policy of the simulator, by its `server/sched.go`.

It is told the same events as the scheduler and obeys the same physics.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.scheduler.demand import Demand, EndpointSpec, Family
from core.scheduler.events import Arrived, Decision, EndpointUp, Event, Evict, Finished, Grant, Load, Loaded
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
