"""Shadow mode: decisions of other weights beside the live ones, on endpoints that exist only in the shadow."""

from __future__ import annotations

import random

from core.scheduler.demand import Demand, EndpointSpec, Family, Work, WorkClass
from core.scheduler.events import (
    Arrived,
    EndpointDown,
    EndpointUp,
    Event,
    Finished,
    Grant,
    Load,
    Loaded,
    Tick,
    Withdrawn,
)
from core.scheduler.reasons import Reason, ReasonCode
from core.scheduler.scheduler import Scheduler
from core.scheduler.wait_figures import WaitFigures, is_better, problems
from core.scheduler.weights import Weights
from core.simulator.shadow import ShadowScheduler

SMALL, LARGE = Family("small", 10_000, 10.0), Family("large", 40_000, 40.0)


def a_shadow(weights: Weights | None = None) -> ShadowScheduler:
    shadow = ShadowScheduler({each.name: each for each in (SMALL, LARGE)}, weights or Weights())
    shadow.tell(EndpointUp(EndpointSpec("e", 48_000), ("small",)), (), 0.0)
    return shadow


def a_demand(name, at_s, family="small", work_class=WorkClass.CHAT, p50_s=5.0):
    return Demand(name, family, Work(p50_s, 2 * p50_s), at_s, work_class, "ana")


def test_a_shadow_grants_and_loads_in_its_own_time():
    shadow = a_shadow()
    shadow.tell(Arrived(a_demand("1", 1_000.0)), (), 1_000.0)
    shadow.tell(Arrived(a_demand("2", 1_001.0)), (), 1_001.0)
    shadow.tell(Tick(), (), 1_004.0)
    assert shadow.figures[WorkClass.CHAT] == WaitFigures(1, 0.0, 0)
    shadow.tell(Tick(), (), 1_006.0)
    assert shadow.figures[WorkClass.CHAT] == WaitFigures(2, 4.0, 0)
    shadow.tell(Arrived(a_demand("3", 1_010.0, "large")), (), 1_010.0)
    shadow.tell(Tick(), (), 1_060.0)
    assert (shadow.loads, shadow.figures[WorkClass.CHAT].count) == (1, 3)
    assert [each.demand for each in shadow.recent] == ["1", "2", "3"]


def test_work_takes_in_the_shadow_what_it_took_in_reality_where_that_is_known():
    shadow = a_shadow()
    shadow.tell(Arrived(a_demand("1", 0.0, p50_s=100.0)), (), 0.0)
    shadow.tell(Arrived(a_demand("2", 0.0, p50_s=100.0)), (Grant("2", "e", Reason(ReasonCode.ONLY_READY)),), 0.0)
    shadow.tell(Finished("2"), (), 3.0)
    shadow.tell(Arrived(a_demand("3", 4.0, p50_s=100.0)), (), 4.0)
    shadow.tell(Tick(), (), 104.0)  # 1 ended at 100 s as expected, and 2 took 3 s
    assert [(each.demand, each.wait_s) for each in shadow.recent] == [("1", 0.0), ("2", 100.0), ("3", 99.0)]


def test_what_is_withdrawn_or_lost_with_its_endpoint_is_not_waited_for_in_the_shadow():
    shadow = a_shadow()
    shadow.tell(Arrived(a_demand("1", 0.0)), (), 0.0)
    shadow.tell(Arrived(a_demand("2", 0.0)), (), 0.0)
    shadow.tell(Withdrawn("2"), (), 1.0)
    shadow.tell(EndpointDown("e"), (), 2.0)
    shadow.tell(EndpointUp(EndpointSpec("e", 48_000), ("small",)), (), 3.0)
    shadow.tell(Tick(), (), 100.0)
    assert shadow.figures[WorkClass.CHAT].count == 1


def test_shadows_of_the_same_weights_agree_and_keep_nothing_of_what_is_over():
    rng = random.Random(5)
    live, shadows = Scheduler((SMALL, LARGE)), (a_shadow(), a_shadow())
    pending: list[tuple[float, Event]] = []
    live.handle(EndpointUp(EndpointSpec("e", 48_000), ("small",)), 0.0)
    now_s, number = 0.0, 0
    while number < 300 or pending:
        event: Event
        pending.sort(key=lambda each: each[0])
        if number < 300 and (not pending or now_s + 6.0 < pending[0][0]):
            now_s += rng.expovariate(0.2)
            number += 1
            event = Arrived(a_demand(str(number), now_s, rng.choice(["small", "small", "small", "large"])))
        else:
            now_s, event = max(now_s, pending[0][0]), pending.pop(0)[1]
        decisions = live.handle(event, now_s)
        pending += [(now_s + 4.0, Finished(each.demand)) for each in decisions if isinstance(each, Grant)]
        pending += [
            (now_s + live.waiting.families[each.family].load_s, Loaded(each.endpoint, each.family))
            for each in decisions
            if isinstance(each, Load)
        ]
        for shadow in shadows:
            shadow.tell(event, decisions, now_s)
    for shadow in shadows:
        for hours in (3.0, 6.0, 9.0):  # a load that was put off begins, ends, and what it was for ends
            shadow.tell(Tick(), (), now_s + 3_600.0 * hours)
        assert shadow.figures[WorkClass.CHAT].count == 300
        assert shadow.is_idle
    assert shadows[0].figures == shadows[1].figures
    assert not is_better(shadows[0].figures, shadows[1].figures)


def test_a_class_that_waits_longer_or_misses_promises_is_named():
    old = {WorkClass.CHAT: WaitFigures(100, 200.0, 0), WorkClass.BULK: WaitFigures(100, 9_000.0, 0)}
    longer = {WorkClass.CHAT: WaitFigures(100, 700.0, 0), WorkClass.BULK: WaitFigures(100, 1_000.0, 20)}
    assert problems(old, longer) == (
        "chat waits 7.0 s instead of 2.0 s",
        "20% of the promised starts of bulk are missed instead of 0%",
    )
    assert not is_better(old, longer)
    shorter = {WorkClass.CHAT: WaitFigures(60, 100.0, 0), WorkClass.BULK: WaitFigures(60, 4_000.0, 1)}
    assert is_better(old, shorter)
    assert not is_better(old, {WorkClass.CHAT: WaitFigures(10, 1.0, 0)}), "few demands say nothing"
