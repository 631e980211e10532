"""One run of the queue forward in time: jobs are claimed, models granted and loaded, and work ends, event by event."""

from __future__ import annotations

import heapq
import pickle
from collections import defaultdict, deque
from dataclasses import dataclass, field, replace
from typing import Final

from core.scheduler.demand import Demand
from core.scheduler.durations import Durations
from core.scheduler.events import Arrived, Event, Finished, Grant, Load, Loaded, Tick
from core.scheduler.scheduler import Scheduler
from core.scheduler.situation import QueuedWork, QueueSituation

HORIZON_S: Final = 24 * 3600.0
"""What does not begin within this time is not forecast."""
MOST_COST: Final = 1_000.0
"""A run that costs more ends; an event of the scheduler costs 1."""
_JOB_COST: Final = 0.05
"""What an event of a job costs that asks no model."""
MOST_WAITING: Final = 100
"""How many jobs of one worker may wait for models."""
_LATER: Final = 1_000_000
"""The place in the order of the first job that is not ready yet."""
_TICK_S: Final = 5.0
_MOST_TICKS: Final = 60
"""How often time alone may be tried to make something possible, such as a load that failed before."""


def pickled(scheduler: Scheduler) -> bytes:
    """A scheduler as bytes, of which each run makes a copy; that is faster than `copy.deepcopy`."""
    return pickle.dumps(scheduler, pickle.HIGHEST_PROTOCOL)


def copy_of(scheduler: Scheduler) -> Scheduler:
    """A scheduler in the same state, which may change without the other one."""
    copy: Scheduler = pickle.loads(pickled(scheduler))  # noqa: S301 (a copy of an object of this process)
    return copy


@dataclass(slots=True)
class _Worker:
    """A worker in a run: the jobs that take its slots, and those that wait for models."""

    offers: frozenset[str]
    number: int
    busy: int = 0
    waiting: int = 0

    @property
    def has_slot(self) -> bool:
        return self.busy < self.number and self.waiting < MOST_WAITING


@dataclass(slots=True)
class ForwardRun:
    """A run from a situation with durations of its own; `started` and `finished` are by job, or by demand without one.

    It ends when everything that waits now has begun. `copy` is the situation's scheduler, pickled once for all runs.
    """

    situation: QueueSituation
    durations: Durations
    copy: bytes | None = None
    started: dict[str, float] = field(default_factory=dict)
    finished: dict[str, float] = field(default_factory=dict)
    cost: float = 0.0
    _ends: list[tuple[float, int, Event | QueuedWork | None, str, str]] = field(default_factory=list)
    """What happens next: when, an event of the scheduler or a job that is ready, and the job and worker that end."""
    _sequence: int = 0
    _workers: dict[str, _Worker] = field(default_factory=dict)
    _scheduler: Scheduler | None = None
    _queues: dict[frozenset[str], deque[tuple[int, QueuedWork]]] = field(default_factory=dict)
    _demands: dict[str, Demand] = field(default_factory=dict)
    _jobs: dict[str, tuple[str, str, float]] = field(default_factory=dict)
    """Of each lease that is waited for for a job: the job, its worker, and how long the job takes once it begins."""
    _awaited: set[str] = field(default_factory=set)
    """What waits now, and has not begun in this run."""
    _ticks: int = 0

    def go(self) -> None:
        """Run until nothing waits, or nothing happens any more."""
        self._begin()
        now_s = self.situation.now_s
        while self._awaited or not self._queues_empty():
            if not self._ends:
                if self._scheduler is None or not len(self._scheduler.waiting) or self._ticks >= _MOST_TICKS:
                    break
                self._ticks += 1
                self._at(now_s + _TICK_S, Tick())
            at_s, _, event, job, worker = heapq.heappop(self._ends)
            now_s = at_s
            if at_s > self.situation.now_s + HORIZON_S or self.cost >= MOST_COST:
                break
            self._happen(at_s, event, job, worker)
        for at_s, _, event, job, _ in self._ends:
            if job:
                self.finished.setdefault(job, at_s)
            elif isinstance(event, Finished):
                self.finished.setdefault(event.demand, at_s)

    def _begin(self) -> None:
        situation = self.situation
        self._workers = {each.worker: _Worker(each.offers, each.number) for each in situation.slots}
        queues: dict[frozenset[str], deque[tuple[int, QueuedWork]]] = defaultdict(deque)
        offered = [each.offers for each in situation.slots]
        for place, queued in enumerate(situation.queued):
            if not any(queued.needs <= offers for offers in offered):  # what no worker can run waits without end
                continue
            if queued.ready_s > situation.now_s:
                self._awaited.add(queued.id)
                self._at(queued.ready_s, queued)
            else:
                queues[queued.needs].append((place, queued))
        self._queues = dict(queues)
        self._begin_leases()
        self._begin_running()
        self._claim(situation.now_s)

    def _begin_leases(self) -> None:
        situation = self.situation
        if self.copy is None:
            return
        scheduler: Scheduler = pickle.loads(self.copy)  # noqa: S301 (a copy of an object of this process)
        self._scheduler = scheduler
        self._demands = {each.id: each for each in situation.waiting}
        for granted in situation.granted:
            if granted.held_until_s is not None:
                end_s = max(situation.now_s, granted.held_until_s)
            else:
                elapsed_s = situation.now_s - granted.since_s
                end_s = situation.now_s + self.durations.rest_s(granted.demand.work, elapsed_s)
            self._at(end_s, Finished(granted.demand.id))
        for name, state in scheduler.endpoints.items():
            if state.loading is not None:
                whole_s = self.durations.load_s(state.load_s(state.residents[state.loading].family))
                since_s = situation.loading_since_s.get(name, situation.now_s)
                self._at(max(situation.now_s, since_s + whole_s), Loaded(name, state.loading))
        if situation.recent:
            self._at(situation.now_s + self._next_arrival_s(), None)

    def _begin_running(self) -> None:
        situation = self.situation
        leases = {each.id for each in situation.waiting}
        for running in situation.running:
            worker = self._workers.get(running.worker)
            rest_s = self.durations.rest_s(running.work, running.elapsed_s)
            if running.lease in leases:
                assert running.lease is not None, "None is no lease"
                self._jobs[running.lease] = (running.id, running.worker, self.durations.whole_s(running.work))
                self._awaited.add(running.id)
                if worker is not None:
                    worker.waiting += 1
                continue
            if worker is not None:
                worker.busy += 1
            self._at(situation.now_s + rest_s, None, running.id, running.worker)
        self._awaited |= leases - self._jobs.keys()

    def _queues_empty(self) -> bool:
        return not any(self._queues.values())

    def _happen(self, at_s: float, event: Event | QueuedWork | None, job: str, worker_name: str) -> None:
        if isinstance(event, QueuedWork):
            self._sequence += 1  # it goes after what is ready already
            self._queues.setdefault(event.needs, deque()).append((_LATER + self._sequence, event))
            event = None
        elif job:
            self.finished[job] = at_s
            worker = self._workers.get(worker_name)
            if worker is not None:
                worker.busy -= 1
        elif event is None:
            self._arrive_again(at_s)
        if event is not None and self._scheduler is not None:
            if isinstance(event, Finished):
                if not self._scheduler.is_granted(event.demand):
                    return
                self.finished.setdefault(event.demand, at_s)
            self._tell(event, at_s)
        self.cost += _JOB_COST
        self._claim(at_s)

    def _claim(self, now_s: float) -> None:
        """Give the slots that are free the next jobs that fit them."""
        for name, worker in self._workers.items():
            while worker.has_slot:
                fitting = [queue for needs, queue in self._queues.items() if queue and needs <= worker.offers]
                if not fitting:
                    break
                _, queued = min(fitting, key=lambda queue: queue[0][0]).popleft()
                self._run_job(queued, name, worker, now_s)

    def _run_job(self, queued: QueuedWork, name: str, worker: _Worker, now_s: float) -> None:
        work_s = self.durations.whole_s(queued.work)
        demand = queued.demand
        if demand is None or self._scheduler is None or demand.family not in self._scheduler.waiting.families:
            self.started[queued.id] = now_s
            self._awaited.discard(queued.id)
            worker.busy += 1
            self._at(now_s + work_s, None, queued.id, name)
            return
        worker.waiting += 1
        self._awaited.add(queued.id)
        self._jobs[demand.id] = (queued.id, name, work_s)
        self._demands[demand.id] = demand
        self._tell(Arrived(replace(demand, arrived_s=now_s)), now_s)

    def _tell(self, event: Event, now_s: float) -> None:
        """Tell the scheduler of an event, and carry out what it decides."""
        assert self._scheduler is not None, "there is an event of models without a scheduler"
        self.cost += 1.0
        for decision in self._scheduler.handle(event, now_s):
            if isinstance(decision, Grant):
                self._grant(decision.demand, now_s)
            elif isinstance(decision, Load):
                state = self._scheduler.endpoints[decision.endpoint]
                family = state.residents[decision.family].family
                load_s = family.wake_s if decision.wake and family.wake_s is not None else state.load_s(family)
                self._at(now_s + self.durations.load_s(load_s), Loaded(decision.endpoint, decision.family))

    def _grant(self, lease: str, now_s: float) -> None:
        end_s = now_s + self.durations.whole_s(self._demands[lease].work)
        self._at(end_s, Finished(lease))
        if lease not in self._jobs:
            if lease in self._awaited:
                self.started[lease] = now_s
                self._awaited.discard(lease)
            return
        job, name, work_s = self._jobs.pop(lease)
        self.started[job] = now_s
        self._awaited.discard(job)
        worker = self._workers.get(name)
        if worker is not None:
            worker.waiting -= 1
            worker.busy += 1
        self._at(max(end_s, now_s + work_s), None, job, name)

    def _arrive_again(self, now_s: float) -> None:
        """Something like what arrived recently arrives."""
        assert self._scheduler is not None, "demands arrive without a scheduler"
        template = self.durations.random.choice(self.situation.recent)
        self._at(now_s + self._next_arrival_s(), None)
        if template.family not in self._scheduler.waiting.families:
            return
        self._sequence += 1
        demand = replace(template, id=f"later.{self._sequence}", arrived_s=now_s, deadline_s=None)
        self._demands[demand.id] = demand
        self._tell(Arrived(demand), now_s)

    def _next_arrival_s(self) -> float:
        return self.durations.random.expovariate(len(self.situation.recent) / self.situation.window_s)

    def _at(self, at_s: float, event: Event | QueuedWork | None, job: str = "", worker: str = "") -> None:
        self._sequence += 1
        heapq.heappush(self._ends, (at_s, self._sequence, event, job, worker))
