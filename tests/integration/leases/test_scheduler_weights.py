"""The weights of the live queue: tried in the shadow, adopted, and taken back when people wait longer."""

from __future__ import annotations

import pytest

from core.model.errors import ConflictError, RefusedError
from core.model.turn import Actor
from core.queue.shadow_scheduling import ShadowScheduling
from core.scheduler.demand import Demand, EndpointSpec, Family, Work, WorkClass
from core.scheduler.events import Arrived, EndpointUp
from core.scheduler.scheduler import Scheduler
from core.scheduler.wait_figures import WaitFigures
from core.scheduler.weights import Weights
from core.services.scheduler_weights import SchedulerWeights, ShadowFigures
from core.store import events
from core.store.lease_table import ModelLeaseRow
from tests import builders, campaign

pytestmark = [pytest.mark.queue, campaign.EITHER]

OPERATOR = Actor(None, "terminal", is_operator=True)
OTHERS = Weights(chat=4.0, hysteresis=0.5)
SHORT = {WorkClass.CHAT: WaitFigures(60, 60.0, 0), WorkClass.BULK: WaitFigures()}
LONG = {WorkClass.CHAT: WaitFigures(60, 600.0, 0), WorkClass.BULK: WaitFigures()}


@pytest.fixture
def weights(database) -> SchedulerWeights:
    return SchedulerWeights(database, builders.always(builders.settings()))


async def add_leases(database, number: int, *, wait_ms: int, sooner_ms: int = 0) -> None:
    """Granted chats that waited so long."""

    async def work(tx):
        for _ in range(number):
            arrived = tx.now_ms - sooner_ms
            granted = arrived + wait_ms
            times = {"arrived_ms": arrived, "until_ms": arrived, "granted_ms": granted, "ended_ms": granted + 1}
            tx.session.add(
                ModelLeaseRow(
                    id=tx.new_id("lease"), state="ended", model="gpu/m", is_chat=True, due_ms=arrived + 10**6, **times
                )
            )

    await database.write(work)


async def kinds(database) -> list[str]:
    return [each.kind for each in await database.read(lambda tx: events.chain_of(tx, events.SYSTEM))]


async def test_a_candidate_is_tried_adopted_when_it_is_better_and_reverted_by_hand(weights, database):
    assert (await weights.state()).current == Weights()
    with pytest.raises(ConflictError, match="No weights are being tried"):
        await weights.adopt(OPERATOR)
    await weights.try_out(OPERATOR, OTHERS)
    with pytest.raises(ConflictError, match="0 requests were scheduled in its shadow, and 50 are needed"):
        await weights.adopt(OPERATOR)
    await weights.record_shadow(0, OTHERS, ShadowFigures(LONG, SHORT))
    state = await weights.adopt(OPERATOR)
    assert (state.current, state.previous, state.candidate, state.version) == (OTHERS, Weights(), None, 1)
    assert (await weights.state()) == state, "what is stored reads back as it was"
    assert (await weights.revert(OPERATOR)).current == Weights()
    with pytest.raises(ConflictError, match="uses its usual weights"):
        await weights.revert(OPERATOR)
    assert await kinds(database) == ["weights.tried", "weights.adopted", "weights.reverted"]


async def test_a_candidate_that_waits_longer_in_the_shadow_is_not_adopted_unless_someone_insists(weights):
    await weights.try_out(OPERATOR, OTHERS)
    await weights.record_shadow(0, OTHERS, ShadowFigures(SHORT, LONG))
    with pytest.raises(ConflictError, match=r"chat waits 10\.0 s instead of 1\.0 s"):
        await weights.adopt(OPERATOR)
    assert (await weights.adopt(OPERATOR, anyway=True)).current == OTHERS


async def test_figures_of_a_candidate_that_was_replaced_are_dropped(weights):
    await weights.try_out(OPERATOR, OTHERS)
    await weights.try_out(OPERATOR, Weights(chat=9.0))
    await weights.record_shadow(0, OTHERS, ShadowFigures(LONG, SHORT))
    assert (await weights.state()).shadow == ShadowFigures()
    assert (await weights.revert(OPERATOR)).candidate is None


async def test_an_adoption_is_taken_back_by_itself_when_people_wait_longer(weights, database):
    await add_leases(database, 60, wait_ms=1_000, sooner_ms=60_000)
    await weights.try_out(OPERATOR, OTHERS)
    await weights.adopt(OPERATOR, anyway=True)
    assert (await weights.watch()).current == OTHERS
    await add_leases(database, 60, wait_ms=9_000)
    state = await weights.watch()
    assert (state.current, state.version) == (Weights(), 2)
    assert state.reverted == ("chat waits 9.0 s instead of 1.0 s",)
    assert (await kinds(database))[-1] == "weights.reverted"
    assert await weights.watch() == state


async def test_an_adoption_that_changes_nothing_for_the_worse_stays(weights, database):
    await add_leases(database, 60, wait_ms=3_000, sooner_ms=60_000)
    await weights.try_out(OPERATOR, OTHERS)
    await weights.adopt(OPERATOR, anyway=True)
    await add_leases(database, 60, wait_ms=3_500)
    assert (await weights.watch()).current == OTHERS


async def test_only_maintainers_change_the_weights(weights):
    with pytest.raises(RefusedError, match="ana is not a maintainer"):
        await weights.try_out(Actor("ana", "terminal"), OTHERS)


async def test_the_shadow_of_a_granter_records_figures_and_says_when_weights_changed(weights):
    shadow, scheduler, now_s = ShadowScheduling(weights), Scheduler((Family("m", 10_000, 10.0),)), 1_000.0
    assert await shadow.weights() == Weights()
    scheduler.handle(EndpointUp(EndpointSpec("e", 48_000), ("m",)), now_s)
    await weights.try_out(OPERATOR, OTHERS)
    assert not await shadow.step(scheduler, now_s)
    for number in range(60):
        event = Arrived(Demand(str(number), "m", Work(1.0, 2.0), now_s + number))
        shadow.tell(event, scheduler.handle(event, now_s + number), now_s + number)
    assert not await shadow.step(scheduler, now_s + 60.0)
    figures = (await weights.state()).shadow
    assert figures.candidate[WorkClass.CHAT].count == figures.today[WorkClass.CHAT].count == 60
    assert figures.decisions[-1]["lease"] == "59"
    await weights.adopt(OPERATOR, anyway=True)
    assert await shadow.step(scheduler, now_s + 70.0)
    assert await shadow.weights() == OTHERS
