"""Prefetching: which family to load before it is asked for, where that is likely to save more than it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from core.scheduler.demand import Family
from core.scheduler.endpoint_state import EndpointState
from core.scheduler.homes import Homes
from core.scheduler.loading import LoadPlan, Victim
from core.scheduler.reasons import Reason, ReasonCode
from core.scheduler.waiting_room import WaitingRoom
from core.scheduler.weights import Weights

_HOMES_COMPARED = 3
_MOST_COPIES = 2
LOOK_EVERY_S = 5.0
"""How often an endpoint whose loader is idle is looked at; a rate of arrivals changes no faster."""


@dataclass(frozen=True, slots=True)
class Prefetcher:
    """Plans loads that nothing waits for; it changes nothing.

    A stay is worth the seconds of waiting that it is likely to save each second: the family's rate of arrivals times
    its load time, or for a second copy times what a request waits while the other endpoint is busy. What is loaded must
    be worth so much more than what is evicted that the difference, over `weights.ahead_s`, exceeds the load time.
    """

    waiting: WaitingRoom
    homes: Homes
    weights: Weights
    endpoints: Mapping[str, EndpointState]

    def plan(self, state: EndpointState, now_s: float) -> LoadPlan | None:
        """The best load on an endpoint whose loader is idle; None when every one costs more than it is worth."""
        plans = [
            plan
            for family in self.waiting.families.values()
            if self._may_load(state, family, now_s) and (plan := self._plan(state, family, now_s)) is not None
        ]
        return max(plans, key=lambda plan: plan.margin, default=None)

    def _plan(self, state: EndpointState, family: Family, now_s: float) -> LoadPlan | None:
        value = self._worth(state, family, now_s, self.homes.number(family.name) + 1)
        load_s = state.load_s(family)
        if value * self.weights.ahead_s <= load_s:
            return None
        victims = self._victims(state, family, now_s)
        if victims is None:
            return None
        lost = sum(self._worth(state, each, now_s, self.homes.number(each.name)) for each in victims)
        gain_s = (value - lost) * self.weights.ahead_s - load_s
        reason = Reason(ReasonCode.PREFETCH, family.name, state.spec.name, value)
        return LoadPlan(state, family, tuple(map(Victim, victims)), gain_s, reason) if gain_s > 0 else None

    def _may_load(self, state: EndpointState, family: Family, now_s: float) -> bool:
        return (
            self.homes.number(family.name) < _MOST_COPIES
            and family.name not in state.residents
            and family.memory_mib <= state.memory_mib
            and family.can_be_on(state.spec.name)
            and state.retry_s.get(family.name, now_s) <= now_s
        )

    def _victims(self, state: EndpointState, family: Family, now_s: float) -> Sequence[Family] | None:
        """Idle families that nothing waits for and whose place is enough, those first that are worth least for it."""
        missing_mib = family.memory_mib - state.free_mib
        idle = [
            each.family
            for each in state.residents.values()
            if each.is_ready and not each.running and not each.is_held(now_s) and not self.waiting.has(each.family.name)
        ]
        worth = {each.name: self._worth(state, each, now_s, self.homes.number(each.name)) for each in idle}
        chosen: list[Family] = []
        for each in sorted(idle, key=lambda each: worth[each.name] / each.memory_mib):
            if missing_mib <= 0:
                break
            chosen.append(each)
            missing_mib -= each.memory_mib
        if missing_mib > 0:
            return None
        for each in sorted(chosen, key=lambda each: -worth[each.name]):
            if missing_mib + each.memory_mib <= 0:
                chosen.remove(each)
                missing_mib += each.memory_mib
        return chosen

    def _worth(self, state: EndpointState, family: Family, now_s: float, copies: int) -> float:
        """The seconds of waiting a second that a stay on this endpoint is likely to save, as one of `copies`."""
        rate = self.waiting.rates.per_second(family.name, now_s)
        if copies <= 1:
            return rate * state.spec.load_s.get(family.name, family.load_s)
        others = [home for home in islice(self.homes.of(family.name), _HOMES_COMPARED) if home != state.spec.name]
        busy = min(self._busy(self.endpoints[home], now_s) for home in others)
        return rate * busy * self.weights.copy_s / (copies - 1)

    def _busy(self, state: EndpointState, now_s: float) -> float:
        """The share of its time for which what arrives now keeps an endpoint busy, at most 1."""
        rates = self.waiting.rates
        work = sum(rates.work_per_second(name, now_s) / self.homes.number(name) for name in state.residents)
        return min(1.0, work / state.spec.slots)
