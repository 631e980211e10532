"""Shadow mode: a scheduler that is told the live one's events and decides for endpoints that exist only here.

Its grants and loads take the time that a simulated endpoint needs for them, so two shadows with different weights can
be compared with each other. Nothing that a shadow decides is carried out.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from core.scheduler.demand import Demand, Family, WorkClass
from core.scheduler.events import (
    Arrived,
    Decision,
    EndpointDown,
    EndpointUp,
    Event,
    Evict,
    Finished,
    Grant,
    Load,
    Loaded,
    MemoryChanged,
    Tick,
    Withdrawn,
)
from core.scheduler.scheduler import Scheduler
from core.scheduler.wait_figures import WaitFigures
from core.scheduler.weights import Weights
from core.simulator.machine import NEVER, Machine

KEPT_DECISIONS = 20


@dataclass(frozen=True, slots=True)
class ShadowDecision:
    """A grant that a shadow decided: how long it lets the demand wait."""

    demand: str
    endpoint: str
    wait_s: float


@dataclass(slots=True)
class ShadowScheduler:
    """The scheduler with other weights; `families` is the live scheduler's, so that both know the same.

    A demand runs for as long as it did in reality, where that is known when it is granted here, else for its median.
    """

    families: dict[str, Family]
    weights: Weights
    figures: dict[WorkClass, WaitFigures] = field(default_factory=lambda: {each: WaitFigures() for each in WorkClass})
    loads: int = 0
    recent: deque[ShadowDecision] = field(default_factory=lambda: deque(maxlen=KEPT_DECISIONS))
    _scheduler: Scheduler = field(init=False)
    _machines: dict[str, Machine] = field(default_factory=dict)
    _ends: list[tuple[float, str, int]] = field(default_factory=list)
    _demands: dict[str, Demand] = field(default_factory=dict)
    _took_s: dict[str, float] = field(default_factory=dict)
    _granted_s: dict[str, float] = field(default_factory=dict)
    """When the live scheduler granted what runs there now."""
    _running: dict[int, str] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self._scheduler = Scheduler((), self.weights)
        self._scheduler.waiting.families = self.families

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits or runs here, and nothing is remembered of what did."""
        return not (self._demands or self._took_s or self._running)

    def tell(self, event: Event, decisions: Sequence[Decision], now_s: float) -> None:
        """Take note of an event of the live queue and of what the live scheduler decided upon it."""
        self._advance(now_s)
        for decision in decisions:
            if isinstance(decision, Grant):
                self._granted_s[decision.demand] = now_s
        match event:
            case Arrived(demand):
                self._demands[demand.id] = demand
                self._pass(event, now_s)
            case Withdrawn(demand_id) if demand_id in self._scheduler.waiting:
                self._drop(demand_id)
                self._pass(event, now_s)
            case Finished(demand_id):
                granted_s = self._granted_s.pop(demand_id, None)
                if granted_s is not None and demand_id in self._demands:
                    self._took_s[demand_id] = now_s - granted_s
            case EndpointUp(spec, residents):
                machine = Machine(spec, resident=dict.fromkeys(residents, 0))
                machine.sizes.update({name: self.families[name].memory_mib for name in residents})
                self._machines[spec.name] = machine
                self._pass(event, now_s)
            case EndpointDown(endpoint):
                self._lose(endpoint, now_s)
            case MemoryChanged() | Tick():
                self._pass(event, now_s)
            case _:  # what the live queue loads, holds or loses says nothing of the endpoints here
                pass

    def _lose(self, endpoint: str, now_s: float) -> None:
        lost = self._machines.pop(endpoint, None)
        if lost is None:
            return
        self._pass(EndpointDown(endpoint), now_s)
        for number in lost.numbers():
            demand_id = self._running.pop(number)
            self._drop(demand_id)
            self._pass(Finished(demand_id), now_s)

    def _drop(self, demand_id: str) -> None:
        self._demands.pop(demand_id, None)
        self._took_s.pop(demand_id, None)

    def _advance(self, now_s: float) -> None:
        """Let everything end here that ends until `now_s`."""
        while self._ends and self._ends[0][0] <= now_s:
            at_s, endpoint, version = heapq.heappop(self._ends)
            machine = self._machines.get(endpoint)
            if machine is None or machine.version != version:
                continue
            if machine.next_end()[1]:
                family = machine.end_load(at_s)
                self._plan(machine)
                self._pass(Loaded(endpoint, family), at_s)
                continue
            demand_id = self._running.pop(machine.end_first(at_s))
            self._drop(demand_id)
            self._plan(machine)
            self._pass(Finished(demand_id), at_s)

    def _pass(self, event: Event, now_s: float) -> None:
        for decision in self._scheduler.handle(event, now_s):
            match decision:
                case Grant():
                    self._grant(decision, now_s)
                case Evict(endpoint, family):
                    self._machines[endpoint].evict(family, now_s)
                    self._plan(self._machines[endpoint])
                case Load(endpoint, family):
                    machine = self._machines[endpoint]
                    self.loads += 1
                    machine.begin_load(self.families[family], self.families[family].load_s, now_s)
                    self._plan(machine)
                case _:  # nothing sleeps in main memory here
                    pass

    def _grant(self, grant: Grant, now_s: float) -> None:
        demand, machine = self._demands[grant.demand], self._machines[grant.endpoint]
        number = next(self._numbers)
        self._running[number] = demand.id
        machine.begin(number, demand.family, self._took_s.get(demand.id, demand.work.p50_s), now_s)
        self._plan(machine)
        wait_s = now_s - demand.arrived_s
        before = self.figures[demand.work_class]
        self.figures[demand.work_class] = before.after(wait_s, is_broken=now_s > grant.due_s)
        self.recent.append(ShadowDecision(demand.id, grant.endpoint, round(wait_s, 3)))

    def _plan(self, machine: Machine) -> None:
        end_s, _ = machine.next_end()
        if end_s != NEVER:
            heapq.heappush(self._ends, (end_s, machine.spec.name, machine.version))
