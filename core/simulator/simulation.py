"""The simulation: replays requests against a policy, event by event, and keeps when each started and finished.

The policy decides; the machines obey the physics. A decision that no real server could carry out ends the simulation
with an error, so that every policy is held to the same rules.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from core.scheduler.demand import Demand
from core.scheduler.events import (
    Arrived,
    Decision,
    EndpointUp,
    Event,
    Evict,
    Finished,
    Forget,
    Grant,
    Load,
    Loaded,
    Tick,
)
from core.scheduler.history import WorkHistory
from core.simulator.cluster import Cluster
from core.simulator.machine import NEVER, Machine
from core.simulator.trace import Request

TICK_S: Final = 5.0
"""How long nothing happens, while requests wait, until a policy is told that time passed."""
_MOST_TICKS: Final = 2_000
"""So often a policy is told so before it counts as stuck."""


class SimulatedPolicy(Protocol):
    """What is simulated: `core.scheduler.scheduler.Scheduler`, or a rival's rule."""

    def handle(self, event: Event, now_s: float, /) -> Sequence[Decision]:
        """Take note of an event; returns the decisions in the order in which they are carried out."""


class PhysicsError(Exception):
    """A policy decided what no server can do, such as running a family that is not resident."""


@dataclass(slots=True)
class ModelStay:
    """A stay of a family on an endpoint's GPU: its load began, it was ready, and it was evicted or the run ended."""

    endpoint: str
    family: str
    load_s: float
    ready_s: float = NEVER
    end_s: float = NEVER


@dataclass(slots=True)
class Outcome:
    """The outcome of the requests: seconds of the simulation's clock by request, and what the endpoints did."""

    requests: Sequence[Request]
    work_s: list[float]
    start_s: list[float]
    finish_s: list[float]
    due_s: list[float]
    loads: int = 0
    wakes: int = 0
    evictions: int = 0
    cut_off: int = 0
    busy_s: float = 0.0
    loading_s: float = 0.0
    end_s: float = 0.0
    endpoints: int = 1
    ram_peak_mib: int = 0
    endpoint: list[str] = field(default_factory=list)
    """Where each request ran; empty for a bound, which has no endpoints."""
    residencies: list[ModelStay] = field(default_factory=list)


def simulate(
    cluster: Cluster,
    requests: Sequence[Request],
    policy: SimulatedPolicy,
    progress: Callable[[int], None] | None = None,
    tick_s: float = TICK_S,
) -> Outcome:
    """Run `requests`, which are in order of arrival, until all are finished; `progress` is called with their number.

    While requests wait and nothing happens for `tick_s` seconds, the policy is told that time passed; 0: never.

    Raises:
        PhysicsError: The policy decided the impossible, or left requests waiting with nothing going on.
    """
    run = _Run(cluster, requests, policy, tick_s)
    run.whole(progress)
    return run.outcome


@dataclass(slots=True)
class _Run:
    cluster: Cluster
    requests: Sequence[Request]
    policy: SimulatedPolicy
    tick_s: float
    outcome: Outcome = field(init=False)
    machines: dict[str, Machine] = field(init=False)
    ends: list[tuple[float, str, int]] = field(default_factory=list)
    history: WorkHistory = field(default_factory=WorkHistory)
    asleep_mib: dict[str, dict[str, int]] = field(default_factory=dict)
    stays: dict[tuple[str, str], ModelStay] = field(default_factory=dict)
    """The stays that are not over, by endpoint and family."""

    def __post_init__(self) -> None:
        work = [self.cluster.work_s(each) for each in self.requests]
        number = len(work)
        self.outcome = Outcome(self.requests, work, [NEVER] * number, [NEVER] * number, [NEVER] * number)
        self.outcome.endpoints = len(self.cluster.endpoints)
        self.outcome.endpoint = [""] * number
        self.machines = {each.name: Machine(each, self.cluster.contention) for each in self.cluster.endpoints}

    def whole(self, progress: Callable[[int], None] | None) -> None:
        for spec in self.cluster.endpoints:
            self._tell(EndpointUp(spec), 0.0)
        arriving, finished, ticks, now_s, number = 0, 0, 0, 0.0, len(self.requests)
        while finished < number:
            arrival_s = self.requests[arriving].arrival_s if arriving < number else NEVER
            end_s = self._next_end_s()
            if self._is_quiet(min(arrival_s, end_s) - now_s, arriving - finished) and ticks < _MOST_TICKS:
                now_s, ticks = now_s + self.tick_s, ticks + 1
                self._tell(Tick(), now_s)
                continue
            if arrival_s == NEVER and end_s == NEVER:
                raise PhysicsError(f"{number - finished} requests wait and nothing goes on")
            now_s, ticks = min(arrival_s, end_s), 0
            if arrival_s <= end_s:
                self._arrive(arriving, arrival_s)
                arriving += 1
            else:
                finished += self._end(end_s)
                if progress is not None and finished % 1000 == 0:
                    progress(finished)
        self._sum_up()

    def _is_quiet(self, until_next_s: float, unfinished: int) -> bool:
        """Whether requests wait, and nothing happens within `tick_s` seconds."""
        if not 0 < self.tick_s < until_next_s:
            return False
        return unfinished > sum(machine.running for machine in self.machines.values())

    def _sum_up(self) -> None:
        self.outcome.end_s = max(self.outcome.finish_s)
        for stay in self.stays.values():
            stay.end_s = self.outcome.end_s
        self.outcome.busy_s = sum(each.busy_s for each in self.machines.values())
        self.outcome.loading_s = sum(each.loading_s for each in self.machines.values())

    def _next_end_s(self) -> float:
        while self.ends and self.machines[self.ends[0][1]].version != self.ends[0][2]:
            heapq.heappop(self.ends)
        return self.ends[0][0] if self.ends else NEVER

    def _arrive(self, number: int, now_s: float) -> None:
        request = self.requests[number]
        work = self.history.expected((request.model, request.work_class.value))
        demand = Demand(str(number), request.model, work, now_s, request.work_class, request.tenant, request.deadline_s)
        self._tell(Arrived(demand), now_s)

    def _end(self, now_s: float) -> int:
        """Carry out the end that is due; returns how many requests it finished."""
        machine = self.machines[heapq.heappop(self.ends)[1]]
        if machine.next_end()[1]:
            family = machine.end_load(now_s)
            self.stays[machine.spec.name, family].ready_s = now_s
            self._plan(machine)
            self._tell(Loaded(machine.spec.name, family), now_s)
            return 0
        number = machine.end_first(now_s)
        self._plan(machine)
        self.outcome.finish_s[number] = now_s
        request = self.requests[number]
        self.history.observe((request.model, request.work_class.value), self.outcome.work_s[number])
        self._tell(Finished(str(number)), now_s)
        return 1

    def _tell(self, event: Event, now_s: float) -> None:
        for decision in self.policy.handle(event, now_s):
            match decision:
                case Grant():
                    self._grant(decision, now_s)
                case Evict():
                    self._evict(decision, now_s)
                case Load():
                    self._load(decision, now_s)
                case Forget(endpoint, family):
                    del self.asleep_mib[endpoint][family]

    def _grant(self, grant: Grant, now_s: float) -> None:
        number, machine = int(grant.demand), self.machines[grant.endpoint]
        family = self.requests[number].model
        if family not in machine.resident or self.outcome.start_s[number] != NEVER:
            raise PhysicsError(f"{family} is not ready on {grant.endpoint}, or its request {number} was granted before")
        machine.begin(number, family, self.outcome.work_s[number], now_s)
        self.outcome.start_s[number], self.outcome.due_s[number] = now_s, grant.due_s
        self.outcome.endpoint[number] = grant.endpoint
        self._plan(machine)

    def _evict(self, evict: Evict, now_s: float) -> None:
        machine = self.machines[evict.endpoint]
        if evict.family not in machine.resident:
            raise PhysicsError(f"{evict.family} is not ready on {evict.endpoint}, so it cannot be evicted")
        cut_off = machine.evict(evict.family, now_s)
        self.stays.pop((evict.endpoint, evict.family)).end_s = now_s
        self.outcome.evictions += 1
        self.outcome.cut_off += cut_off
        if cut_off:
            raise PhysicsError(f"evicting {evict.family} cut off {cut_off} requests")
        self._plan(machine)
        if evict.to_sleep:
            asleep = self.asleep_mib.setdefault(evict.endpoint, {})
            asleep[evict.family] = self.cluster.by_name[evict.family].size_mib
            if sum(asleep.values()) > machine.spec.ram_mib:
                raise PhysicsError(f"{evict.endpoint} has no main memory left for {evict.family}")
            self.outcome.ram_peak_mib = max(self.outcome.ram_peak_mib, sum(asleep.values()))

    def _load(self, load: Load, now_s: float) -> None:
        machine, model = self.machines[load.endpoint], self.cluster.by_name[load.family]
        if machine.loading is not None or model.size_mib > machine.free_mib or load.family in machine.resident:
            raise PhysicsError(f"{load.family} cannot be loaded on {load.endpoint} now")
        load_s = machine.spec.load_s.get(load.family, model.load_s)
        if load.wake:
            if self.asleep_mib.get(load.endpoint, {}).pop(load.family, None) is None or model.wake_s is None:
                raise PhysicsError(f"{load.family} does not sleep on {load.endpoint}")
            load_s = model.wake_s
            self.outcome.wakes += 1
        else:
            self.outcome.loads += 1
        machine.begin_load(model.family, load_s, now_s)
        stay = ModelStay(load.endpoint, load.family, now_s)
        self.stays[load.endpoint, load.family] = stay
        self.outcome.residencies.append(stay)
        self._plan(machine)

    def _plan(self, machine: Machine) -> None:
        """Plan the machine's next end, instead of the one that was planned for its older state."""
        end_s, _ = machine.next_end()
        if end_s != NEVER:
            heapq.heappush(self.ends, (end_s, machine.spec.name, machine.version))
