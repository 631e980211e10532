"""Lease scheduling: tells the scheduler what the rows say, and collects what it decides for them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from core.model.inventory import ServerState
from core.model.model_lease import ANY_ENDPOINT, LeaseState, ModelLease, ModelPlace, split_model
from core.queue.lease_families import LeaseFamilies, memory_mib_of, without_home
from core.queue.model_moves import ModelMove, MoveOutcome
from core.scheduler.demand import Demand, WorkClass, weight_of_priority
from core.scheduler.events import (
    Adopted,
    Appeared,
    Arrived,
    Decision,
    EndpointDown,
    EndpointUp,
    Event,
    Evict,
    Finished,
    Grant,
    Held,
    Load,
    Loaded,
    LoadFailed,
    Measured,
    MemoryChanged,
    Tick,
    Vanished,
    Withdrawn,
)
from core.scheduler.history import WorkHistory
from core.scheduler.reasons import Reason
from core.scheduler.scheduler import Scheduler
from core.scheduler.weights import Weights
from core.services.inventory import EndpointStatus

RETRY_LOAD_S: Final = 30.0
Watcher = Callable[[Event, Sequence[Decision], float], None]
"""Is called with each event and what was decided upon it."""
EXPLAIN_EVERY_S: Final = 2.0


@dataclass(slots=True)
class Verdicts:
    """What becomes of leases: the promised start and the place of each that is granted, the reasons of the others."""

    granted: dict[str, float] = field(default_factory=dict)
    places: dict[str, ModelPlace] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.granted or self.refused or self.reasons)


def _none(_event: Event, _decisions: Sequence[Decision], _now_s: float) -> None:
    """Watches nothing."""


class LeaseScheduling:
    """The scheduler with the leases and endpoints that it knows; its families have the keys of `ModelFamily`."""

    def __init__(
        self, history: Iterable[tuple[tuple[str, ...], float]], weights: Weights | None = None, watcher: Watcher = _none
    ) -> None:
        self.scheduler = Scheduler((), weights)
        self.families = LeaseFamilies()
        self._watcher = watcher
        self._history = WorkHistory()
        for kind, seconds in history:
            self._history.observe(kind, seconds)
        self._leases: dict[str, ModelLease] = {}
        self._unknown: set[str] = set()
        """Leases that wait for what no endpoint has that may serve them."""
        self._decided: list[Decision] = []
        self._failures: dict[str, str] = {}
        """Why each family could not be loaded just now; those who wait for it are refused."""
        self._explained: dict[str, str] = {}
        self._explained_s = 0.0
        self._moved_s: dict[tuple[str, str], float] = {}
        """When each family was last moved on an endpoint: what was seen before says nothing of it any more."""

    def is_behind(self, leases: Iterable[ModelLease]) -> bool:
        """Whether a waiting lease needs an endpoint or a model that is not known here, but may have come since."""
        return any(
            (lease.only_on and lease.only_on not in self.scheduler.endpoints) or self.family_of(lease.model) is None
            for lease in leases
            if lease.state is LeaseState.WAITING
        )

    def see_endpoints(
        self, statuses: Iterable[EndpointStatus], moving: Collection[tuple[str, str]], now_s: float
    ) -> None:
        """Compare the endpoints with what is known; the families in `moving`, each on an endpoint, are left alone."""
        usable = {status.snapshot.name: status for status in statuses if status.state is ServerState.UP}
        for name in self.scheduler.endpoints.keys() - usable.keys():
            self.families.forget(name)
            self._tell(EndpointDown(name), now_s)
        residents = {name: self.families.see(status, self._in_use(name)) for name, status in usable.items()}
        self._update_families()
        for name, status in usable.items():
            if name in self.scheduler.endpoints:
                self._compare(status, residents[name], moving, now_s)
            else:
                self._bring_up(status, residents[name], now_s)
        self._look_elsewhere(now_s)
        self._tell(Tick(), now_s)

    def see_move(self, outcome: MoveOutcome, now_s: float) -> None:
        """A load ended."""
        moved = (outcome.family, *outcome.evicted)
        self._moved_s |= dict.fromkeys(((outcome.endpoint, family) for family in moved), now_s)
        if outcome.problem is None:
            self.families.expect(outcome.endpoint, outcome.family)
            self._tell(Loaded(outcome.endpoint, outcome.family), now_s)
            return
        self._failures[outcome.family] = outcome.problem
        self._tell(LoadFailed(outcome.endpoint, outcome.family, now_s + RETRY_LOAD_S), now_s)

    def see_leases(self, leases: Iterable[ModelLease], now_s: float) -> None:
        """Compare the leases that are alive with what is known of them.

        What has its slot already comes first, and a turn that begins before the one that ended, so that its model is
        not evicted in between.
        """
        alive = {lease.id: lease for lease in leases}
        ended = self._leases.keys() - alive.keys()
        for lease in sorted(alive.values(), key=lambda each: each.state is LeaseState.WAITING):
            before = self._leases.get(lease.id)
            self._leases[lease.id] = lease
            if before is None or lease.id in self._unknown:
                self._begin(lease, now_s)
            if lease.state is LeaseState.HELD and (before is None or before.state is not LeaseState.HELD):
                self._observe(lease, now_s)
                if self.scheduler.is_granted(lease.id):
                    self._tell(Held(lease.id, lease.until_at.timestamp()), now_s)
        for lease_id in ended:
            self._end(self._leases.pop(lease_id), now_s)

    def take_moves(self) -> list[ModelMove]:
        """The evictions and loads that were decided, in their order; each is returned once."""
        moves = [each for each in self._decided if isinstance(each, Evict | Load)]
        self._decided = [each for each in self._decided if not isinstance(each, Evict | Load)]
        return [ModelMove(each, self.families.place(each.endpoint, each.family).model) for each in moves]

    def take_verdicts(self, now_s: float) -> Verdicts:
        """What was decided of leases; each is returned once, and a reason when it changed."""
        grants = [each for each in self._decided if isinstance(each, Grant)]
        self._decided = [each for each in self._decided if not isinstance(each, Grant)]
        verdicts = Verdicts()
        for grant in grants:
            lease = self._leases.get(grant.demand)
            if lease is None:
                continue
            verdicts.granted[lease.id] = grant.due_s
            verdicts.places[lease.id] = self.families.place(grant.endpoint, grant.reason.family)
            self._explained.pop(lease.id, None)
        for lease_id, problem in self._hopeless(now_s).items():
            verdicts.refused[lease_id] = problem
            lease = self._leases.pop(lease_id)
            self._unknown.discard(lease_id)
            if lease_id in self.scheduler.waiting:
                self._tell(Withdrawn(lease.id), now_s)
        self._failures.clear()
        verdicts.reasons = self._reasons(now_s)
        return verdicts

    def _in_use(self, endpoint: str) -> list[str]:
        """The families that leases use on an endpoint, or keep loaded there."""
        state = self.scheduler.endpoints.get(endpoint)
        return [name for name, each in state.residents.items() if each.running or each.holds] if state else []

    def _update_families(self) -> None:
        current = {family.name: family for family in self.families.families()}
        for name, family in list(self.scheduler.waiting.families.items()):
            if name not in current:
                self.scheduler.add_family(without_home(family))
        for family in current.values():
            self.scheduler.add_family(family)

    def _bring_up(self, status: EndpointStatus, residents: Collection[str], now_s: float) -> None:
        """An endpoint can be used, perhaps again; what was granted there before still has its slots."""
        spec = self.families.spec(status)
        here = [each for each in self._leases.values() if each.granted_on == spec.name]
        running = [demand for each in here if (demand := self._granted_demand(each)) is not None]
        held = {each.id: each for each in here if each.state is LeaseState.HELD}
        self._tell(EndpointUp(spec, tuple(residents), tuple(running)), now_s)
        for demand in running:
            if demand.id in held:
                self._tell(Held(demand.id, held[demand.id].until_at.timestamp()), now_s)

    def _granted_demand(self, lease: ModelLease) -> Demand | None:
        """The demand of a lease that has its place; None if that is not known any more, or the lease waits."""
        if lease.state is LeaseState.WAITING:
            return None
        model = lease.place.model if lease.place is not None else lease.name
        family = next(iter(self.families.named(model, lease.granted_on)), None)
        return self._demand(lease, family) if family is not None else None

    def _look_elsewhere(self, now_s: float) -> None:
        """Let leases look again whose family no endpoint has any more: another family may have their model's name."""
        for lease in self._leases.values():
            if lease.id not in self.scheduler.waiting:
                continue
            if not self.families.endpoints_of(self.scheduler.waiting.demand(lease.id).family):
                self._tell(Withdrawn(lease.id), now_s)
                self._unknown.add(lease.id)

    def _begin(self, lease: ModelLease, now_s: float) -> None:
        self._unknown.discard(lease.id)
        if lease.state is not LeaseState.WAITING:
            demand = self._granted_demand(lease)
            if demand is not None and lease.granted_on in self.scheduler.endpoints:
                self._tell(Adopted(demand, lease.granted_on), now_s)
            return
        family = self.family_of(lease.model)
        if family is None:
            self._unknown.add(lease.id)
            return
        self._tell(Arrived(self._demand(lease, family)), now_s)

    def family_of(self, model: str) -> str | None:
        """The family to serve a model with: one that is loaded, else the one that most endpoints have.

        `model` is as lanes write it; None when no endpoint that gets work has it.
        """
        endpoint, name = split_model(model)
        found = self.families.named(name, "" if endpoint == ANY_ENDPOINT else endpoint)
        return max(found, key=lambda family: (self._is_loaded(family), found[family], family), default=None)

    def _is_loaded(self, family: str) -> bool:
        return any(family in state.residents for state in self.scheduler.endpoints.values())

    def _demand(self, lease: ModelLease, family: str) -> Demand:
        work = lease.work
        return Demand(
            lease.id,
            family,
            self._history.expected(lease.kind),
            lease.arrived_at.timestamp(),
            WorkClass.CHAT if work.is_chat else WorkClass.BULK,
            lease.key,
            work.deadline_at.timestamp() if work.deadline_at is not None else None,
            lease.only_on,
            weight_of_priority(work.priority),
        )

    def _end(self, lease: ModelLease, now_s: float) -> None:
        self._unknown.discard(lease.id)
        self._explained.pop(lease.id, None)
        if self.scheduler.is_granted(lease.id):
            if lease.state is not LeaseState.HELD:
                self._observe(lease, now_s)
            self._tell(Finished(lease.id), now_s)
        elif lease.id in self.scheduler.waiting:
            self._tell(Withdrawn(lease.id), now_s)

    def _observe(self, lease: ModelLease, now_s: float) -> None:
        if lease.granted_at is not None and not lease.is_reservation:
            self._history.observe(lease.kind, max(0.0, now_s - lease.granted_at.timestamp()))

    def _compare(
        self, status: EndpointStatus, residents: Collection[str], moving: Collection[tuple[str, str]], now_s: float
    ) -> None:
        """Tell of models that came or went by themselves, and of memory that another process took."""
        name, checked_at = status.snapshot.name, status.snapshot.checked_at
        state = self.scheduler.endpoints[name]
        seen_s = checked_at.timestamp() if checked_at is not None else 0.0
        outdated = {family for (at, family), moved_s in self._moved_s.items() if at == name and moved_s >= seen_s}
        outdated |= {family for at, family in moving if at == name}
        known = {family for family, resident in state.residents.items() if resident.is_ready and not resident.running}
        for family in known - set(residents) - outdated:
            self._tell(Vanished(name, family), now_s)
        for family in set(residents) - state.residents.keys() - outdated:
            self._tell(Appeared(name, family), now_s)
        for family, memory_mib in self.families.seen_mib(name).items():
            resident = state.residents.get(family)
            if resident is not None and family not in outdated and memory_mib < resident.family.memory_mib:
                self._tell(Measured(name, family, memory_mib), now_s)
        counted = {family: resident.family.memory_mib for family, resident in state.residents.items()}
        memory_mib = max(0, memory_mib_of(status) - self.families.uncounted_mib(name, counted))
        if state.memory_mib != memory_mib:
            self._tell(MemoryChanged(name, memory_mib), now_s)

    def _hopeless(self, now_s: float) -> dict[str, str]:
        """Waiting leases that nothing can be done for, each with the reason."""
        hopeless: dict[str, str] = {}
        for lease in self._leases.values():
            if lease.state is not LeaseState.WAITING or self.scheduler.is_granted(lease.id):
                continue
            if lease.only_on and lease.only_on not in self.scheduler.endpoints:
                hopeless[lease.id] = f"The endpoint {lease.only_on} gets no work now"
            elif lease.id in self._unknown and lease.only_on:
                hopeless[lease.id] = f"The endpoint {lease.only_on} has no model {lease.name}"
            elif lease.id in self._unknown:
                hopeless[lease.id] = f"No endpoint that gets work has a model {lease.name}"
            elif (problem := self._too_large(lease)) is not None:
                hopeless[lease.id] = problem
            elif (problem := self._load_problem(lease, now_s)) is not None:
                shown = lease.model if lease.only_on else lease.name
                hopeless[lease.id] = f"{shown} could not be loaded: {problem}"
        return hopeless

    def _load_problem(self, lease: ModelLease, now_s: float) -> str | None:
        """Why a load for a lease failed just now, unless another endpoint can load the family for it."""
        if lease.id not in self.scheduler.waiting:
            return None
        family, able = self._places_for(lease)
        states = [self.scheduler.endpoints[name] for name in able]
        if any(family in state.residents or state.retry_s.get(family, now_s) <= now_s for state in states):
            return None
        return self._failures.get(family)

    def _too_large(self, lease: ModelLease) -> str | None:
        """Why a lease can never be granted: its model is larger than every endpoint that has it."""
        if lease.id not in self.scheduler.waiting:
            return None
        return self.families.too_large(*self._places_for(lease))

    def _places_for(self, lease: ModelLease) -> tuple[str, Collection[str]]:
        """The family that a lease waits for, and the endpoints that may serve it."""
        family = self.scheduler.waiting.demand(lease.id).family
        return family, [lease.only_on] if lease.only_on else self.families.endpoints_of(family)

    def _reasons(self, now_s: float) -> dict[str, str]:
        """Why leases wait: of new ones at once, and from time to time of those whose reason changed."""
        all_of_them = now_s - self._explained_s >= EXPLAIN_EVERY_S
        if all_of_them:
            self._explained_s = now_s
        reasons: dict[str, str] = {}
        for lease_id in self._leases:
            if lease_id in self.scheduler.waiting and (all_of_them or lease_id not in self._explained):
                sentence = self.in_words(self.scheduler.why(lease_id, now_s)).sentence()
                if self._explained.get(lease_id) != sentence:
                    reasons[lease_id] = self._explained[lease_id] = sentence
        return reasons

    def in_words(self, reason: Reason) -> Reason:
        """The reason with the names of families that people know."""
        other = self.families.name_of(reason.other) if reason.other else ""
        return replace(reason, family=self.families.name_of(reason.family), other=other)

    def _tell(self, event: Event, now_s: float) -> None:
        decisions = self.scheduler.handle(event, now_s)
        self._decided += decisions
        self._watcher(event, decisions, now_s)
