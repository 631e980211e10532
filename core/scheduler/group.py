"""A group: the waiting demands of one family, summarised so that no decision looks at them one by one."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from core.scheduler.demand import Demand, Family, WorkClass
from core.scheduler.weights import Weights

_sequence = count()


@dataclass(frozen=True, slots=True)
class Waiting:
    """A demand in a group: the start it was promised, and its round in the rotation of its class."""

    demand: Demand
    due_s: float
    round_number: int

    @property
    def latest_s(self) -> float:
        """When it must be granted to keep its promise where the family is resident."""
        return self.due_s - self.demand.work.p80_s


@dataclass(slots=True)
class _Bucket:
    """The demands of one class with the same expected work; `line` is a heap by round and arrival."""

    worth: float
    work_s: float
    count: int = 0
    line: list[tuple[int, float, int, str]] = field(default_factory=list)


class DemandGroup:
    """The waiting demands of one family; adding and removing one costs the logarithm of their number.

    Demands of one class and expected work share a bucket. Expected work comes from history, so buckets are few.
    """

    def __init__(self, family: Family, weights: Weights) -> None:
        self.family, self._weights = family, weights
        self.work_s = 0.0
        self._waiting: dict[str, Waiting] = {}
        self._buckets: dict[tuple[WorkClass, float], _Bucket] = {}
        self._in_order: dict[WorkClass | None, list[_Bucket]] = {}
        """The buckets by worth for their work, as they were looked at last; empty after one came or went."""
        self._by_latest: dict[WorkClass, list[tuple[float, int, str]]] = {each: [] for each in WorkClass}
        self._by_round: dict[WorkClass, list[tuple[int, float, int, str]]] = {each: [] for each in WorkClass}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, waiting: Waiting) -> None:
        """Add a demand."""
        demand = waiting.demand
        entry = (waiting.round_number, demand.arrived_s, next(_sequence), demand.id)
        self._waiting[demand.id] = waiting
        bucket = self._bucket_of(demand)
        bucket.count += 1
        self.work_s += demand.work.p50_s
        heapq.heappush(bucket.line, entry)
        heapq.heappush(self._by_round[demand.work_class], entry)
        heapq.heappush(self._by_latest[demand.work_class], (waiting.latest_s, entry[2], demand.id))

    def remove(self, demand_id: str) -> Waiting:
        """Remove a demand; raises `KeyError` when it does not wait here."""
        waiting = self._waiting.pop(demand_id)
        demand = waiting.demand
        key = (demand.work_class, demand.work.p50_s)
        self._buckets[key].count -= 1
        if self._buckets[key].count == 0:
            del self._buckets[key]
            self._in_order.clear()
        self.work_s = self.work_s - demand.work.p50_s if self._waiting else 0.0
        return waiting

    def index(self, delay_s: float, cost_s: float, only: WorkClass | None = None) -> float:
        """The policy's index: worth a second of the best share of this group, after `delay_s` of loading and `cost_s`.

        The demands are taken by worth for their work, as long as that raises the ratio; of one class with `only`.
        """
        worth, spent_s = 0.0, delay_s + cost_s
        best = 0.0
        for bucket in self._by_worth(only):
            if worth and bucket.worth * spent_s <= worth * bucket.work_s:
                break
            worth += bucket.worth * bucket.count
            spent_s += bucket.work_s * bucket.count
            best = worth / spent_s if spent_s > 0 else float("inf")
        return best * (1 + self._weights.load_age * delay_s)

    def earliest(self, only: WorkClass | None = None) -> Waiting | None:
        """The demand whose promise is at risk first; of one class with `only`."""
        tops = [self._top(heap) for work_class, heap in self._by_latest.items() if only in (None, work_class)]
        return min((top for top in tops if top is not None), key=lambda top: top.latest_s, default=None)

    def longest(self, work_class: WorkClass) -> Waiting | None:
        """The demand of a class whose turn came first."""
        return self._top(self._by_round[work_class])

    def best(self, only: WorkClass | None = None) -> Waiting | None:
        """The demand that is worth most for its work, the one first whose turn came first; of one class with `only`."""
        buckets = self._by_worth(only)
        return self._top(buckets[0].line) if buckets else None

    def _by_worth(self, only: WorkClass | None) -> list[_Bucket]:
        in_order = self._in_order.get(only)
        if in_order is None:
            buckets = [each for (work_class, _), each in self._buckets.items() if only in (None, work_class)]
            in_order = self._in_order[only] = sorted(buckets, key=_by_ratio)
        return in_order

    def _bucket_of(self, demand: Demand) -> _Bucket:
        key = (demand.work_class, demand.work.p50_s)
        if key not in self._buckets:
            self._in_order.clear()
            self._buckets[key] = _Bucket(self._weights.of_class(demand.work_class), demand.work.p50_s)
        return self._buckets[key]

    def _top(self, heap: list[Any]) -> Waiting | None:
        """The first entry whose demand still waits; those that do not are dropped."""
        while heap:
            waiting = self._waiting.get(str(heap[0][-1]))
            if waiting is not None:
                return waiting
            heapq.heappop(heap)
        return None


def _by_ratio(bucket: _Bucket) -> tuple[float, float]:
    """Sorts what is worth most for its work to the front; work that costs nothing is first."""
    return (-bucket.worth / bucket.work_s if bucket.work_s > 0 else float("-inf"), bucket.work_s)
