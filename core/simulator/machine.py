"""A simulated endpoint: shares its speed among what runs there, and loads families beside."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import Final

from core.scheduler.demand import EndpointSpec, Family

NEVER: Final = float("inf")


@dataclass(slots=True)
class Machine:
    """One endpoint. What runs shares the endpoint's speed equally (processor sharing); one load runs beside it.

    `resident` counts what runs on each family that is ready. Seconds are of the simulation's clock.
    """

    spec: EndpointSpec
    contention: float = 0.0
    resident: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    loading: str | None = None
    version: int = 0
    """Counts changes, so that a planned end of an older state is recognised."""
    busy_s: float = 0.0
    loading_s: float = 0.0
    _served: float = 0.0
    """The work that each running demand has got since the simulation began."""
    _load_left: float = 0.0
    _at_s: float = 0.0
    _running: list[tuple[float, int, str]] = field(default_factory=list)

    @property
    def running(self) -> int:
        """How many demands run."""
        return len(self._running)

    def numbers(self) -> list[int]:
        """The numbers of the demands that run."""
        return sorted(number for _, number, _ in self._running)

    @property
    def free_mib(self) -> int:
        """Memory that no family has."""
        return self.spec.memory_mib - sum(self.sizes.values())

    def begin(self, number: int, family: str, work_s: float, now_s: float) -> None:
        """Run a demand on a family that is ready."""
        self._advance(now_s)
        self.resident[family] += 1
        heapq.heappush(self._running, (self._served + work_s, number, family))

    def end_first(self, now_s: float) -> int:
        """End the demand that is finished now; returns its number."""
        self._advance(now_s)
        _, number, family = heapq.heappop(self._running)
        self.resident[family] -= 1
        return number

    def begin_load(self, family: Family, load_s: float, now_s: float) -> None:
        """Begin to load a family; it has its memory at once."""
        self._advance(now_s)
        self.loading, self._load_left = family.name, load_s
        self.sizes[family.name] = family.memory_mib

    def end_load(self, now_s: float) -> str:
        """The load is finished; returns its family."""
        self._advance(now_s)
        assert self.loading is not None, "no load to finish"
        family, self.loading = self.loading, None
        self.resident[family] = 0
        return family

    def evict(self, family: str, now_s: float) -> int:
        """Remove a family; returns how many demands ran on it and were cut off."""
        self._advance(now_s)
        del self.sizes[family]
        return self.resident.pop(family)

    def next_end(self) -> tuple[float, bool]:
        """When the next demand or load ends, and whether it is the load; `NEVER` when nothing goes on."""
        serve_rate, load_rate = self._rates()
        serve_s = (self._running[0][0] - self._served) / serve_rate if self._running else NEVER
        load_s = self._load_left / load_rate if self.loading is not None else NEVER
        return self._at_s + max(0.0, min(serve_s, load_s)), load_s < serve_s

    def _rates(self) -> tuple[float, float]:
        """The work that each running demand gets in a second, and the seconds of loading done in one."""
        both = self.loading is not None and bool(self._running)
        speed = 1.0 - self.contention if both else 1.0
        return speed / max(1, len(self._running)), speed

    def _advance(self, now_s: float) -> None:
        passed_s = now_s - self._at_s
        if passed_s > 0:
            serve_rate, load_rate = self._rates()
            if self._running:
                self._served += passed_s * serve_rate
                self.busy_s += passed_s
            if self.loading is not None:
                self._load_left = max(0.0, self._load_left - passed_s * load_rate)
                self.loading_s += passed_s
            self._at_s = now_s
        self.version += 1
