"""The waiting room: the groups of all families, what each demand was promised, and which goes next on an endpoint."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator

from core.scheduler.demand import Demand, Family, WorkClass
from core.scheduler.endpoint_state import EndpointState
from core.scheduler.group import DemandGroup, Waiting
from core.scheduler.reasons import Reason, ReasonCode
from core.scheduler.rotation import Rotation
from core.scheduler.usage_rates import UsageRates
from core.scheduler.weights import Weights


class WaitingRoom:
    """The demands that wait, by family."""

    def __init__(self, families: dict[str, Family], weights: Weights) -> None:
        self.families, self.weights = families, weights
        self.rates = UsageRates(weights.memory_s)
        self._groups: dict[str, DemandGroup] = {}
        self._family_of: dict[str, str] = {}
        self._rotations = {each: Rotation() for each in WorkClass}
        self._backlog_s: dict[str, float] = {}
        """The expected work that waits, by key."""
        self._order: list[tuple[float, str]] = []
        """The groups by their index if they were loaded now, the most valuable first."""
        self._place: dict[str, tuple[float, str]] = {}

    def __len__(self) -> int:
        return len(self._family_of)

    def __contains__(self, demand: str) -> bool:
        return demand in self._family_of

    def family_of(self, demand: str) -> Family:
        """The family that a waiting demand needs; raises `KeyError` when it does not wait."""
        return self.families[self._family_of[demand]]

    def demand(self, demand: str) -> Demand:
        """A waiting demand; raises `KeyError` when it does not wait."""
        return self.get(demand).demand

    def add_family(self, family: Family) -> None:
        """Make a family known, or correct what is known of it."""
        self.families[family.name] = family
        if family.name in self._groups:
            self._groups[family.name].family = family

    def get(self, demand: str) -> Waiting:
        """A demand that waits, with the start that it was promised; raises `KeyError` when it does not wait."""
        return self._groups[self._family_of[demand]].get(demand)

    def has(self, family: str) -> bool:
        """Whether anything waits for this family."""
        return family in self._groups

    def names(self) -> Iterable[str]:
        """The families that are waited for."""
        return self._groups.keys()

    def group(self, family: str) -> DemandGroup | None:
        """What waits for this family."""
        return self._groups.get(family)

    def add(self, demand: Demand, now_s: float, endpoints: int, load_s: float) -> Waiting:
        """Let a demand wait, and promise it a start; raises `KeyError` when its family is not known."""
        family = self.families[demand.family]
        self.rates.arrived(demand.family, demand.work.p50_s, now_s)
        due_s = demand.deadline_s if demand.deadline_s is not None else self._promise(demand, endpoints, load_s)
        waiting = Waiting(demand, due_s, self._rotations[demand.work_class].join(demand.key))
        if demand.family not in self._groups:
            self._groups[demand.family] = DemandGroup(family, self.weights)
        self._groups[demand.family].add(waiting)
        self._family_of[demand.id] = demand.family
        self._backlog_s[demand.key] = self._backlog_s.get(demand.key, 0.0) + demand.work.p50_s
        self._reorder(demand.family)
        return waiting

    def withdraw(self, demand: str) -> None:
        """A demand no longer waits; raises `KeyError` when it did not."""
        self._remove(demand, granted=False)

    def grant(self, waiting: Waiting) -> None:
        """A demand was granted."""
        self._remove(waiting.demand.id, granted=True)

    def ordered(self) -> Iterator[DemandGroup]:
        """The groups, the one first that would be most valuable if it had to be loaded and nothing were evicted."""
        for _, family in self._order:
            yield self._groups[family]

    def next_for(
        self, state: EndpointState, now_s: float, only: WorkClass | None = None
    ) -> tuple[Waiting, Reason] | None:
        """The demand to grant on this endpoint, of the families that are ready there; None when there is none.

        Of one class with `only`.
        """
        endpoint = state.spec.name
        groups = [
            group
            for name, resident in state.residents.items()
            if resident.is_ready
            and name not in state.leaving
            and (group := self._groups.get(name)) is not None
            and group.best(only, endpoint) is not None
        ]
        if not groups:
            return None
        if (late := self._most_at_risk(groups, now_s, only, endpoint)) is not None:
            return late, Reason(ReasonCode.PROMISED, late.demand.family, endpoint)
        if (overtaken := self._overtaken(groups, only, endpoint)) is not None:
            return overtaken, Reason(ReasonCode.TURN, overtaken.demand.family, endpoint)
        ranked = sorted(((group.index(0.0, 0.0, only, endpoint), group.family.name) for group in groups), reverse=True)
        value, family = ranked[0]
        best = self._groups[family].best(only, endpoint)
        assert best is not None, "a group without demands was kept"
        if len(ranked) == 1:
            return best, Reason(ReasonCode.ONLY_READY, family, endpoint, value)
        return best, Reason(ReasonCode.BEST_READY, family, endpoint, value, ranked[1][1], ranked[1][0])

    def _most_at_risk(
        self, groups: list[DemandGroup], now_s: float, only: WorkClass | None, endpoint: str
    ) -> Waiting | None:
        """The demand with the earliest promise, of those that would break it if they were not granted now."""
        first = (group.earliest(only, endpoint) for group in groups)
        late = [waiting for waiting in first if waiting is not None and waiting.latest_s < now_s]
        return min(late, key=lambda waiting: (waiting.due_s, waiting.demand.arrived_s), default=None)

    def _overtaken(self, groups: list[DemandGroup], only: WorkClass | None, endpoint: str) -> Waiting | None:
        """The demand that its class left behind by more rounds than a rotation allows, chat before bulk."""
        for work_class, rotation in self._rotations.items():
            if only not in (None, work_class):
                continue
            first = [top for group in groups if (top := group.longest(work_class, endpoint)) is not None]
            behind = [top for top in first if rotation.current - top.round_number >= self.weights.turns]
            if behind:
                return min(behind, key=lambda waiting: (waiting.round_number, waiting.demand.arrived_s))
        return None

    def _promise(self, demand: Demand, endpoints: int, load_s: float) -> float:
        """The start that is promised: a share of the backlog that is before this demand, and a margin.

        A backlog counts for another key only as far as that key's turns reach.
        """
        own_s = self._backlog_s.get(demand.key, 0.0) + demand.work.p50_s
        before_s = sum(min(backlog_s, own_s) for backlog_s in self._backlog_s.values()) + load_s
        weights = self.weights
        return (
            demand.arrived_s
            + weights.promise_backlog * before_s / endpoints
            + weights.promise_s
            + weights.promise_work * demand.work.p50_s
        )

    def _remove(self, demand_id: str, *, granted: bool) -> None:
        family = self._family_of.pop(demand_id)
        group = self._groups[family]
        waiting = group.remove(demand_id)
        demand = waiting.demand
        self._rotations[demand.work_class].leave(waiting.round_number, granted=granted)
        left_s = self._backlog_s[demand.key] - demand.work.p50_s
        if left_s > 1e-9:
            self._backlog_s[demand.key] = left_s
        else:
            del self._backlog_s[demand.key]
        if not group:
            del self._groups[family]
        self._reorder(family)

    def _reorder(self, family: str) -> None:
        """Put a group where its index belongs."""
        old = self._place.pop(family, None)
        if old is not None:
            del self._order[bisect_left(self._order, old)]
        group = self._groups.get(family)
        if group is not None:
            place = (-group.index(group.family.load_s, 0.0), family)
            insort(self._order, place)
            self._place[family] = place
