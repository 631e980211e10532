"""The scheduler: keeps what waits and what is resident, and answers each event with its decisions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from core.scheduler import events
from core.scheduler.demand import Demand, EndpointSpec, Family, WorkClass
from core.scheduler.endpoint_state import EndpointState, Resident
from core.scheduler.events import Decision, EndpointEvent, Event, Evict, Forget, Grant, Load
from core.scheduler.homes import Homes
from core.scheduler.loading import LoadPlan, LoadPlanner
from core.scheduler.prefetch import LOOK_EVERY_S, Prefetcher
from core.scheduler.reasons import Reason, ReasonCode
from core.scheduler.waiting_room import WaitingRoom
from core.scheduler.weights import Weights

_ENDPOINTS_TRIED = 12
"""Among how many endpoints a load is placed on an arrival, those first whose loaders were idle longest."""


@dataclass(frozen=True, slots=True)
class _GrantedWork:
    """Work that was granted, with the family's stay on the endpoint that it was granted on."""

    demand: Demand
    endpoint: str
    resident: Resident


class Scheduler:
    """Decides which demand runs next on which endpoint, and which family is loaded for it.

    It never cuts off granted work, never evicts a family before it served, and loads one family at a time on each
    endpoint, beside the work that runs there. Times are seconds of the caller's clock, which must not go back.
    """

    def __init__(self, families: Iterable[Family], weights: Weights | None = None) -> None:
        self.weights = weights or Weights()
        self.waiting = WaitingRoom({each.name: each for each in families}, self.weights)
        self.endpoints: dict[str, EndpointState] = {}
        self._grants: dict[str, _GrantedWork] = {}
        self._homes = Homes()
        self._planner = LoadPlanner(self.waiting, self._homes, self.weights)
        self._prefetcher = Prefetcher(self.waiting, self._homes, self.weights, self.endpoints)
        self._idle_loaders: dict[str, None] = {}
        """The endpoints that are up and load nothing, those first that were looked at longest ago."""

    def is_granted(self, demand: str) -> bool:
        """Whether a demand was granted and is not finished."""
        return demand in self._grants

    def demand_of(self, demand_id: str) -> Demand:
        """A demand that waits or was granted and is not finished; raises `KeyError` for another."""
        grant = self._grants.get(demand_id)
        return grant.demand if grant is not None else self.waiting.get(demand_id).demand

    def add_family(self, family: Family) -> None:
        """Make a family known, or correct what is known of it; what is resident keeps what it has."""
        self.waiting.add_family(family)

    def handle(self, event: Event, now_s: float) -> tuple[Decision, ...]:
        """Take note of an event, and decide what it makes possible; evictions come before the load that needs them.

        Raises `KeyError` for a demand, a family or an endpoint that is not known.
        """
        match event:
            case events.Arrived(demand):
                self.waiting.add(demand, now_s, max(1, len(self.endpoints)), self._loads_before_s(demand.family))
                return self._for_family(demand.family, demand.work_class, now_s)
            case events.Withdrawn(demand_id):
                self.waiting.withdraw(demand_id)
                return ()
            case events.Finished(demand_id):
                return self._at(self._finish(demand_id), now_s)
            case events.Held(demand_id, until_s):
                return self._at(self._hold(demand_id, until_s), now_s)
            case events.Tick():
                return tuple(decision for state in list(self.endpoints.values()) for decision in self._at(state, now_s))
            case _:
                return self._handle_endpoint(event, now_s)

    def _handle_endpoint(self, event: EndpointEvent, now_s: float) -> tuple[Decision, ...]:
        """Take note of what happened on an endpoint."""
        match event:
            case events.EndpointUp(spec, residents, running):
                state = self._up(spec, residents)
                for demand in running:
                    self._grants.pop(demand.id, None)
                    self._adopt(demand, spec.name)
                return self._at(state, now_s)
            case events.EndpointDown(endpoint):
                lost = self._forget(endpoint) if endpoint in self.endpoints else []
                return tuple(each for family in lost for each in self._for_family(family, WorkClass.CHAT, now_s))
            case events.Loaded(endpoint, family):
                return self._at(self._ready(endpoint, family), now_s)
            case events.LoadFailed(endpoint, family, retry_s):
                return self._without(endpoint, family, retry_s, now_s)
            case events.Vanished(endpoint, family):
                return self._without(endpoint, family, now_s, now_s)
            case events.Appeared(endpoint, family):
                return self._at(self._appear(endpoint, family), now_s)
            case events.Adopted(demand, endpoint):
                self._adopt(demand, endpoint)
                return ()
            case events.MemoryChanged() | events.Measured():
                return self._at(self._remember(event), now_s)
            case _:
                assert_never(event)

    def why(self, demand_id: str, now_s: float) -> Reason:
        """Why a demand still waits; raises `KeyError` when it does not wait."""
        family = self.waiting.family_of(demand_id)
        pinned = self.waiting.demand(demand_id).only_on
        able = [state for name, state in self.endpoints.items() if family.can_be_on(name) and pinned in ("", name)]
        for state in (state for state in able if family.name in state.residents):
            code = ReasonCode.WAITS_FOR_SLOT if state.is_ready(family.name) else ReasonCode.WAITS_FOR_LOAD
            return Reason(code, family.name, state.spec.name)
        usable = [state for state in able if family.memory_mib <= state.memory_mib]
        if not usable:
            return Reason(ReasonCode.TOO_LARGE if able else ReasonCode.NO_ENDPOINT, family.name)
        return self._planner.why_absent(family, usable, now_s)

    def _finish(self, demand_id: str) -> EndpointState | None:
        """Take back what was granted; None when its endpoint is gone."""
        grant = self._grants.pop(demand_id)
        state = self._place_of(grant)
        if state is not None and grant.resident.holds.pop(demand_id, None) is None:
            state.stop(grant.resident, grant.demand)
        return self.endpoints.get(grant.endpoint)

    def _hold(self, demand_id: str, until_s: float) -> EndpointState | None:
        grant = self._grants[demand_id]
        state = self._place_of(grant)
        if state is not None:
            if demand_id not in grant.resident.holds:
                state.stop(grant.resident, grant.demand)
            grant.resident.holds[demand_id] = until_s
        return state

    def _place_of(self, grant: _GrantedWork) -> EndpointState | None:
        """The endpoint of granted work, unless that or the family that it was granted on is gone meanwhile."""
        state = self.endpoints.get(grant.endpoint)
        is_there = state is not None and state.residents.get(grant.demand.family) is grant.resident
        return state if is_there else None

    def _ready(self, endpoint: str, family: str) -> EndpointState | None:
        state = self.endpoints.get(endpoint)
        if state is not None and state.loading == family:
            state.loading = None
            state.residents[family].is_ready = True
            self._idle_loaders[endpoint] = None
        return state

    def _up(self, spec: EndpointSpec, residents: tuple[str, ...]) -> EndpointState:
        if spec.name in self.endpoints:
            self._forget(spec.name)
        state = EndpointState(spec, spec.memory_mib)
        self.endpoints[spec.name] = state
        self._idle_loaders[spec.name] = None
        for family in residents:
            state.add(Resident(self.waiting.families[family], is_ready=True, has_served=True))
            self._homes.enter(family, spec.name)
        return state

    def _remember(self, event: events.MemoryChanged | events.Measured) -> EndpointState:
        state = self.endpoints[event.endpoint]
        if isinstance(event, events.Measured):
            state.correct(event.family, event.memory_mib)
        else:
            state.memory_mib = event.memory_mib
        return state

    def _appear(self, endpoint: str, family: str) -> EndpointState:
        """A family is resident, also if another program loaded it; nothing changes if it is being loaded from here."""
        state = self.endpoints[endpoint]
        if family not in state.residents:
            state.add(Resident(self.waiting.families[family], is_ready=True, has_served=True))
            self._homes.enter(family, endpoint)
        return state

    def _adopt(self, demand: Demand, endpoint: str) -> None:
        state = self._appear(endpoint, demand.family)
        resident = state.start(demand)
        self._grants[demand.id] = _GrantedWork(demand, endpoint, resident)
        self._homes.update(state)

    def _forget(self, endpoint: str) -> list[str]:
        """Remove an endpoint; returns the families that were resident on it."""
        state = self.endpoints.pop(endpoint)
        self._idle_loaders.pop(endpoint, None)
        for family in state.residents:
            self._homes.leave(family, endpoint)
        return list(state.residents)

    def _without(self, endpoint: str, family: str, retry_s: float, now_s: float) -> tuple[Decision, ...]:
        """A family is not resident any more, whatever ran on it, and is not loaded here again before `retry_s`."""
        state = self.endpoints.get(endpoint)
        if state is None:
            return ()
        if state.remove(family) is not None:
            self._homes.leave(family, endpoint)
        state.retry_s[family] = retry_s
        if state.loading is None:
            self._idle_loaders[endpoint] = None
        return (*self._at(state, now_s), *self._for_family(family, WorkClass.CHAT, now_s))

    def _at(self, state: EndpointState | None, now_s: float) -> tuple[Decision, ...]:
        """What can be done on one endpoint now."""
        if state is None:
            return ()
        decisions = [*self._serve(state, now_s), *self._consider_load([state], now_s)]
        if state.loading is None and not state.leaving and now_s >= state.prefetch_s and self.weights.ahead_s:
            state.prefetch_s = now_s + LOOK_EVERY_S
            if (plan := self._prefetcher.plan(state, now_s)) is not None:
                decisions += self._carry_out(plan)
        return tuple(decisions)

    def _for_family(self, family: str, work_class: WorkClass, now_s: float) -> tuple[Decision, ...]:
        """What can be done now for a family that work of this class waits for."""
        decisions: list[Decision] = []
        for home in self._homes.open_for(family, work_class, _ENDPOINTS_TRIED):
            if not self.waiting.has(family):
                break
            decisions += self._serve(self.endpoints[home], now_s)
        if self.waiting.has(family):
            names = [name for name, _ in zip(self._idle_loaders, range(_ENDPOINTS_TRIED), strict=False)]
            for name in names:  # those that were looked at go to the end
                self._idle_loaders.pop(name)
                self._idle_loaders[name] = None
            decisions += self._consider_load([self.endpoints[name] for name in names], now_s, family)
        return tuple(decisions)

    def _serve(self, state: EndpointState, now_s: float) -> list[Decision]:
        """Grant waiting demands while the endpoint has a slot and a resident family is waited for."""
        decisions: list[Decision] = []
        if state.room_for and not self._makes_room(state):
            state.make_room("", ())
        while state.has_slot or state.has_chat_slot:
            choice = self.waiting.next_for(state, now_s, None if state.has_slot else WorkClass.CHAT)
            if choice is None or not (state.has_slot or self._may_share(state, choice[0].demand)):
                break
            waiting, reason = choice
            self.waiting.grant(waiting)
            resident = state.start(waiting.demand)
            self._grants[waiting.demand.id] = _GrantedWork(waiting.demand, state.spec.name, resident)
            decisions.append(Grant(waiting.demand.id, state.spec.name, reason, waiting.due_s))
        self._homes.update(state)
        return decisions

    def _may_share(self, state: EndpointState, chat: Demand) -> bool:
        """Whether a chat begins beside bulk work, which saves the chat more than it costs that: both run slower."""
        weights = self.weights
        running_s = sum(each.running_work_s for each in state.residents.values()) / max(1, state.running)
        return weights.chat * (running_s - chat.work.p50_s) > weights.bulk * chat.work.p50_s

    def _consider_load(self, states: list[EndpointState], now_s: float, family: str = "") -> list[Decision]:
        """Load the most valuable absent group on one of these endpoints, if that is worth what it evicts."""
        idle = [state for state in states if state.loading is None and (not family or not self._makes_room(state))]
        plan = self._planner.best(idle, now_s, family)
        made_room = [state for state in idle if state.leaving]
        for state in idle:
            state.make_room("", ())
        decisions: list[Decision] = []
        if plan is not None and plan.is_busy:
            plan.endpoint.make_room(plan.family.name, (victim.family.name for victim in plan.victims))
        elif plan is not None:
            decisions += self._carry_out(plan)
        for state in made_room:  # what was to leave and stays may get work again
            decisions += self._serve(state, now_s)
        return decisions

    def _makes_room(self, state: EndpointState) -> bool:
        """Whether families become idle on this endpoint for one that is still waited for."""
        return bool(state.room_for) and self.waiting.has(state.room_for)

    def _carry_out(self, plan: LoadPlan) -> list[Decision]:
        state, family = plan.endpoint, plan.family
        wake = family.wake_s is not None and family.name in state.asleep
        decisions: list[Decision] = []
        for victim in plan.victims:
            state.remove(victim.family.name)
            self._homes.leave(victim.family.name, state.spec.name)
            for sleeper in victim.forget:
                del state.asleep[sleeper]
                decisions.append(Forget(state.spec.name, sleeper))
            decisions.append(Evict(state.spec.name, victim.family.name, victim.to_sleep))
            if victim.to_sleep:
                state.asleep[victim.family.name] = victim.family
        state.add(Resident(family))
        state.loading = family.name
        self._idle_loaders.pop(state.spec.name, None)
        self._homes.enter(family.name, state.spec.name)
        return [*decisions, Load(state.spec.name, family.name, plan.reason, wake)]

    def _loads_before_s(self, family: str) -> float:
        """The loads of all families that are waited for and resident nowhere, `family` included."""
        names = {family, *self.waiting.names()}
        return sum(self.waiting.families[name].load_s for name in names if name not in self._homes)
