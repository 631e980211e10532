"""A simulated policy that forecasts while it schedules, and what its forecasts were worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from core.model.queue_forecast import Interval
from core.scheduler.demand import Demand
from core.scheduler.events import Arrived, Decision, Event, Finished, Grant, Load, Loaded
from core.scheduler.forecast import forecast
from core.scheduler.forward_run import copy_of
from core.scheduler.scheduler import Scheduler
from core.scheduler.situation import GrantedWork, QueueSituation

WINDOW_S = 900.0


@dataclass
class ForecastingScheduler:
    """The scheduler, with a forecast of everything that waits after each `every`-th arrival from `since_s` on."""

    scheduler: Scheduler
    every: int = 10
    since_s: float = 600.0
    forecasts: list[tuple[float, str, Interval]] = field(default_factory=list)
    """When each was made, of which demand, and when it was expected to start."""
    started_s: dict[str, float] = field(default_factory=dict)
    _demands: dict[str, Demand] = field(default_factory=dict)
    _running: dict[str, float] = field(default_factory=dict)
    _recent: list[Demand] = field(default_factory=list)
    _loading_s: dict[str, float] = field(default_factory=dict)
    _arrivals: int = 0

    def handle(self, event: Event, now_s: float) -> Sequence[Decision]:
        """See `Scheduler.handle`."""
        if isinstance(event, Arrived):
            self._demands[event.demand.id] = event.demand
            self._recent.append(event.demand)
        elif isinstance(event, Finished):
            self._running.pop(event.demand)
        elif isinstance(event, Loaded):
            self._loading_s.pop(event.endpoint, None)
        decisions = self.scheduler.handle(event, now_s)
        for decision in decisions:
            if isinstance(decision, Grant):
                self.started_s[decision.demand] = self._running[decision.demand] = now_s
            elif isinstance(decision, Load):
                self._loading_s[decision.endpoint] = now_s
        if isinstance(event, Arrived):
            self._arrivals += 1
            if self._arrivals % self.every == 0 and now_s >= self.since_s:
                self._forecast(now_s)
        return decisions

    def _forecast(self, now_s: float) -> None:
        self._recent = [each for each in self._recent if each.arrived_s > now_s - WINDOW_S]
        situation = QueueSituation(
            now_s,
            slots=(),
            scheduler=copy_of(self.scheduler),
            waiting=[each for id_, each in self._demands.items() if id_ in self.scheduler.waiting],
            granted=[GrantedWork(self._demands[id_], since_s) for id_, since_s in self._running.items()],
            loading_since_s=dict(self._loading_s),
            recent=self._recent,
            window_s=min(WINDOW_S, now_s),
        )
        for id_, made in forecast(situation, seed=self._arrivals).items():
            if made.start is not None and id_ in self.scheduler.waiting:
                self.forecasts.append((now_s, id_, made.start))

    def hits(self) -> tuple[int, int]:
        """How many of the forecasts contained the actual start, and how many there were; a second counts as equal."""
        inside = [
            start.low - 1.0 <= self.started_s[id_] <= start.high + 1.0
            for _, id_, start in self.forecasts
            if id_ in self.started_s
        ]
        return sum(inside), len(inside)
