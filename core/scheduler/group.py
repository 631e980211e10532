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
    """The demands of one class with the same worth and expected work that the same endpoints may serve.

    `line` is a heap by round and arrival.
    """

    work_class: WorkClass
    only_on: str
    worth: float
    work_s: float
    count: int = 0
    line: list[tuple[int, float, int, str]] = field(default_factory=list)


class DemandGroup:
    """The waiting demands of one family; adding and removing one costs the logarithm of their number.

    Demands of one class, weight and expected work share a bucket. Expected work comes from history and weights from
    priorities, so buckets are few. With `at`, only what that endpoint may serve counts; empty: everything.
    """

    def __init__(self, family: Family, weights: Weights) -> None:
        self.family, self._weights = family, weights
        self.work_s = 0.0
        self._worth = 0.0
        self._worth_arrived_s = 0.0
        """The sums of the demands' worths, and of worth times arrival."""
        self._waiting: dict[str, Waiting] = {}
        self._buckets: dict[tuple[WorkClass, float, float, str], _Bucket] = {}
        self._in_order: dict[tuple[WorkClass | None, str], list[_Bucket]] = {}
        """The buckets by worth for their work, as they were looked at last; empty after one came or went."""
        self._by_latest: dict[tuple[WorkClass, str], list[tuple[float, int, str]]] = {}
        self._by_round: dict[tuple[WorkClass, str], list[tuple[int, float, int, str]]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def is_waited_at(self, endpoint: str) -> bool:
        """Whether this endpoint may serve any of the demands."""
        return any(each.only_on in ("", endpoint) for each in self._buckets.values())

    def has_pinned(self, endpoint: str) -> bool:
        """Whether no other endpoint may serve some of the demands."""
        return any(each.only_on == endpoint for each in self._buckets.values())

    def get(self, demand_id: str) -> Waiting:
        """A demand that waits here; raises `KeyError` when it does not."""
        return self._waiting[demand_id]

    def add(self, waiting: Waiting) -> None:
        """Add a demand."""
        demand = waiting.demand
        entry = (waiting.round_number, demand.arrived_s, next(_sequence), demand.id)
        self._waiting[demand.id] = waiting
        bucket = self._bucket_of(demand)
        bucket.count += 1
        self.work_s += demand.work.p50_s
        self._worth += bucket.worth
        self._worth_arrived_s += bucket.worth * demand.arrived_s
        heapq.heappush(bucket.line, entry)
        place = (demand.work_class, demand.only_on)
        heapq.heappush(self._by_round.setdefault(place, []), entry)
        heapq.heappush(self._by_latest.setdefault(place, []), (waiting.latest_s, entry[2], demand.id))

    def remove(self, demand_id: str) -> Waiting:
        """Remove a demand; raises `KeyError` when it does not wait here."""
        waiting = self._waiting.pop(demand_id)
        demand = waiting.demand
        key = _bucket_key(demand)
        bucket = self._buckets[key]
        bucket.count -= 1
        if bucket.count == 0:
            del self._buckets[key]
            self._in_order.clear()
        self.work_s -= demand.work.p50_s
        self._worth -= bucket.worth
        self._worth_arrived_s -= bucket.worth * demand.arrived_s
        if not self._waiting:  # what rounding left
            self.work_s = self._worth = self._worth_arrived_s = 0.0
        return waiting

    def waited_s(self, now_s: float) -> float:
        """How long the demands have waited in all, each second times what the demand is worth."""
        return self._worth * now_s - self._worth_arrived_s

    def index(self, delay_s: float, cost_s: float, only: WorkClass | None = None, at: str = "") -> float:
        """The policy's index: worth a second of the best share of this group, after `delay_s` of loading and `cost_s`.

        The demands are taken by worth for their work, as long as that raises the ratio; of one class with `only`.
        """
        worth, spent_s = 0.0, delay_s + cost_s
        best = 0.0
        for bucket in self._by_worth(only, at):
            if worth and bucket.worth * spent_s <= worth * bucket.work_s:
                break
            worth += bucket.worth * bucket.count
            spent_s += bucket.work_s * bucket.count
            best = worth / spent_s if spent_s > 0 else float("inf")
        return best * (1 + self._weights.load_age * delay_s)

    def earliest(self, only: WorkClass | None = None, at: str = "") -> Waiting | None:
        """The demand whose promise is at risk first; of one class with `only`."""
        tops = [
            self._top(heap)
            for (work_class, only_on), heap in self._by_latest.items()
            if only in (None, work_class) and _may_serve(at, only_on)
        ]
        return min((top for top in tops if top is not None), key=lambda top: top.latest_s, default=None)

    def longest(self, work_class: WorkClass, at: str = "") -> Waiting | None:
        """The demand of a class whose turn came first."""
        heaps = [heap for place, heap in self._by_round.items() if place[0] is work_class and _may_serve(at, place[1])]
        tops = [top for heap in heaps if (top := self._top(heap)) is not None]
        return min(tops, key=lambda top: (top.round_number, top.demand.arrived_s), default=None)

    def best(self, only: WorkClass | None = None, at: str = "") -> Waiting | None:
        """The demand that is worth most for its work, the one first whose turn came first; of one class with `only`."""
        buckets = self._by_worth(only, at)
        if not buckets:
            return None
        ratio = _by_ratio(buckets[0])
        tops = [top for each in buckets if _by_ratio(each) == ratio and (top := self._top(each.line)) is not None]
        return min(tops, key=lambda top: (top.round_number, top.demand.arrived_s), default=None)

    def _by_worth(self, only: WorkClass | None, at: str) -> list[_Bucket]:
        in_order = self._in_order.get((only, at))
        if in_order is None:
            every = self._buckets.values()
            buckets = [each for each in every if only in (None, each.work_class) and _may_serve(at, each.only_on)]
            in_order = self._in_order[only, at] = sorted(buckets, key=_by_ratio)
        return in_order

    def _bucket_of(self, demand: Demand) -> _Bucket:
        key = _bucket_key(demand)
        if key not in self._buckets:
            self._in_order.clear()
            worth = self._weights.of_class(demand.work_class) * demand.weight
            self._buckets[key] = _Bucket(demand.work_class, demand.only_on, worth, demand.work.p50_s)
        return self._buckets[key]

    def _top(self, heap: list[Any]) -> Waiting | None:
        """The first entry whose demand still waits; those that do not are dropped."""
        while heap:
            waiting = self._waiting.get(str(heap[0][-1]))
            if waiting is not None:
                return waiting
            heapq.heappop(heap)
        return None


def _bucket_key(demand: Demand) -> tuple[WorkClass, float, float, str]:
    return (demand.work_class, demand.work.p50_s, demand.weight, demand.only_on)


def _may_serve(at: str, only_on: str) -> bool:
    """Whether an endpoint may serve what is for `only_on`; an empty `at` stands for all endpoints."""
    return not at or only_on in ("", at)


def _by_ratio(bucket: _Bucket) -> tuple[float, float]:
    """Sorts what is worth most for its work to the front; work that costs nothing is first."""
    return (-bucket.worth / bucket.work_s if bucket.work_s > 0 else float("-inf"), bucket.work_s)
