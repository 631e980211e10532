"""Models of one GPU, shared by two workers through leases: order, swaps, and whoever dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import update

from core.model.errors import ConflictError, PermanentError, TransientError
from core.model.model_lease import LeaseState, ModelWork
from core.store import leaders, model_leases
from core.store.lease_table import ModelLeaseRow
from core.store.unit_of_work import Tx
from lanes.models.chat import ChatMessage, ChatRequest
from lanes.models.registry import ModelRegistry
from tests import campaign
from tests.fakes.admission import MemoryAdmission
from tests.integration.leases.leased_models import LeasedModels, endpoint_of, leased_models
from tests.shims.ollama.scheduler import GIB, Hardware, ShimModel
from tests.shims.ollama.server import GpuShim, Mode, words
from tests.worker_harness import eventually

pytestmark = [pytest.mark.queue, campaign.EITHER]


def a_shim(*, speed: float = 20.0, memory_gib: int = 12) -> GpuShim:
    """A GPU for one of the two large models beside the small one."""
    models = {
        "alpha": ShimModel(8 * GIB, 1024, load_s=4.0, wake_s=4.0),
        "beta": ShimModel(8 * GIB, 1024, load_s=4.0, wake_s=4.0),
        "small": ShimModel(2 * GIB, 1024, load_s=1.0, wake_s=1.0),
    }
    return GpuShim(models, Hardware(memory_bytes=memory_gib * GIB), reply=words(8), speed=speed)


@pytest.fixture
async def shim() -> AsyncIterator[GpuShim]:
    async with a_shim() as running:
        yield running


@pytest.fixture
async def leased(database, shim) -> AsyncIterator[LeasedModels]:
    async with leased_models(database, "w1", "w2", gpu=shim) as running:
        yield running


async def alive(leased: LeasedModels) -> list[tuple[str, LeaseState]]:
    return [(lease.model, lease.state) for lease in (await leased.book.alive()).leases]


async def alive_is(leased: LeasedModels, *expected: tuple[str, LeaseState]) -> bool:
    return await alive(leased) == list(expected)


async def waits(leased: LeasedModels, model: str) -> bool:
    return (model, LeaseState.WAITING) in await alive(leased)


async def test_two_models_used_in_turn_are_swapped_a_few_times_and_not_at_every_request(leased, shim):
    names = ["gpu/alpha", "gpu/beta"] * 8
    asks = [leased.workers[index % 2].ask(name, tokens=8) for index, name in enumerate(names)]
    answers = await asyncio.gather(*asks)
    assert answers == names
    assert shim.scheduler.tally.loads + shim.scheduler.tally.wakes <= 5
    assert shim.cut_off == 0


async def test_ollamas_own_rule_swaps_the_same_requests_at_every_turn(shim):
    models = ModelRegistry({"gpu": endpoint_of("gpu", shim)}, MemoryAdmission())
    request = ChatRequest((ChatMessage("user", "hello"),), max_tokens=8)
    await asyncio.gather(*(models.model_for([name]).ask(request) for name in ["gpu/alpha", "gpu/beta"] * 8))
    assert shim.scheduler.tally.loads + shim.scheduler.tally.wakes > 5


async def test_one_who_waits_is_told_why(database):
    async with a_shim(speed=2.0) as slow, leased_models(database, "w1", gpu=slow) as leased:
        work = asyncio.create_task(leased.workers[0].ask("gpu/alpha"))

        async def is_told() -> bool:
            return [each.reason for each in (await leased.book.alive()).leases] == [
                "alpha:latest is being loaded on gpu."
            ]

        await eventually(is_told)
        await work


async def test_a_waiter_that_is_cancelled_leaves_no_lease(leased):
    work = asyncio.create_task(leased.workers[0].ask("gpu/alpha"))
    await eventually(lambda: waits(leased, "gpu/alpha"))
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    assert await alive(leased) == []


async def test_another_worker_goes_on_granting_when_the_first_one_dies(leased):
    assert await leased.workers[0].ask("gpu/alpha") == "gpu/alpha"
    for name in ("w1", "w2"):
        if (await leased.database.read(_granter)) == name:
            await leased.kill_granter(name)
            break
    assert await leased.workers[0].ask("gpu/beta") == "gpu/beta"


async def test_what_a_dead_process_had_is_taken_back_when_it_is_not_renewed(leased):
    async def died(tx: Tx) -> None:
        until_ms = tx.now_ms + 60_000
        await model_leases.add(tx, "gpu/alpha", ModelWork(), key="", kind=("", "gpu/alpha"), until_ms=until_ms)

    await leased.database.write(died)
    await eventually(lambda: alive_is(leased, ("gpu/alpha", LeaseState.GRANTED)))
    await leased.database.write(_forget_renewals)
    assert await leased.workers[1].ask("gpu/beta") == "gpu/beta"


async def test_those_who_wait_for_an_endpoint_that_went_down_are_told_and_ask_the_next(database):
    async with (
        a_shim() as one,
        a_shim() as other,
        leased_models(database, "w1", one=one, other=other) as leased,
    ):
        one.switch(Mode.VANISH)
        assert await leased.workers[0].ask("one/alpha", "other/alpha") == "other/alpha"


async def test_a_load_that_fails_is_told_to_all_who_wait_for_it(leased, shim):
    shim.switch(Mode.OUT_OF_MEMORY)
    with pytest.raises(TransientError, match="gpu/alpha could not be loaded"):
        await leased.workers[0].ask("gpu/alpha")
    shim.switch(Mode.NORMAL)
    assert await leased.workers[0].ask("gpu/small") == "gpu/small"


async def test_an_agents_model_stays_between_its_turns_and_not_for_ever(leased, shim):
    assert await leased.workers[0].ask("gpu/alpha", job="job_1", is_chat=False) == "gpu/alpha"
    assert await alive(leased) == [("gpu/alpha", LeaseState.HELD)]
    other = asyncio.create_task(leased.workers[1].ask("gpu/beta"))
    await eventually(lambda: waits(leased, "gpu/beta"))
    await asyncio.sleep(0.3)
    assert "alpha:latest" in shim.resident
    assert await other == "gpu/beta"


async def test_one_who_lost_the_duty_of_granting_grants_nothing(leased):
    with pytest.raises(ConflictError, match="another worker grants model leases now"):
        await leased.book.record(granter="dead", granted={}, places={}, refused={}, reasons={}, expired=())


async def test_a_job_that_waits_for_a_model_is_known_until_it_has_it(leased):
    work = asyncio.create_task(leased.workers[0].ask("gpu/alpha", job="job_1"))
    await eventually(lambda: list(leased.workers[0].client.waiting_jobs) == ["job_1"])
    await work
    assert list(leased.workers[0].client.waiting_jobs) == []


async def test_without_a_granter_nothing_is_waited_for(database, shim):
    async with leased_models(database, "w1", gpu=shim) as leased:
        await leased.kill_granter("w1")
        assert await leased.workers[0].ask("gpu/small") == "gpu/small"


async def _granter(tx: Tx) -> str | None:
    return (await leaders.lease_of(tx, leaders.LEASES))[0]


async def _forget_renewals(tx: Tx) -> None:
    await tx.session.execute(update(ModelLeaseRow).values(until_ms=tx.now_ms - 1))


async def test_a_model_that_is_not_there_is_missing_and_does_not_shut_the_endpoint(leased):
    for _ in range(4):
        with pytest.raises(PermanentError, match="nosuch"):
            await leased.workers[0].ask("gpu/nosuch")
    assert await leased.workers[0].ask("gpu/small") == "gpu/small"


async def test_a_model_larger_than_any_gpu_is_not_waited_for(database):
    async with a_shim(memory_gib=6) as shim, leased_models(database, "w1", gpu=shim) as leased:
        with pytest.raises(TransientError, match=r"gpu/alpha:latest needs 8\.\d GiB, and gpu has 6\.0 GiB"):
            await leased.workers[0].ask("gpu/alpha")
        assert await leased.workers[0].ask("gpu/alpha", "gpu/small") == "gpu/small"


async def test_a_job_that_ends_gives_its_model_back(leased):
    assert await leased.workers[0].ask("gpu/alpha", job="job_1", is_chat=False) == "gpu/alpha"
    await leased.database.write(lambda tx: model_leases.end_held(tx, ["job_1"]))
    assert await alive(leased) == []


async def test_a_model_whose_load_was_seen_keeps_no_margin_and_so_its_place(database):
    """Two models of 8 GiB have 20 GiB: enough for one and the estimate of the other with its margin, not for both's."""
    async with a_shim(memory_gib=20) as shim, leased_models(database, "w1", gpu=shim) as running:
        (worker,) = running.workers
        moved: list[str] = []
        worker.granter.on_moved = lambda: moved.append("now")
        await worker.ask("gpu/alpha")
        assert moved == ["now"]
        await eventually(lambda: _taken_mib(running) < 9 * 1024, within_s=60)
        await worker.ask("gpu/beta")
        assert shim.scheduler.tally.loads == 2
        await worker.ask("gpu/alpha")
        assert shim.scheduler.tally.loads == 2, "nothing was evicted"


def _taken_mib(leased: LeasedModels) -> int:
    """The memory of what is loaded, as the granter counts it."""
    scheduling = leased.workers[0].granter.scheduling
    assert scheduling is not None
    return scheduling.scheduler.endpoints["gpu"].used_mib
