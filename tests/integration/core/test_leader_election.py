"""Leading: one of all workers sweeps, under a lease by the database's clock; others take over from one that died."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from core.queue.reconciler import Reconciler
from core.queue.sweep_leader import Sweeper
from core.settings import Timing
from core.store import leaders
from core.store.database import Database
from tests import builders
from tests.clock import timed
from tests.worker_harness import eventually

pytestmark = pytest.mark.queue

LEASE_S = 2.0


@dataclass(slots=True)
class CountingReconciler(Reconciler):
    """A reconciler that counts its sweeps, and says each time that it changed something."""

    sweeps: list[str] = field(default_factory=list)

    async def sweep(self, worker: str = "") -> int:
        self.sweeps.append(worker)
        return 1


def sweeper(database: Database, worker: str, reconciler: Reconciler | None = None, wake=lambda: None) -> Sweeper:
    source = builders.always(builders.settings(timing=Timing(lease_s=LEASE_S)))
    return Sweeper(database, source, reconciler or Reconciler(database, source), worker, wake)


async def test_of_many_that_would_sweep_one_leads_and_stays_the_leader(database, location):
    others = [Database(location) for _ in range(4)]
    sweepers = [sweeper(other, f"w{n}") for n, other in enumerate(others)]
    first = await asyncio.gather(*(one.leads() for one in sweepers))
    assert sum(first) == 1
    assert await asyncio.gather(*(one.leads() for one in sweepers)) == first
    for other in others:
        await other.close()


async def test_a_leader_that_does_not_renew_its_lease_is_followed_by_another_when_it_ran_out(database):
    async def lead_at(worker: str, now_ms: int) -> bool:
        return bool(await database.write(lambda tx: leaders.lead(timed(tx, now_ms), leaders.SWEEP, worker, 1000)))

    assert await lead_at("w1", 10_000)
    assert not await lead_at("w2", 10_999)
    assert await lead_at("w1", 10_999), "it may renew it"
    assert not await lead_at("w2", 11_998)
    assert await lead_at("w2", 11_999)
    assert not await lead_at("w1", 12_000), "one that was only suspended finds out"


async def test_a_leader_that_ends_makes_room_at_once(database):
    assert await sweeper(database, "w1").leads()
    assert not await sweeper(database, "w2").leads()
    await database.write(lambda tx: leaders.resign(tx, "w2"))
    assert not await sweeper(database, "w2").leads(), "nobody gives up what another has"
    await database.write(lambda tx: leaders.resign(tx, "w1"))
    assert await sweeper(database, "w2").leads()


async def test_a_lease_that_is_fresh_is_not_written_again(database):
    leading = sweeper(database, "w1")
    assert await leading.leads()
    _, left_ms = await database.read(lambda tx: leaders.lease_of(tx, leaders.SWEEP))
    assert await leading.leads()
    _, later_ms = await database.read(lambda tx: leaders.lease_of(tx, leaders.SWEEP))
    assert later_ms <= left_ms, "an idle system writes only when half a lease is over"


async def test_only_the_leader_sweeps_and_wakes_its_worker_when_that_changed_something(database):
    reconciler = CountingReconciler(database, builders.always(builders.settings()))
    woken: list[str] = []
    sweepers = [sweeper(database, name, reconciler, lambda name=name: woken.append(name)) for name in ("w1", "w2")]
    running = [asyncio.create_task(one.run()) for one in sweepers]
    await eventually(lambda: len(reconciler.sweeps) >= 3)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert len(set(reconciler.sweeps)) == 1
    assert set(woken) == set(reconciler.sweeps)


async def test_a_worker_leaves_the_lease_to_the_next(harness):
    await harness.drain()
    assert await harness.database.read(lambda tx: leaders.lease_of(tx, leaders.SWEEP)) == (None, 0)
