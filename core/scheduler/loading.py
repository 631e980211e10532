"""Planning loads: which absent family is worth loading on which endpoint, and what is evicted for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from core.scheduler.demand import Family, WorkClass
from core.scheduler.endpoint_state import EndpointState, Resident
from core.scheduler.group import DemandGroup
from core.scheduler.homes import Homes
from core.scheduler.reasons import Reason, ReasonCode
from core.scheduler.waiting_room import WaitingRoom
from core.scheduler.weights import Weights

_GROUPS_TRIED = 12
"""How many absent groups are compared exactly, the most valuable first."""


@dataclass(frozen=True, slots=True)
class Victim:
    """A family to evict; with `to_sleep` it stays in main memory, where the families in `forget` make room for it."""

    family: Family
    to_sleep: bool = False
    forget: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """A load with its evictions. `margin` is by how much it is worth more than what it must beat.

    With `is_busy` work still runs on what is to be evicted: it gets no more, and the load is planned again once idle.
    That is done for chats that would wait for bulk work only; between equals it costs more than it saves.
    """

    endpoint: EndpointState
    family: Family
    victims: tuple[Victim, ...]
    margin: float
    reason: Reason
    is_busy: bool = False


@dataclass(frozen=True, slots=True)
class LoadPlanner:
    """Compares what loads are worth; it changes nothing."""

    waiting: WaitingRoom
    homes: Homes
    weights: Weights

    def best(self, states: Iterable[EndpointState], now_s: float, family: str = "") -> LoadPlan | None:
        """The best load on one of these endpoints, which load nothing; of `family` only, if one is named.

        A load for a promise that is at risk goes before all others.
        """
        plans = [plan for state in states if (plan := self._best_on(state, now_s, family)) is not None]
        return max(plans, key=lambda plan: plan.margin, default=None)

    def why_absent(self, family: Family, states: Iterable[EndpointState], now_s: float) -> Reason:
        """Why a family that is waited for is not being loaded."""
        group = self.waiting.group(family.name)
        assert group is not None, "asked about a family that nothing waits for"
        blocked = Reason(ReasonCode.WAITS_FOR_MEMORY, family.name)
        for state in states:
            blocked = replace(blocked, endpoint=state.spec.name)
            victims = self._victims(state, family, now_s)
            if victims is None:
                continue
            load_s = state.load_s(family)
            value = group.index(load_s, self._cost_s(victims, now_s), at=state.spec.name)
            other, other_value = self._best_resident(state)
            if value > (1 + self.weights.hysteresis) * other_value and not self._pays(group, victims, load_s, now_s):
                missed = max(victims, key=lambda each: self.waiting.rates.per_second(each.family.name, now_s))
                return Reason(ReasonCode.SPARES, family.name, state.spec.name, value, missed.family.name)
            return Reason(ReasonCode.BEHIND, family.name, state.spec.name, value, other, other_value)
        return blocked

    def _best_on(self, state: EndpointState, now_s: float, only: str) -> LoadPlan | None:
        other, other_value = self._best_resident(state)
        best: LoadPlan | None = None
        for group in self._absent(state, now_s, only):
            victims = self._victims(state, group.family, now_s)
            is_busy = victims is None
            if victims is None and group.best(WorkClass.CHAT, state.spec.name) is not None:
                victims = self._victims(state, group.family, now_s, is_busy=True)
            if victims is None or (is_busy and self._has_chats(victims, state.spec.name)):
                continue
            load_s = state.load_s(group.family)
            idle_in_s = max((state.residents[each.family.name].running_work_s for each in victims), default=0.0)
            cost_s = self._cost_s(victims, now_s) + (idle_in_s if is_busy else 0.0)
            value = group.index(load_s, cost_s, at=state.spec.name)
            must_beat = (1 + self.weights.hysteresis) * other_value if victims else 0.0
            first = group.earliest(at=state.spec.name)
            if first is not None and first.latest_s - load_s < now_s:
                reason = Reason(ReasonCode.PROMISED, group.family.name, state.spec.name)
                plan = LoadPlan(state, group.family, victims, float("inf"), reason, is_busy)
            else:
                reason = Reason(ReasonCode.BEST_LOAD, group.family.name, state.spec.name, value, other, other_value)
                plan = LoadPlan(state, group.family, victims, value - must_beat, reason, is_busy)
            if victims and plan.margin < float("inf") and not self._pays(group, victims, load_s, now_s):
                continue
            if plan.margin > 0 and (best is None or plan.margin > best.margin):
                best = plan
        return best

    def _pays(self, group: DemandGroup, victims: Iterable[Victim], load_s: float, now_s: float) -> bool:
        """Whether a group has waited long enough for a load that makes others wait for what is evicted.

        So a large model that is rarely asked for does not evict popular ones for each single request.
        """
        stay_s = load_s + group.work_s / len(group)
        excess_s = sum(self._harm_s(victim.family, stay_s, now_s) for victim in victims) - self.weights.spared_s
        return group.waited_s(now_s) >= self.weights.patience * excess_s

    def _harm_s(self, victim: Family, stay_s: float, now_s: float) -> float:
        """The seconds that requests are likely to wait for a family that makes room for at least `stay_s` seconds.

        Those that arrive meanwhile wait for half of the stay and a load, and then the next one for a load.
        """
        copies = max(1, self.homes.number(victim.name))
        meanwhile = self.waiting.rates.per_second(victim.name, now_s) * stay_s
        return (meanwhile * (stay_s / 2 + victim.load_s) + self._need(victim, now_s) * victim.load_s) / copies**2

    def _has_chats(self, victims: Iterable[Victim], endpoint: str) -> bool:
        """Whether a chat waits for one of these families: then its work goes on, and no room is made."""
        groups = (self.waiting.group(victim.family.name) for victim in victims)
        return any(group is not None and group.best(WorkClass.CHAT, endpoint) is not None for group in groups)

    def _absent(self, state: EndpointState, now_s: float, only: str) -> Iterable[DemandGroup]:
        """The groups that could be loaded here, the most valuable first."""
        named = self.waiting.group(only) if only else None
        groups = iter([named] if named is not None else []) if only else self.waiting.ordered()
        absent = (group for group in groups if self._may_load(state, group, now_s))
        return islice(absent, _GROUPS_TRIED)

    def _may_load(self, state: EndpointState, group: DemandGroup, now_s: float) -> bool:
        family = group.family
        if family.name in state.residents or family.memory_mib > state.memory_mib:
            return False
        if not family.can_be_on(state.spec.name) or not group.is_waited_at(state.spec.name):
            return False
        if state.retry_s.get(family.name, now_s) > now_s:
            return False
        if group.has_pinned(state.spec.name):  # no other endpoint may serve these
            return True
        elsewhere = self.homes.number(family.name)
        return not elsewhere or group.work_s > self.weights.replicate * (elsewhere + 1) * state.load_s(family)

    def _best_resident(self, state: EndpointState) -> tuple[str, float]:
        """The resident family whose group has the greatest index, with that index; 0 when nothing waits for one."""
        best = ("", 0.0)
        for name in state.residents:
            group = self.waiting.group(name)
            if group is not None:
                value = group.index(0.0, 0.0, at=state.spec.name)
                if value > best[1]:
                    best = (name, value)
        return best

    def _victims(
        self, state: EndpointState, family: Family, now_s: float, *, is_busy: bool = False
    ) -> tuple[Victim, ...] | None:
        """What must be evicted so that `family` fits; None when running work leaves too little.

        The least likely to be needed again for its load time and size goes first; then each that is not needed after
        all is kept. With `is_busy`, work may still run on it.
        """
        missing_mib = family.memory_mib - state.free_mib
        if missing_mib <= 0:
            return ()
        idle = [each for each in state.residents.values() if self._is_evictable(state, each, now_s, is_busy=is_busy)]
        idle.sort(key=lambda each: self._keep(state, each.family, now_s))
        chosen: list[Family] = []
        for each in idle:
            if missing_mib <= 0:
                break
            chosen.append(each.family)
            missing_mib -= each.family.memory_mib
        if missing_mib > 0:
            return None
        for each_family in sorted(chosen, key=lambda each: each.memory_mib):
            if missing_mib + each_family.memory_mib <= 0:
                chosen.remove(each_family)
                missing_mib += each_family.memory_mib
        return self._with_sleep(state, family, chosen, now_s)

    def _keep(self, state: EndpointState, family: Family, now_s: float) -> tuple[bool, float]:
        """What it is worth to keep an idle family: the seconds of loading that each of its MiB is likely to save."""
        copies = self.homes.number(family.name) or 1
        rate = self.waiting.rates.per_second(family.name, now_s) / copies**2
        return copies == 1 and self.waiting.has(family.name), rate * state.spec.load_s.get(
            family.name, family.load_s
        ) / family.memory_mib

    def _is_evictable(self, state: EndpointState, resident: Resident, now_s: float, *, is_busy: bool) -> bool:
        """Whether nothing runs on it, nothing holds it, and it served since it was loaded or is not waited for."""
        if not resident.is_ready or (resident.running and not is_busy) or resident.is_held(now_s):
            return False
        group = self.waiting.group(resident.family.name)
        return resident.has_served or group is None or not group.is_waited_at(state.spec.name)

    def _with_sleep(
        self, state: EndpointState, family: Family, chosen: list[Family], now_s: float
    ) -> tuple[Victim, ...]:
        """The evictions, each to main memory where that has room or holds what is needed less."""
        sleepers = dict(state.asleep)
        victims: list[Victim] = []
        for each in chosen:
            forget = self._room_for(state, each, family, sleepers, now_s) if each.wake_s is not None else None
            if forget is None:
                victims.append(Victim(each))
                continue
            for name in forget:
                del sleepers[name]
            sleepers[each.name] = each
            victims.append(Victim(each, to_sleep=True, forget=forget))
        return tuple(victims)

    def _room_for(
        self, state: EndpointState, family: Family, wakes: Family, sleepers: Mapping[str, Family], now_s: float
    ) -> tuple[str, ...] | None:
        """Which sleepers must go so that `family` may sleep; None when it is needed less than they are.

        What `wakes` for the load needs its main memory until it is awake.
        """
        free_mib = state.spec.ram_mib - sum(each.memory_mib for each in sleepers.values())
        forget: list[str] = []
        for each in sorted(sleepers.values(), key=lambda each: self._density(each, now_s)):
            if free_mib >= family.memory_mib:
                break
            if each.name == wakes.name:
                continue
            if self._density(each, now_s) >= self._density(family, now_s):
                return None
            forget.append(each.name)
            free_mib += each.memory_mib
        return tuple(forget) if free_mib >= family.memory_mib else None

    def _density(self, family: Family, now_s: float) -> float:
        """The seconds that a sleeping family is expected to save, for each MiB of main memory."""
        saved_s = family.load_s - (family.wake_s or 0.0)
        return self._need(family, now_s) * saved_s / family.memory_mib

    def _cost_s(self, victims: Iterable[Victim], now_s: float) -> float:
        """The expected seconds of loading again what is evicted."""
        return sum(
            self._need(victim.family, now_s)
            / max(1, self.homes.number(victim.family.name)) ** 2
            * (victim.family.wake_s or 0.0 if victim.to_sleep else victim.family.load_s)
            for victim in victims
        )

    def _need(self, family: Family, now_s: float) -> float:
        """The probability that a family is needed again soon; 1 when it is waited for."""
        if self.waiting.has(family.name):
            return 1.0
        return self.waiting.rates.needed_within(family.name, self.weights.horizon_s, now_s)
