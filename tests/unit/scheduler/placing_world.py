"""A GPU whose models take up to 30% more or less than their estimates, with an intruder that comes and goes.

The live queue's own rules decide: `LeaseScheduling` sees the endpoint as the inventory shows it, with the free memory
that a driver would report, and what it loads is held against what the GPU really has.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime

from core.model.endpoint_snapshot import EndpointSnapshot, KnownModel, ResidentModel
from core.model.family_figures import MemoryCorrection
from core.model.inventory import Gpu, ModelFamily, ServerState
from core.model.model_lease import LeaseState, ModelLease, ModelWork
from core.queue.lease_scheduling import LeaseScheduling
from core.queue.model_moves import ModelMove, MoveOutcome
from core.scheduler.events import Evict
from core.services.inventory import EndpointStatus

GIB = 1024**3
TOTAL_BYTES, RESERVE_BYTES, INTRUDER_BYTES = 48 * GIB, GIB, 10 * GIB
ERROR = 0.3
_ENDPOINT = "gpu"


@dataclass
class PlacingWorld:
    """One GPU, its models and the leases that are asked for by chance; counts placements and those that did not fit."""

    seed: int
    models: int = 12
    placements: int = 0
    out_of_memory: int = 0
    evictions: int = 0
    intrusions: int = 0
    _now_s: float = 1_000.0
    _intruder_bytes: int = 0
    _takes: dict[str, int] = field(default_factory=dict)
    _known: dict[str, KnownModel] = field(default_factory=dict)
    _resident: dict[str, int] = field(default_factory=dict)
    _corrections: dict[str, MemoryCorrection] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._scheduling = LeaseScheduling(())
        for index in range(self.models):
            name, estimate = f"m{index}", round(self._rng.uniform(2, 28) * GIB)
            self._known[name] = KnownModel(name, ModelFamily(f"name:{name}"), estimate, estimate_bytes=estimate)
            self._takes[name] = round(estimate * self._rng.uniform(1 - ERROR, 1 + ERROR))

    @property
    def free_bytes(self) -> int:
        """What the driver would call free."""
        return TOTAL_BYTES - sum(self._resident.values()) - self._intruder_bytes

    def run(self, requests: int) -> None:
        """Ask for a model again and again; the intruder comes when there is room for it, and goes."""
        for number in range(requests):
            if self._rng.random() < 0.3:
                self._move_intruder()
            lease = self._lease(number)
            for _ in range(6):  # until it is granted or waits for memory that the intruder has
                self._look()
                self._scheduling.see_leases([lease], self._now_s)
                moves = self._scheduling.take_moves()
                if self._scheduling.take_verdicts(self._now_s).granted or not moves:
                    break
                self._carry_out(moves)
            self._now_s += self._rng.expovariate(1 / 20)
            self._scheduling.see_leases([], self._now_s)
            self._carry_out(self._scheduling.take_moves())

    def _move_intruder(self) -> None:
        if self._intruder_bytes:
            self._intruder_bytes = 0
        elif self.free_bytes >= INTRUDER_BYTES:
            self._intruder_bytes = INTRUDER_BYTES
            self.intrusions += 1

    def _carry_out(self, moves: list[ModelMove]) -> None:
        for move in moves:
            name, family = move.model, move.decision.family
            if isinstance(move.decision, Evict):
                self.evictions += 1
                del self._resident[name]
                continue
            self.placements += 1
            self._now_s += 10.0
            takes, known = self._takes[name], self._known[name]
            if takes > self.free_bytes:
                self.out_of_memory += 1
                self._scheduling.see_move(MoveOutcome(_ENDPOINT, family, "out of memory"), self._now_s)
                continue
            self._resident[name] = takes
            before = self._corrections.get(known.family.key, MemoryCorrection())
            self._corrections[known.family.key] = before.after(known.estimate_bytes or 0, takes)
            self._scheduling.see_move(MoveOutcome(_ENDPOINT, family, None), self._now_s)

    def _look(self) -> None:
        """What a look at the endpoint shows."""
        self._now_s += 1.0
        gpu = Gpu("0", "", TOTAL_BYTES, self.free_bytes, RESERVE_BYTES)
        residents = tuple(
            ResidentModel(name, self._known[name].family, vram_bytes=size) for name, size in self._resident.items()
        )
        snapshot = EndpointSnapshot(
            _ENDPOINT,
            "ollama",
            ServerState.UP,
            gpus=(gpu,),
            residents=residents,
            models=tuple(self._known.values()),
            checked_at=datetime.fromtimestamp(self._now_s, UTC),
        )
        status = EndpointStatus(snapshot, corrections=dict(self._corrections))
        self._scheduling.see_endpoints([status], (), self._now_s)

    def _lease(self, number: int) -> ModelLease:
        name = self._rng.choice(sorted(self._known))
        at = datetime.fromtimestamp(self._now_s, UTC)
        work = ModelWork(None, is_chat=self._rng.random() < 0.5)
        model = f"{_ENDPOINT}/{name}"
        return ModelLease(f"l{number}", LeaseState.WAITING, model, work, "ana", ("", model), at, at)
