"""The inventory in the database: one worker of all looks, what it saw is kept, and maintainers drain endpoints."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from core.model.endpoint_snapshot import EndpointSnapshot, KnownModel, ResidentModel
from core.model.errors import ConflictError, NotFoundError, RefusedError, TransientError
from core.model.family_figures import TimingKind
from core.model.inventory import Gpu, HostHardware, LoadOptions, ModelFamily, Ram, Residency, ServerState
from core.model.job import JobKind, JobState
from core.model.turn import Actor
from core.queue.duty_lease import DutyLease
from core.queue.inventory_refresher import InventoryRefresher
from core.services.inventory import Inventory
from core.settings import Timing
from core.store import events, inventory, leaders, workers
from core.store.database import Database
from core.store.tables import WorkerRow
from core.store.unit_of_work import Tx
from tests import builders
from tests.worker_harness import eventually

pytestmark = pytest.mark.queue
GIB = 1024**3
FAMILY = ModelFamily("sha256:9f", LoadOptions(4096, 1))
MODEL = KnownModel("qwen3:8b", FAMILY, 5 * GIB, estimate_bytes=6 * GIB)
HARDWARE = HostHardware((Gpu("GPU-1", "RTX", 24 * GIB, 20 * GIB),), Ram(64 * GIB, 60 * GIB))
OPERATOR = Actor(None, "terminal", is_operator=True)


def snapshot(state: ServerState = ServerState.UP, **changes: Any) -> EndpointSnapshot:
    blank = EndpointSnapshot("local", "ollama", state, models=(MODEL,), seen_at=builders.NOON, checked_at=builders.NOON)
    return replace(blank, **changes)


def loaded(gib: float) -> ResidentModel:
    return ResidentModel("qwen3:8b", FAMILY, Residency.AWAKE, vram_bytes=round(gib * GIB))


@dataclass(slots=True)
class FakeWatch:
    """Endpoints that are as the test says; `looks` are what each look was told."""

    snapshots: tuple[EndpointSnapshot, ...] = (snapshot(),)
    failure: Exception | None = None
    looks: list[tuple[Mapping[str, EndpointSnapshot], Mapping[str, HostHardware], frozenset[str]]] = field(
        default_factory=list
    )
    is_closed: bool = False

    def names(self) -> frozenset[str]:
        return frozenset(one.name for one in self.snapshots)

    async def look(
        self,
        known: Mapping[str, EndpointSnapshot],
        hardware: Mapping[str, HostHardware],
        in_use: frozenset[str],
        now: datetime,
    ) -> tuple[EndpointSnapshot, ...]:
        self.looks.append((known, hardware, in_use))
        if self.failure is not None:
            raise self.failure
        return tuple(replace(one, checked_at=now) for one in self.snapshots)

    def close(self) -> None:
        self.is_closed = True


class FakeHost:
    """A host with one GPU."""

    async def read(self) -> HostHardware:
        return HARDWARE


def service(database: Database, *names: str, **changes: Any) -> Inventory:
    source = builders.always(builders.settings(**changes))
    return Inventory(database, source, lambda: dict.fromkeys(names or ("local",), "ollama"))


def refresher(database: Database, worker: str, watch: FakeWatch, **changes: Any) -> InventoryRefresher:
    stock = service(database, **changes)
    lease = DutyLease(database, stock.settings, leaders.INVENTORY, worker)
    return InventoryRefresher(stock, lease, watch, FakeHost(), "here")


async def register(database: Database, worker: str, node: str = "here", host: str = "") -> None:
    async def work(tx: Tx) -> None:
        row = WorkerRow(
            id=worker,
            node=node,
            host=host or socket.gethostname(),
            pid=1,
            state=workers.ALIVE,
            started_ms=tx.now_ms,
            heartbeat_ms=tx.now_ms,
        )
        await workers.register(tx, row, ["sandbox:bwrap"])

    await database.write(work)


async def kinds_of_events(database: Database) -> list[str]:
    return [event.kind for event in await database.read(lambda tx: events.since(tx, number=events.SYSTEM))]


async def test_of_all_workers_one_looks_and_every_one_measures_its_host(database):
    await register(database, "w1")
    one, other = FakeWatch(), FakeWatch()
    await refresher(database, "w1", one).refresh()
    await refresher(database, "w2", other).refresh()
    assert (len(one.looks), len(other.looks)) == (1, 0)
    (node,) = await service(database).nodes()
    assert (node.hardware, node.offers) == (HARDWARE, ("sandbox:bwrap",))
    assert await service(database).is_watched()


async def test_the_next_look_is_told_what_the_last_one_saw_and_what_is_in_use(database):
    await register(database, "w1")
    watch = FakeWatch()
    looks = refresher(database, "w1", watch)
    await looks.refresh()
    await looks.refresh()
    known, hardware, in_use = watch.looks[-1]
    assert known["local"].models == (MODEL,)
    assert (hardware, in_use) == ({"here": HARDWARE}, frozenset())


async def test_an_endpoint_is_in_use_while_a_job_runs_that_may_ask_it(database):
    lanes = {"code": builders.lane("code", models=("local/qwen3:8b", "far/qwen3:8b")), "docs": builders.lane("docs")}
    stock = service(database, "local", "far", "idle", lanes=lanes)
    number = await builders.put_task(database)
    for kind, lane, expected in (
        (JobKind.CHANGE, "docs", set()),
        (JobKind.CHANGE, "code", {"local", "far"}),
        (JobKind.PLAN, None, {"local", "far", "idle"}),
    ):
        await builders.put_job(database, number=number, kind=kind.value, lane=lane, state=JobState.RUNNING.value)
        assert (await stock.state()).in_use == expected


async def test_endpoints_are_listed_whether_they_were_looked_at_or_not(database):
    stock = service(database, "local", "new")
    await stock.record([snapshot()])
    local, new = await stock.endpoints()
    assert (local.state, new.state) == (ServerState.UP, ServerState.UNKNOWN)
    assert local.to_json(builders.NOON + timedelta(seconds=3))["age_s"] == 3.0
    assert new.to_json(builders.NOON)["age_s"] is None


async def test_only_a_change_of_state_is_an_event(database):
    stock = service(database)
    for state in (ServerState.UP, ServerState.UP, ServerState.DOWN, ServerState.DOWN, ServerState.WEDGED):
        await stock.record([snapshot(state, problem="" if state is ServerState.UP else "why")])
    assert await kinds_of_events(database) == ["endpoint.down", "endpoint.wedged"]


async def test_each_new_load_corrects_the_estimate_and_a_model_that_stays_does_not(database):
    stock = service(database)
    for residents in ((), (loaded(9),), (loaded(9),), (loaded(9),)):
        await stock.record([snapshot(residents=residents)])
    (status,) = await stock.endpoints()
    assert status.corrections[FAMILY.key].count == 1
    assert status.needed_bytes(MODEL) == 9 * GIB
    await stock.record([snapshot()])
    await stock.record([snapshot(residents=(loaded(12),))])
    (status,) = await stock.endpoints()
    assert status.needed_bytes(MODEL) == round(10.5 * GIB)


async def test_a_model_larger_than_all_gpus_is_too_large(database):
    stock = service(database)
    gpus = (Gpu("a", "", 4 * GIB, 4 * GIB), Gpu("b", "", 4 * GIB, 4 * GIB))
    for chosen, expected in ((gpus, False), (gpus[:1], True), ((), False)):
        await stock.record([snapshot(gpus=chosen)])
        (status,) = await stock.endpoints()
        assert status.is_too_large(MODEL) is expected


async def test_times_are_learned_by_family_and_endpoint(database):
    stock = service(database, "local", "far")
    await stock.record([snapshot(), snapshot(name="far")])
    for seconds in (4.0, 6.0, 20.0):
        await database.write(
            lambda tx, seconds=seconds: inventory.add_timing(tx, "local", FAMILY.key, TimingKind.LOAD, seconds)
        )
    far, local = await stock.endpoints()
    assert local.timings[(FAMILY.key, TimingKind.LOAD)].quantile(0.5) == 6.0
    assert local.to_json(builders.NOON)["models"][0]["timings"]["load"]["count"] == 3
    assert far.timings == {}


async def test_maintainers_drain_and_resume_and_the_trail_says_who(database):
    stock = service(database)
    await stock.record([snapshot()])
    await stock.drain(builders.LEE, "local", "new disk")
    (status,) = await stock.endpoints()
    assert status.state is ServerState.DRAINING
    assert status.drain is not None
    assert (status.drain.by, status.drain.reason) == ("lee", "new disk")
    await stock.record([snapshot()])
    assert (await stock.endpoints())[0].state is ServerState.DRAINING, "a look does not end it"
    await stock.resume(OPERATOR, "local")
    await stock.resume(OPERATOR, "local")
    assert (await stock.endpoints())[0].state is ServerState.UP
    assert await kinds_of_events(database) == ["endpoint.drained", "endpoint.resumed"]


async def test_an_endpoint_can_be_drained_before_it_was_ever_looked_at(database):
    stock = service(database)
    await stock.drain(OPERATOR, "local", "")
    (status,) = await stock.endpoints()
    assert (status.state, status.drain is not None) == (ServerState.UNKNOWN, True)


async def test_who_is_not_a_maintainer_drains_nothing_and_a_name_that_is_not_there_is_said(database):
    stock = service(database)
    for refused in (stock.drain(builders.ANA, "local", ""), stock.resume(builders.ANA, "local")):
        with pytest.raises(RefusedError, match="ana is not a maintainer"):
            await refused
    for missing in (stock.drain(builders.LEE, "nowhere", ""), stock.resume(builders.LEE, "nowhere")):
        with pytest.raises(NotFoundError, match="there is no endpoint 'nowhere'") as caught:
            await missing
        assert "Known: local" in caught.value.problem.sentence()
    assert await kinds_of_events(database) == []


async def test_a_node_is_one_host_and_may_have_several_workers(database):
    await register(database, "w1", "gpu-1", "alpha")
    await register(database, "w2", "gpu-1", "alpha")
    with pytest.raises(ConflictError, match="the host alpha already runs workers as the node 'gpu-1'") as caught:
        await register(database, "w3", "gpu-1", "beta")
    assert caught.value.problem.kind.exit_code == 5
    (node,) = await service(database).nodes()
    assert {worker.id for worker in node.workers} == {"w1", "w2"}


async def test_a_node_whose_workers_ended_may_be_another_host(database):
    await register(database, "w1", "gpu-1", "alpha")
    await database.write(lambda tx: inventory.save_hardware(tx, "gpu-1", HARDWARE))
    await database.write(lambda tx: workers.stop(tx, "w1"))
    await register(database, "w2", "gpu-1", "beta")
    (node,) = await service(database).nodes()
    assert [worker.host for worker in node.workers] == ["beta"]
    assert node.hardware == HARDWARE, "it is measured anew in a moment"


@pytest.mark.parametrize("failure", [TransientError("busy", "the database is busy"), RuntimeError("odd")])
async def test_a_look_that_fails_is_logged_and_the_next_one_is_made(database, failure):
    await register(database, "w1")
    watch = FakeWatch(failure=failure)
    looks = replace(refresher(database, "w1", watch), every_s=0.02)
    running = asyncio.create_task(looks.run())
    await eventually(lambda: len(watch.looks) > 2)
    watch.failure = None

    async def is_seen() -> bool:
        return (await service(database).endpoints())[0].state is ServerState.UP

    await eventually(is_seen)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert watch.is_closed


async def test_a_refresher_that_is_woken_looks_at_once(database):
    await register(database, "w1")
    watch = FakeWatch()
    looks = replace(refresher(database, "w1", watch), every_s=3600.0)
    running = asyncio.create_task(looks.run())
    await eventually(lambda: len(watch.looks) == 1, within_s=60)
    looks.wake.set()
    await eventually(lambda: len(watch.looks) == 2, within_s=60)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_another_worker_takes_over_from_one_that_was_killed(database):
    await register(database, "w1")
    timing = {"timing": Timing(lease_s=0.3)}
    await refresher(database, "w1", FakeWatch(), **timing).refresh()
    successor = FakeWatch()
    looks = refresher(database, "w2", successor, **timing)

    async def has_looked() -> bool:
        await looks.refresh(measures=False)
        return bool(successor.looks)

    await eventually(has_looked)
