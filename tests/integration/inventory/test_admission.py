"""Who may ask an endpoint: the fake in memory and the one that all workers share through the database."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.model.circuit_breaker import BreakerThresholds
from core.model.endpoint_snapshot import EndpointSnapshot
from core.model.errors import TransientError
from core.model.family_figures import TimingKind
from core.model.inventory import ServerState
from core.ports.inventory import EndpointAdmission, EndpointRefusal
from core.services.endpoint_health import EndpointHealth
from core.services.inventory import Inventory
from core.store import inventory
from core.store.database import Database
from lanes.inventory.snapshots import SnapshotTaker
from lanes.models import ChatMessage, ChatRequest, Endpoint
from lanes.models.registry import ModelRegistry
from tests import builders
from tests.fakes.admission import MemoryAdmission
from tests.fakes.ollama import MODEL, OllamaShim, Say
from tests.shims.ollama import GpuShim, Hardware, ShimModel

pytestmark = pytest.mark.queue
GIB = 1024**3
THRESHOLDS = BreakerThresholds(failures=3, open_s=2.0, max_open_s=60.0)


@pytest.fixture(params=["memory", "database"])
def admission(request, database) -> EndpointAdmission:
    """The fake, and the real one on each database."""
    return MemoryAdmission(THRESHOLDS) if request.param == "memory" else EndpointHealth(database, THRESHOLDS)


async def fail(admission: EndpointAdmission, times: int, **more) -> None:
    for _ in range(times):
        await admission.record_failure("a", **more)


async def test_it_opens_after_the_threshold_for_one_endpoint_only(admission):
    await fail(admission, 2, cause="first")
    assert await admission.admit("a") is None
    await fail(admission, 1, cause="it is broken")
    refusal = await admission.admit("a")
    assert isinstance(refusal, EndpointRefusal)
    assert refusal.reason == "it is broken"
    assert 0 < refusal.wait_s <= 2.0
    assert await admission.admit("b") is None


async def test_one_trial_is_admitted_and_its_success_closes_it(admission):
    await fail(admission, 3)
    await asyncio.sleep(2.1)
    answers = await asyncio.gather(*(admission.admit("a") for _ in range(4)))
    assert [answer is None for answer in answers].count(True) == 1
    await admission.record_success("a")
    assert await admission.admit("a") is None
    await fail(admission, 2)
    assert await admission.admit("a") is None, "it counts from the beginning"


async def test_a_trial_that_fails_doubles_the_wait(admission):
    await fail(admission, 3)
    await asyncio.sleep(2.1)
    assert await admission.admit("a") is None
    await fail(admission, 1)
    refusal = await admission.admit("a")
    assert refusal is not None
    assert 2.0 < refusal.wait_s <= 4.0


async def test_what_the_endpoint_asked_for_is_given(admission):
    await fail(admission, 3, retry_after_s=33)
    refusal = await admission.admit("a")
    assert refusal is not None
    assert 20 < refusal.wait_s <= 33


async def test_a_success_of_what_never_failed_changes_nothing(admission):
    await admission.record_success("a")
    assert await admission.admit("a") is None


# ---- what only the shared one has


async def test_all_workers_share_what_one_of_them_found(database, location):
    first, second = EndpointHealth(database, THRESHOLDS), EndpointHealth(Database(location), THRESHOLDS)
    await fail(first, 2, cause="it is broken")
    await fail(second, 1)
    for health in (first, second):
        assert (refusal := await health.admit("a")) is not None
        assert refusal.reason == "it is broken"
    await second.database.close()


async def test_failures_at_once_are_all_counted(database):
    health = EndpointHealth(database, THRESHOLDS)
    await asyncio.gather(*(health.record_failure("a") for _ in range(3)))
    assert await health.admit("a") is not None


async def test_a_drained_endpoint_is_not_asked_and_says_who_drained_it(database):
    stock = Inventory(database, builders.always(builders.settings()), lambda: {"a": "ollama"})
    health = EndpointHealth(database)
    await stock.drain(builders.LEE, "a", "new disk")
    assert (await health.admit("a")) == EndpointRefusal("the endpoint a is drained by lee: new disk", 30.0)
    await stock.resume(builders.LEE, "a")
    assert await health.admit("a") is None


async def test_a_wedged_endpoint_is_not_asked_unless_that_is_old_news(database):
    wedged = EndpointSnapshot("a", "ollama", ServerState.WEDGED, "qwen3:8b did not answer", checked_at=builders.NOON)
    health = EndpointHealth(database)
    await database.write(lambda tx: inventory.save_snapshot(tx, replace(wedged, checked_at=tx.now)))
    assert (refusal := await health.admit("a")) is not None
    assert refusal.reason == "the endpoint a hangs: qwen3:8b did not answer"
    await database.write(lambda tx: inventory.save_snapshot(tx, wedged))
    assert await health.admit("a") is None, "no worker has looked for a long time"


async def test_a_snapshot_and_a_drain_leave_the_breaker_as_it_is(database):
    health = EndpointHealth(database, THRESHOLDS)
    await fail(health, 3, cause="it is broken")
    snapshot = EndpointSnapshot("a", "ollama", ServerState.UP, checked_at=builders.NOON)
    await database.write(lambda tx: inventory.save_snapshot(tx, snapshot))
    await database.write(lambda tx: inventory.set_drain(tx, "a", by="lee", reason=""))
    await database.write(lambda tx: inventory.clear_drain(tx, "a"))
    assert await health.admit("a") is not None


async def test_without_the_database_an_answer_is_still_worth_more_than_a_count(database):
    class Unreachable:
        async def read(self, _work):
            raise TransientError("database_down", "the database cannot be reached")

        write = read

    health = EndpointHealth(Unreachable())  # type: ignore[arg-type]
    assert await health.admit("a") is None
    await health.record_failure("a")
    await health.record_success("a")


async def test_a_lane_goes_on_with_its_next_model_while_the_first_ones_endpoint_is_drained(database):
    stock = Inventory(database, builders.always(builders.settings()), lambda: {"near": "ollama", "far": "ollama"})
    async with OllamaShim(lambda _: Say("near")) as near, OllamaShim(lambda _: Say("far")) as far:
        endpoints = {"near": Endpoint("near", "ollama", near.url), "far": Endpoint("far", "ollama", far.url)}
        model = ModelRegistry(endpoints, EndpointHealth(database)).model_for([f"near/{MODEL}", f"far/{MODEL}"])
        ask = ChatRequest((ChatMessage("user", "hello"),))
        assert (await model.ask(ask)).text == "near"
        await stock.drain(builders.LEE, "near", "")
        assert (await model.ask(ask)).text == "far"
        await stock.drain(builders.LEE, "far", "too")
        with pytest.raises(TransientError, match="near is drained by lee; the endpoint far is drained by lee: too"):
            await model.ask(ask)
        await stock.resume(builders.LEE, "near")
        assert (await model.ask(ask)).text == "near"
    assert len(near.requests) == 2


async def test_the_load_times_of_real_requests_are_learned_by_family(database):
    stock = Inventory(database, builders.always(builders.settings()), lambda: {"local": "ollama"})
    async with GpuShim({"small": ShimModel(GIB, load_s=3.0)}, Hardware(24 * GIB), speed=10.0) as server:
        endpoint = Endpoint("local", "ollama", server.url)
        taker = SnapshotTaker(lambda: {"local": endpoint}, "here", sends_canaries=False)
        await stock.record(await taker.look({}, {}, frozenset(), builders.NOON))
        model = ModelRegistry({"local": endpoint}, EndpointHealth(database)).model_for(["local/small"])
        for _ in range(2):
            await model.ask(ChatRequest((ChatMessage("user", "hello"),)))
    (status,) = await stock.endpoints()
    (known,) = status.snapshot.models
    learned = status.timings[(known.family.key, TimingKind.LOAD)]
    assert learned.count == 1, "the second request met a loaded model"
    assert learned.average_s >= 3.0
