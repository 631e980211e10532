"""Lease scheduling: tells the scheduler what the rows say, and collects what it decides for them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from core.model.inventory import Residency, ServerState
from core.model.model_lease import LeaseState, ModelLease
from core.queue.model_moves import MoveOutcome
from core.scheduler.demand import Demand, EndpointSpec, Family, WorkClass
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
    MemoryChanged,
    Tick,
    Vanished,
    Withdrawn,
)
from core.scheduler.history import WorkHistory
from core.scheduler.scheduler import Scheduler
from core.scheduler.weights import Weights
from core.services.inventory import EndpointStatus

_MIB: Final = 1024**2
_LOAD_MIB_S: Final = 1200.0
_LOAD_START_S: Final = 3.0
"""What a load is expected to take before one was seen: this, and reading the weights from a fast disk."""
RETRY_LOAD_S: Final = 30.0
Watcher = Callable[[Event, Sequence[Decision], float], None]
"""Is called with each event and what was decided upon it."""
EXPLAIN_EVERY_S: Final = 2.0


@dataclass(slots=True)
class Verdicts:
    """What becomes of leases: the promised start of each that is granted, and the reasons of those that are not."""

    granted: dict[str, float] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.granted or self.refused or self.reasons)


def _none(_event: Event, _decisions: Sequence[Decision], _now_s: float) -> None:
    """Watches nothing."""


class LeaseScheduling:
    """The scheduler with the leases and endpoints that it knows. Families are models of one endpoint, by their name."""

    def __init__(
        self, history: Iterable[tuple[tuple[str, ...], float]], weights: Weights | None = None, watcher: Watcher = _none
    ) -> None:
        self.scheduler = Scheduler((), weights)
        self._watcher = watcher
        self._history = WorkHistory()
        for kind, seconds in history:
            self._history.observe(kind, seconds)
        self._leases: dict[str, ModelLease] = {}
        self._unknown: set[str] = set()
        """Leases that wait for what their endpoint does not have."""
        self._decided: list[Decision] = []
        self._failures: dict[str, str] = {}
        """Why each model could not be loaded just now; those who wait for it are refused."""
        self._explained: dict[str, str] = {}
        self._explained_s = 0.0
        self._moved_s: dict[str, float] = {}
        """When each model was last moved: what was seen before says nothing of it any more."""

    def see_endpoints(self, statuses: Iterable[EndpointStatus], moving: Collection[str], now_s: float) -> None:
        """Compare the endpoints with what is known; the models in `moving` are left alone."""
        usable = {status.snapshot.name: status for status in statuses if status.state is ServerState.UP}
        for name in self.scheduler.endpoints.keys() - usable.keys():
            self._tell(EndpointDown(name), now_s)
        for name, status in usable.items():
            families = {family.name: family for family in _families(status)}
            for family in families.values():
                self.scheduler.add_family(family)
            residents = _residents(status, families)
            if name not in self.scheduler.endpoints:
                spec = EndpointSpec(name, _memory_mib(status), _slots(status), chat_slots=1)
                self._tell(EndpointUp(spec, tuple(residents)), now_s)
                continue
            self._compare(status, residents, moving, now_s)
        self._tell(Tick(), now_s)

    def see_move(self, outcome: MoveOutcome, now_s: float) -> None:
        """A load ended."""
        self._moved_s |= dict.fromkeys((outcome.model, *outcome.evicted), now_s)
        if outcome.problem is None:
            self._tell(Loaded(outcome.endpoint, outcome.model), now_s)
            return
        self._failures[outcome.model] = outcome.problem
        self._tell(LoadFailed(outcome.endpoint, outcome.model, now_s + RETRY_LOAD_S), now_s)

    def see_leases(self, leases: Iterable[ModelLease], now_s: float) -> None:
        """Compare the leases that are alive with what is known of them."""
        alive = {lease.id: lease for lease in leases}
        for lease_id in self._leases.keys() - alive.keys():
            self._end(self._leases.pop(lease_id), now_s)
        for lease in alive.values():
            before = self._leases.get(lease.id)
            self._leases[lease.id] = lease
            if before is None or lease.id in self._unknown:
                self._begin(lease, now_s)
            if lease.state is LeaseState.HELD and (before is None or before.state is not LeaseState.HELD):
                self._observe(lease, now_s)
                if self.scheduler.is_granted(lease.id):
                    self._tell(Held(lease.id, lease.until_at.timestamp()), now_s)

    def take_moves(self) -> list[Evict | Load]:
        """The evictions and loads that were decided, in their order; each is returned once."""
        moves = [each for each in self._decided if isinstance(each, Evict | Load)]
        self._decided = [each for each in self._decided if not isinstance(each, Evict | Load)]
        return moves

    def take_verdicts(self, now_s: float) -> Verdicts:
        """What was decided of leases; each is returned once, and a reason when it changed."""
        verdicts = Verdicts({each.demand: each.due_s for each in self._decided if isinstance(each, Grant)})
        self._decided = [each for each in self._decided if not isinstance(each, Grant)]
        for lease_id, problem in self._hopeless().items():
            verdicts.refused[lease_id] = problem
            lease = self._leases.pop(lease_id)
            self._unknown.discard(lease_id)
            if lease_id in self.scheduler.waiting:
                self._tell(Withdrawn(lease.id), now_s)
        self._failures.clear()
        verdicts.reasons = self._reasons(now_s)
        return verdicts

    def _begin(self, lease: ModelLease, now_s: float) -> None:
        self._unknown.discard(lease.id)
        family = self._family_of(lease)
        if family is None:
            self._unknown.add(lease.id)
            return
        demand = Demand(
            lease.id,
            family,
            self._history.expected(lease.kind),
            lease.arrived_at.timestamp(),
            WorkClass.CHAT if lease.work.is_chat else WorkClass.BULK,
            lease.key,
        )
        if lease.state is LeaseState.WAITING:
            self._tell(Arrived(demand), now_s)
        elif lease.endpoint in self.scheduler.endpoints:
            self._tell(Adopted(demand, lease.endpoint), now_s)

    def _family_of(self, lease: ModelLease) -> str | None:
        """The family that a lease asks for; Ollama calls a model without a tag ``NAME:latest``."""
        families = self.scheduler.waiting.families
        return next((name for name in (lease.model, f"{lease.model}:latest") if name in families), None)

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
        if lease.granted_at is not None:
            self._history.observe(lease.kind, max(0.0, now_s - lease.granted_at.timestamp()))

    def _compare(
        self, status: EndpointStatus, residents: Collection[str], moving: Collection[str], now_s: float
    ) -> None:
        """Tell of models that came or went by themselves, and of memory that another process took."""
        name, checked_at = status.snapshot.name, status.snapshot.checked_at
        state = self.scheduler.endpoints[name]
        seen_s = checked_at.timestamp() if checked_at is not None else 0.0
        outdated = {model for model, moved_s in self._moved_s.items() if moved_s >= seen_s} | set(moving)
        known = {model for model, resident in state.residents.items() if resident.is_ready and not resident.running}
        for model in known - set(residents) - outdated:
            self._tell(Vanished(name, model), now_s)
        for model in set(residents) - state.residents.keys() - outdated:
            self._tell(Appeared(name, model), now_s)
        counted = {model: resident.family.memory_mib for model, resident in state.residents.items()}
        if state.memory_mib != (memory_mib := max(0, _memory_mib(status) - _uncounted_mib(status, counted))):
            self._tell(MemoryChanged(name, memory_mib), now_s)

    def _hopeless(self) -> dict[str, str]:
        """Waiting leases that nothing can be done for, each with the reason."""
        hopeless: dict[str, str] = {}
        for lease in self._leases.values():
            if lease.state is not LeaseState.WAITING or self.scheduler.is_granted(lease.id):
                continue
            if lease.endpoint not in self.scheduler.endpoints:
                hopeless[lease.id] = f"The endpoint {lease.endpoint} gets no work now"
            elif lease.id in self._unknown:
                hopeless[lease.id] = f"The endpoint {lease.endpoint} has no model {lease.model.partition('/')[2]}"
            elif (family := self._family_of(lease)) in self._failures:
                hopeless[lease.id] = f"{lease.model} could not be loaded: {self._failures[family]}"
        return hopeless

    def _reasons(self, now_s: float) -> dict[str, str]:
        """Why leases wait: of new ones at once, and from time to time of those whose reason changed."""
        all_of_them = now_s - self._explained_s >= EXPLAIN_EVERY_S
        if all_of_them:
            self._explained_s = now_s
        reasons: dict[str, str] = {}
        for lease_id in self._leases:
            if lease_id in self.scheduler.waiting and (all_of_them or lease_id not in self._explained):
                sentence = self.scheduler.why(lease_id, now_s).sentence()
                if self._explained.get(lease_id) != sentence:
                    reasons[lease_id] = self._explained[lease_id] = sentence
        return reasons

    def _tell(self, event: Event, now_s: float) -> None:
        decisions = self.scheduler.handle(event, now_s)
        self._decided += decisions
        self._watcher(event, decisions, now_s)


def _families(status: EndpointStatus) -> Iterable[Family]:
    """The models of an endpoint whose size is known, as families that only it has."""
    for model in status.snapshot.models:
        size = status.placed_bytes(model) or model.size_bytes
        if size:
            name, mib = f"{status.snapshot.name}/{model.name}", max(1, size // _MIB)
            yield Family(
                name, mib, status.load_s(model) or _LOAD_START_S + mib / _LOAD_MIB_S, None, status.snapshot.name
            )


def _residents(status: EndpointStatus, families: Collection[str]) -> list[str]:
    names = [
        f"{status.snapshot.name}/{each.name}" for each in status.snapshot.residents if each.level is Residency.AWAKE
    ]
    return [name for name in names if name in families]


def _slots(status: EndpointStatus) -> int:
    """How many requests an endpoint works on at once: those of one model on each of its GPUs."""
    return (status.snapshot.slots or 1) * max(1, len(status.snapshot.gpus))


def _memory_mib(status: EndpointStatus) -> int:
    """The memory that may be filled with models: what the endpoint has, without what other processes use."""
    return max(0, ((status.snapshot.capacity_bytes or 0) - status.snapshot.foreign_bytes) // _MIB)


def _uncounted_mib(status: EndpointStatus, counted_mib: Mapping[str, int]) -> int:
    """What the loaded models take beyond what they are `counted_mib` with: their estimates were too low."""
    name = status.snapshot.name
    taken = {f"{name}/{each.name}": (each.vram_bytes or 0) // _MIB for each in status.snapshot.residents}
    return sum(max(0, mib - counted_mib.get(model, 0)) for model, mib in taken.items())
