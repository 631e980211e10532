"""The inventory for people and for workers: endpoints, nodes, drains, and what is learned from looking at them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from core.model.endpoint_snapshot import EndpointSnapshot, KnownModel
from core.model.errors import NotFoundError
from core.model.family_figures import FamilyTimings, MemoryCorrection, TimingKind
from core.model.inventory import HostHardware, ModelFamily, Residency, ServerState
from core.model.job import JobKind
from core.model.model_lease import ANY_ENDPOINT, split_model
from core.model.turn import Actor
from core.rules.authorization import Authorization
from core.settings import SettingsSource
from core.store import events, inventory, leaders, workers
from core.store.database import Database, to_ms
from core.store.inventory import Drain
from core.store.unit_of_work import Tx, reads, writes, writes_quietly
from core.store.workers import WorkerView

_LOOK_MS: Final = 10_000
"""How long before a look ends it may have seen an endpoint."""


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """An endpoint as people see it: its newest snapshot, its drain, and what was learned of its families.

    `corrections` and `timings` are by the key of the family.
    """

    snapshot: EndpointSnapshot
    drain: Drain | None = None
    corrections: Mapping[str, MemoryCorrection] = field(default_factory=dict)
    timings: Mapping[tuple[str, TimingKind], FamilyTimings] = field(default_factory=dict)

    @property
    def state(self) -> ServerState:
        """The snapshot's state; an endpoint that is up and drained is draining."""
        is_draining = self.drain is not None and self.snapshot.state is ServerState.UP
        return ServerState.DRAINING if is_draining else self.snapshot.state

    def needed_bytes(self, model: KnownModel) -> int | None:
        """The memory that a model takes when it is loaded, as far as is known."""
        if model.estimate_bytes is None:
            return None
        return self.corrections.get(model.family.key, MemoryCorrection()).apply(model.estimate_bytes)

    def placed_bytes(self, model: KnownModel) -> int | None:
        """The memory to keep free for a load of a model, as far as is known: no load may run out of memory."""
        if model.estimate_bytes is None:
            return None
        available = max(0, (self.snapshot.capacity_bytes or 0) - self.snapshot.foreign_bytes)
        return self.corrections.get(model.family.key, MemoryCorrection()).place(model.estimate_bytes, available)

    def load_s(self, model: KnownModel) -> float | None:
        """How long a load of a model takes, as the median of those that were seen; None before the first."""
        times = self.timings.get((model.family.key, TimingKind.LOAD))
        return times.quantile(0.5) if times is not None else None

    def is_too_large(self, model: KnownModel) -> bool:
        """Whether a model takes more memory than the endpoint has."""
        needed, capacity = self.needed_bytes(model), self.snapshot.capacity_bytes
        return needed is not None and capacity is not None and needed > capacity

    def to_json(self, now: datetime) -> dict[str, Any]:
        """The row of ``endpoints --json``."""
        snapshot = self.snapshot
        document = snapshot.to_json()
        del document["v"]
        checked_at = snapshot.checked_at
        return {
            **document,
            "state": self.state.value,
            "drained": self.drain.to_json() if self.drain else None,
            "foreign_bytes": snapshot.foreign_bytes,
            "age_s": round(max(0.0, (now - checked_at).total_seconds()), 1) if checked_at else None,
            "models": [self._model_json(model) for model in snapshot.models],
        }

    def _model_json(self, model: KnownModel) -> dict[str, Any]:
        learned = {kind.value: self.timings.get((model.family.key, kind)) for kind in TimingKind}
        return {
            **model.to_json(),
            "residency": self.snapshot.residency_of(model.name).value,
            "needed_bytes": self.needed_bytes(model),
            "is_too_large": self.is_too_large(model),
            "timings": {kind: times.to_json() for kind, times in learned.items() if times is not None},
        }


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A node as people see it: what it offers, its living workers, its hardware and when that was measured."""

    name: str
    offers: tuple[str, ...]
    workers: tuple[WorkerView, ...]
    hardware: HostHardware | None
    measured_at: datetime | None

    @property
    def heard_at(self) -> datetime | None:
        """When one of its living workers was last heard of."""
        return max((worker.heartbeat_at for worker in self.workers), default=None)

    def to_json(self) -> dict[str, Any]:
        """The row of ``nodes --json``."""
        hardware = self.hardware.to_json() if self.hardware else {"gpus": [], "ram": None, "problem": ""}
        hardware.pop("v", None)
        return {
            "name": self.name,
            "offers": list(self.offers),
            "workers": [
                {"id": w.id, "host": w.host, "pid": w.pid, "heartbeat_at": w.heartbeat_at.isoformat()}
                for w in self.workers
            ],
            "heard_at": self.heard_at.isoformat() if self.heard_at else None,
            **hardware,
            "measured_at": self.measured_at.isoformat() if self.measured_at else None,
        }


@dataclass(frozen=True, slots=True)
class InventoryState:
    """What a look starts from: the snapshots of the last one, the hardware of each node, and the work under way.

    `now` is the database's time, which leases are counted by too: the clock of the host that looks may differ. `in_use`
    are the endpoints that running jobs may be asking right now.
    """

    snapshots: Mapping[str, EndpointSnapshot]
    hardware: Mapping[str, HostHardware]
    in_use: frozenset[str]
    now: datetime


@dataclass(frozen=True, slots=True)
class Inventory:
    """Endpoints and nodes. `configured` gives the kind of each endpoint of the configuration by its name."""

    database: Database
    settings: SettingsSource
    configured: Callable[[], Mapping[str, str]]

    @reads
    async def endpoints(self, tx: Tx) -> tuple[EndpointStatus, ...]:
        """Every configured endpoint, by name; one that was never looked at is of unknown state."""
        rows = await inventory.endpoints(tx)
        corrections, timings = await inventory.corrections(tx), await inventory.timings(tx)
        statuses = []
        for name, kind in sorted(self.configured().items()):
            row = rows.get(name)
            snapshot = (row.snapshot if row else None) or EndpointSnapshot(name, kind)
            statuses.append(
                EndpointStatus(
                    snapshot,
                    row.drain if row else None,
                    {family: value for (endpoint, family), value in corrections.items() if endpoint == name},
                    {(family, key): value for (endpoint, family, key), value in timings.items() if endpoint == name},
                )
            )
        return tuple(statuses)

    @reads
    async def nodes(self, tx: Tx) -> tuple[NodeStatus, ...]:
        """Every node that ever had a worker, by name."""
        living = await workers.alive(tx)
        return tuple(
            NodeStatus(
                node.name,
                node.offers,
                tuple(worker for worker in living if worker.node == node.name),
                node.hardware,
                node.measured_at,
            )
            for node in await inventory.nodes(tx)
        )

    @reads
    async def is_watched(self, tx: Tx) -> bool:
        """Whether a worker looks at the endpoints again and again, so that what is stored is new."""
        leader, _ = await leaders.lease_of(tx, leaders.INVENTORY)
        return leader is not None

    @reads
    async def state(self, tx: Tx) -> InventoryState:
        """What the next look starts from."""
        rows = await inventory.endpoints(tx)
        snapshots = {name: row.snapshot for name, row in rows.items() if row.snapshot is not None}
        hardware = {node.name: node.hardware for node in await inventory.nodes(tx) if node.hardware is not None}
        return InventoryState(snapshots, hardware, self._in_use(await inventory.work_under_way(tx)), tx.now)

    async def record(
        self, snapshots: Sequence[EndpointSnapshot], before: Mapping[str, EndpointSnapshot] | None = None
    ) -> None:
        """Keep what a look showed: the snapshots, an event for each change of state, and the memory of new loads.

        Where each endpoint is as the look `before` showed it, no loop of this process has to look because of it.
        """
        known = before or {}
        is_news = any(each.name not in known or known[each.name].state is not each.state for each in snapshots)
        run = self.database.write if is_news else self.database.write_quietly
        await run(lambda tx: self._record(tx, snapshots))

    async def _record(self, tx: Tx, snapshots: Sequence[EndpointSnapshot]) -> None:
        rows = await inventory.endpoints(tx)
        for snapshot in snapshots:
            row = rows.get(snapshot.name)
            before = (row.snapshot if row else None) or EndpointSnapshot(snapshot.name, snapshot.kind)
            await inventory.save_snapshot(tx, snapshot)
            await _record_change(tx, before, snapshot)
            for family, estimate_bytes, observed_bytes in _new_loads(before, snapshot):
                await inventory.add_observation(tx, snapshot.name, family.key, estimate_bytes, observed_bytes)
            for model in _appeared(before, snapshot):
                await _record_foreign_load(tx, before, snapshot.name, model)

    @writes_quietly
    async def record_hardware(self, tx: Tx, node: str, hardware: HostHardware) -> None:
        """Keep what was measured of a node."""
        await inventory.save_hardware(tx, node, hardware)

    @writes
    async def record_load_time(self, tx: Tx, endpoint: str, model: str, seconds: float) -> None:
        """Count a load, and learn how long it took if the endpoint's last snapshot knows the model."""
        from core.store import model_loads  # noqa: PLC0415 - its table is slow to build, and loads are rare

        await model_loads.add(tx, endpoint, model, seconds)
        snapshot = await inventory.snapshot_of(tx, endpoint)
        for each in snapshot.models if snapshot is not None else ():
            if each.name == model:
                await inventory.add_timing(tx, endpoint, each.family.key, TimingKind.LOAD, seconds)

    @writes
    async def drain(self, tx: Tx, actor: Actor, endpoint: str, reason: str) -> Drain:
        """Give an endpoint no new work; what it works on finishes.

        Raises `NotFoundError` for an endpoint that is not configured, `RefusedError` for who is not a maintainer.
        """
        Authorization(self.settings).may_drain(actor, endpoint, "drain")
        self._check_name(endpoint)
        await inventory.set_drain(tx, endpoint, by=actor.person, reason=reason)
        drain = Drain(reason, actor.person, tx.now)
        await self._add_event(tx, "endpoint.drained", actor, {"endpoint": endpoint, "reason": reason})
        return drain

    @writes
    async def resume(self, tx: Tx, actor: Actor, endpoint: str) -> None:
        """Give an endpoint work again; raises what `drain` raises."""
        Authorization(self.settings).may_drain(actor, endpoint, "resume")
        self._check_name(endpoint)
        rows = await inventory.endpoints(tx)
        if endpoint not in rows or rows[endpoint].drain is None:
            return
        await inventory.clear_drain(tx, endpoint)
        await self._add_event(tx, "endpoint.resumed", actor, {"endpoint": endpoint})

    async def _add_event(self, tx: Tx, kind: str, actor: Actor, body: dict[str, Any]) -> None:
        await events.append(tx, number=events.SYSTEM, kind=kind, person=actor.person, surface=actor.surface, body=body)

    def _check_name(self, endpoint: str) -> None:
        known = self.configured()
        if endpoint not in known:
            mend = f"Known: {', '.join(sorted(known)) or 'none; see `models:` in countersign.yaml'}."
            raise NotFoundError("no_endpoint", f"there is no endpoint {endpoint!r}", mend)

    def _in_use(self, work: set[tuple[JobKind, str | None]]) -> frozenset[str]:
        """The endpoints that these jobs may ask; one that reads a request may ask any."""
        if any(kind in (JobKind.PLAN, JobKind.READ) for kind, _ in work):
            return frozenset(self.configured())
        lanes = self.settings().lanes
        models = [model for _, lane in work if lane is not None and lane in lanes for model in lanes[lane].models]
        endpoints = frozenset(split_model(model)[0] for model in models)
        return frozenset(self.configured()) if ANY_ENDPOINT in endpoints else endpoints


async def _record_change(tx: Tx, before: EndpointSnapshot, after: EndpointSnapshot) -> None:
    """Add an event for a change of state; that an endpoint is up the first time is none."""
    is_news = after.state is not before.state and after.state is not ServerState.UNKNOWN
    if not is_news or (before.state is ServerState.UNKNOWN and after.state is ServerState.UP):
        return
    body = {"endpoint": after.name, "problem": after.problem}
    await events.append(tx, number=events.SYSTEM, kind=f"endpoint.{after.state.value}", body=body)


async def _record_foreign_load(tx: Tx, before: EndpointSnapshot, endpoint: str, model: str) -> None:
    """Count a load that was seen, unless the process that asked for it counted it already."""
    from core.store import model_loads  # noqa: PLC0415 - its table is slow to build, and loads are rare

    since_ms = to_ms(before.checked_at) - _LOOK_MS if before.checked_at is not None else 0
    if not await model_loads.was_recorded_since(tx, endpoint, model, since_ms):
        await model_loads.add(tx, endpoint, model, None)


def _appeared(before: EndpointSnapshot, after: EndpointSnapshot) -> list[str]:
    """The models that became resident since the last look; none before an endpoint was looked at."""
    if before.state is ServerState.UNKNOWN:
        return []
    resident = {each.name for each in before.residents if each.level is Residency.AWAKE}
    return [each.name for each in after.residents if each.level is Residency.AWAKE and each.name not in resident]


def _new_loads(before: EndpointSnapshot, after: EndpointSnapshot) -> list[tuple[ModelFamily, int, int]]:
    """Families that were loaded since the last look: the estimate of each, and the memory that it takes."""
    loaded_before = {resident.family for resident in before.residents if resident.level is Residency.AWAKE}
    estimates = {model.family: model.estimate_bytes for model in after.models}
    loads = []
    for resident in after.residents:
        estimate = estimates.get(resident.family)
        observed = (resident.vram_bytes or 0) + (resident.ram_bytes or 0)
        if resident.level is Residency.AWAKE and resident.family not in loaded_before and estimate and observed:
            loads.append((resident.family, estimate, observed))
    return loads
