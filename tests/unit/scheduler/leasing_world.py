"""The live queue's rules in virtual time: leases that are asked for, granted, held and ended as rows tell it.

`LeaseScheduling` sees leases and endpoints as a granter reads them, ten times a second and every second, of endpoints
that were looked at every five seconds. Only the database and the servers are missing, so that what differs from the
simulator's prediction is not the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from core.model.endpoint_snapshot import EndpointSnapshot, KnownModel, ResidentModel
from core.model.inventory import Gpu, ModelFamily, ServerState
from core.model.model_lease import LeaseState, ModelLease, ModelWork
from core.queue.lease_scheduling import LeaseScheduling
from core.queue.model_moves import MoveOutcome
from core.scheduler.events import Evict, Load
from core.services.inventory import EndpointStatus
from core.simulator.trace import Request

GIB: Final = 1024**3
GRANTS_EVERY_S, READS_EVERY_S, LOOKS_EVERY_S = 0.1, 1.0, 5.0
_START_S: Final = 1_000.0


@dataclass(slots=True)
class _Shim:
    """One endpoint with room for one of its models."""

    resident: str | None = None
    loading: tuple[float, str, str] | None = None
    """When the load ends, the family, and the model."""
    evicted: tuple[str, ...] = ()
    """The families that make room for the load."""


@dataclass
class LeasingWorld:
    """Endpoints `e0`, `e1` … with models `m0`, `m1` each; `took_s` is how long each request waited and worked.

    Each endpoint has room for one of its models.
    """

    endpoints: int = 4
    load_s: float = 8.0
    held_s: float = 0.5
    """How long a lease is held after its turn, until its job ends."""
    loads: int = 0
    took_s: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._scheduling = LeaseScheduling(())
        self._shims = {f"e{index}": _Shim() for index in range(self.endpoints)}
        self._leases: dict[int, ModelLease] = {}
        self._ends_s: dict[int, float] = {}
        self._looked: dict[str, EndpointSnapshot] = {}

    def run(self, requests: Sequence[Request], work_s: float) -> None:
        """Carry out the requests, each of which uses its model for `work_s` and then holds it for `held_s`."""
        step, arriving = 0, 0
        while len(self.took_s) < len(requests):
            now_s = step * GRANTS_EVERY_S
            while arriving < len(requests) and requests[arriving].arrival_s <= now_s:
                self._leases[arriving] = waiting_lease(arriving, requests[arriving])
                arriving += 1
            self._end_turns(requests, now_s)
            self._end_loads(now_s)
            if step % round(LOOKS_EVERY_S / GRANTS_EVERY_S) == 0:
                self.look(now_s)
            if step % round(READS_EVERY_S / GRANTS_EVERY_S) == 0:
                statuses = self.statuses()
                moving = [(name, family) for name, shim in self._shims.items() for family in _moving(shim)]
                self._scheduling.see_endpoints(statuses, moving, _START_S + now_s)
            self._scheduling.see_leases(self._leases.values(), _START_S + now_s)
            self._carry_out(now_s)
            self._grant(now_s, work_s)
            step += 1

    def statuses(self) -> list[EndpointStatus]:
        """The endpoints as they were last looked at; none before the first look."""
        return [EndpointStatus(each) for each in self._looked.values()]

    def _end_turns(self, requests: Sequence[Request], now_s: float) -> None:
        for number, end_s in list(self._ends_s.items()):
            lease = self._leases[number]
            if end_s + self.held_s <= now_s:
                del self._leases[number], self._ends_s[number]
            elif end_s <= now_s and lease.state is LeaseState.GRANTED:
                self._leases[number] = replace(lease, state=LeaseState.HELD, until_at=_at(now_s + 30))
            if end_s <= now_s:
                self.took_s[number] = end_s - requests[number].arrival_s

    def _end_loads(self, now_s: float) -> None:
        for name, shim in self._shims.items():
            if shim.loading is not None and shim.loading[0] <= now_s:
                _, family, shim.resident = shim.loading
                outcome = MoveOutcome(name, family, None, shim.evicted)
                shim.loading, shim.evicted = None, ()
                self._scheduling.see_move(outcome, _START_S + now_s)
                self.look(now_s)

    def _carry_out(self, now_s: float) -> None:
        for move in self._scheduling.take_moves():
            shim = self._shims[move.decision.endpoint]
            if isinstance(move.decision, Evict):
                assert not any(
                    lease.place is not None and lease.place.endpoint == move.decision.endpoint
                    for lease in self._leases.values()
                ), "evicted while it is used"
                shim.resident, shim.evicted = None, (*shim.evicted, move.decision.family)
                continue
            assert isinstance(move.decision, Load)
            assert shim.resident is None
            assert shim.loading is None
            self.loads += 1
            shim.loading = (now_s + self.load_s, move.decision.family, move.model)

    def _grant(self, now_s: float, work_s: float) -> None:
        verdicts = self._scheduling.take_verdicts(_START_S + now_s)
        assert not verdicts.refused, verdicts.refused
        for lease in verdicts.granted:
            number, place = int(lease[1:]), verdicts.places[lease]
            assert self._shims[place.endpoint].resident == place.model
            self._leases[number] = replace(
                self._leases[number], state=LeaseState.GRANTED, place=place, granted_at=_at(now_s)
            )
            self._ends_s[number] = now_s + work_s

    def look(self, now_s: float) -> None:
        """Look at every endpoint."""
        for name, shim in self._shims.items():
            known = tuple(_known(name, model) for model in ("m0", "m1"))
            resident = tuple(
                ResidentModel(each.name, each.family, vram_bytes=8 * GIB)
                for each in known
                if each.name == shim.resident
            )
            gpu = Gpu("0", "", 12 * GIB, (12 - 8 * len(resident)) * GIB, 0)
            self._looked[name] = EndpointSnapshot(
                name, "ollama", ServerState.UP, gpus=(gpu,), residents=resident, models=known, checked_at=_at(now_s)
            )


def _moving(shim: _Shim) -> tuple[str, ...]:
    return (shim.loading[1], *shim.evicted) if shim.loading is not None else ()


def _known(endpoint: str, model: str) -> KnownModel:
    return KnownModel(model, ModelFamily(f"sha256:{endpoint}{model}"), 8 * GIB, estimate_bytes=8 * GIB)


def waiting_lease(number: int, request: Request) -> ModelLease:
    """The lease of a request that was not granted yet."""
    at = _at(request.arrival_s)
    work = ModelWork(f"j{number}", is_chat=False, is_agent=True)
    return ModelLease(f"l{number}", LeaseState.WAITING, request.model, work, "ana", ("", request.model), at, at)


def _at(now_s: float) -> datetime:
    return datetime.fromtimestamp(_START_S + now_s, UTC)
