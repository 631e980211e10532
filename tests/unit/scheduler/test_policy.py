"""What the scheduler decides in small situations that can be followed by hand."""

from __future__ import annotations

import pytest

from core.model.errors import UsageError
from core.scheduler.demand import Demand, EndpointSpec, Family, Work, WorkClass
from core.scheduler.events import (
    Arrived,
    EndpointDown,
    EndpointUp,
    Evict,
    Finished,
    Grant,
    Held,
    Load,
    Loaded,
    LoadFailed,
)
from core.scheduler.reasons import ReasonCode
from core.scheduler.scheduler import Scheduler
from core.scheduler.weights import Weights

SMALL, OTHER, LARGE = Family("small", 10_000, 10.0), Family("other", 10_000, 10.0), Family("large", 40_000, 40.0)


def a_scheduler(*residents: str, memory_mib: int = 48_000, slots: int = 1, chat_slots: int = 0) -> Scheduler:
    scheduler = Scheduler((SMALL, OTHER, LARGE))
    scheduler.handle(EndpointUp(EndpointSpec("e", memory_mib, slots, chat_slots), residents), 0.0)
    return scheduler


def a_demand(name, family="small", *, p50_s=5.0, at_s=0.0, work_class=WorkClass.CHAT, key="ana", deadline_s=None):
    return Demand(name, family, Work(p50_s, 2 * p50_s), at_s, work_class, key, deadline_s)


def grants(decisions):
    return [each for each in decisions if isinstance(each, Grant)]


def granted(decisions):
    return [each.demand for each in grants(decisions)]


def loads(decisions):
    return [each for each in decisions if isinstance(each, Load)]


def test_what_is_resident_is_granted_at_once():
    (grant,) = grants(a_scheduler("small").handle(Arrived(a_demand("1")), 0.0))
    assert (grant.demand, grant.endpoint, grant.reason.code) == ("1", "e", ReasonCode.ONLY_READY)


def test_what_is_absent_is_loaded_and_then_granted():
    scheduler = a_scheduler()
    (load,) = loads(scheduler.handle(Arrived(a_demand("1")), 0.0))
    assert (load.endpoint, load.family) == ("e", "small")
    assert scheduler.why("1", 1.0).code is ReasonCode.WAITS_FOR_LOAD
    assert granted(scheduler.handle(Loaded("e", "small"), 10.0)) == ["1"]


def test_a_load_goes_on_beside_work():
    scheduler = a_scheduler("small")
    scheduler.handle(Arrived(a_demand("1")), 0.0)
    assert [each.family for each in loads(scheduler.handle(Arrived(a_demand("2", "other")), 1.0))] == ["other"]


def test_running_work_is_never_evicted_and_the_reason_says_so():
    scheduler = a_scheduler("small")
    scheduler.handle(Arrived(a_demand("1")), 0.0)
    assert scheduler.handle(Arrived(a_demand("2", "large")), 1.0) == ()
    assert scheduler.why("2", 1.0).code is ReasonCode.WAITS_FOR_MEMORY
    assert [(type(each), getattr(each, "family", "")) for each in scheduler.handle(Finished("1"), 5.0)] == [
        (Evict, "small"),
        (Load, "large"),
    ]


def test_a_large_load_waits_while_resident_work_is_worth_more():
    scheduler = a_scheduler("small")
    for number in range(40):
        scheduler.handle(Arrived(a_demand(f"s{number}", p50_s=1.0)), 0.0)
    scheduler.handle(Arrived(a_demand("l", "large")), 0.0)
    assert granted(scheduler.handle(Finished("s0"), 1.0)) == ["s1"]
    assert scheduler.why("l", 1.0).code is ReasonCode.WAITS_FOR_MEMORY


def test_a_deadline_at_risk_goes_before_what_is_worth_more():
    scheduler = a_scheduler("small", "other")
    scheduler.handle(Arrived(a_demand("0")), 0.0)
    for number in range(1, 9):
        scheduler.handle(Arrived(a_demand(f"s{number}", p50_s=1.0)), 0.0)
    scheduler.handle(Arrived(a_demand("late", "other", p50_s=30.0, deadline_s=40.0)), 0.0)
    (grant,) = grants(scheduler.handle(Finished("0"), 5.0))
    assert (grant.demand, grant.reason.code) == ("late", ReasonCode.PROMISED)


def test_a_chat_begins_beside_bulk_work_that_takes_longer_and_bulk_work_does_not_begin_beside_a_chat():
    scheduler = a_scheduler("small", chat_slots=1)
    bulk = {"p50_s": 60.0, "work_class": WorkClass.BULK}
    assert granted(scheduler.handle(Arrived(a_demand("b1", **bulk)), 0.0)) == ["b1"]
    assert granted(scheduler.handle(Arrived(a_demand("b2", **bulk)), 0.0)) == []
    assert granted(scheduler.handle(Arrived(a_demand("c1")), 0.0)) == ["c1"]
    assert granted(scheduler.handle(Arrived(a_demand("c2")), 0.0)) == []


def test_a_chat_does_not_slow_down_bulk_work_that_is_soon_over():
    scheduler = a_scheduler("small", chat_slots=1)
    scheduler.handle(Arrived(a_demand("b", p50_s=1.0, work_class=WorkClass.BULK)), 0.0)
    assert granted(scheduler.handle(Arrived(a_demand("c", p50_s=5.0)), 0.0)) == []
    assert granted(scheduler.handle(Finished("b"), 1.0)) == ["c"]


def test_a_family_that_is_asked_for_often_is_loaded_again_before_it_is_asked_for():
    scheduler = Scheduler((SMALL, LARGE), Weights(ahead_s=100.0, patience=0.0))
    scheduler.handle(EndpointUp(EndpointSpec("e", 45_000), ("small",)), 0.0)
    for number in range(60):
        scheduler.handle(Arrived(a_demand(f"s{number}", p50_s=1.0, at_s=10.0 * number)), 10.0 * number)
        scheduler.handle(Finished(f"s{number}"), 10.0 * number + 1.0)
    assert loads(scheduler.handle(Arrived(a_demand("l", "large", at_s=600.0)), 600.0))
    assert granted(scheduler.handle(Loaded("e", "large"), 640.0)) == ["l"]
    evict, load = scheduler.handle(Finished("l"), 645.0)
    assert isinstance(evict, Evict)
    assert isinstance(load, Load)
    assert (evict.family, load.family, load.reason.code) == ("large", "small", ReasonCode.PREFETCH)


def test_nothing_that_is_waited_for_is_evicted_for_a_family_that_is_not():
    scheduler = a_scheduler("large", memory_mib=45_000)
    for number in range(60):
        scheduler.waiting.rates.arrived("small", 1.0, float(number))
    scheduler.handle(Arrived(a_demand("l0", "large", at_s=60.0)), 60.0)
    scheduler.handle(Arrived(a_demand("l1", "large", at_s=60.0)), 60.0)
    assert loads(scheduler.handle(Finished("l0"), 70.0)) == []


def test_a_key_with_many_demands_delays_the_first_of_another_by_one_rotation():
    scheduler = a_scheduler("small")
    for number in range(2_000):
        scheduler.handle(Arrived(a_demand(f"a{number}", key="noisy")), 0.0)
    scheduler.handle(Arrived(a_demand("b", key="quiet")), 0.0)
    scheduler.handle(Finished("a0"), 5.0)
    assert granted(scheduler.handle(Finished("a1"), 10.0)) == ["b"]


def test_a_family_between_two_turns_stays_until_its_bound():
    scheduler = a_scheduler("small")
    scheduler.handle(Arrived(a_demand("1")), 0.0)
    assert scheduler.handle(Held("1", 60.0), 5.0) == ()
    assert scheduler.handle(Arrived(a_demand("2", "large", at_s=6.0)), 6.0) == ()
    decisions = scheduler.handle(Arrived(a_demand("3", "large", at_s=61.0)), 61.0)
    assert [type(each) for each in decisions] == [Evict, Load]


def test_a_failed_load_is_not_tried_there_again_before_its_time():
    scheduler = a_scheduler()
    scheduler.handle(Arrived(a_demand("1")), 0.0)
    assert scheduler.handle(LoadFailed("e", "small", 60.0), 5.0) == ()
    assert scheduler.handle(Arrived(a_demand("2", at_s=30.0)), 30.0) == ()
    assert [each.family for each in loads(scheduler.handle(Arrived(a_demand("3", at_s=61.0)), 61.0))] == ["small"]


def test_work_of_an_endpoint_that_vanished_is_loaded_on_another():
    scheduler = a_scheduler("small")
    scheduler.handle(EndpointUp(EndpointSpec("f", 48_000)), 0.0)
    scheduler.handle(Arrived(a_demand("1")), 0.0)
    scheduler.handle(Arrived(a_demand("2")), 0.0)
    assert [each.endpoint for each in loads(scheduler.handle(EndpointDown("e"), 1.0))] == ["f"]
    assert scheduler.handle(Finished("1"), 1.0) == ()


def test_the_popular_family_is_kept_and_the_one_that_is_seldom_used_is_evicted():
    scheduler = a_scheduler("small", "other")
    for number in range(20):
        scheduler.handle(Arrived(a_demand(f"s{number}", at_s=float(number))), float(number))
        scheduler.handle(Finished(f"s{number}"), number + 0.5)
    middle = Family("middle", 30_000, 20.0)
    scheduler.add_family(middle)
    decisions = scheduler.handle(Arrived(a_demand("m", "middle", at_s=21.0)), 21.0)
    assert [each.family for each in decisions if isinstance(each, Evict)] == ["other"]


def test_what_no_endpoint_can_hold_says_so():
    scheduler = a_scheduler(memory_mib=20_000)
    assert scheduler.handle(Arrived(a_demand("1", "large")), 0.0) == ()
    assert scheduler.why("1", 0.0).sentence() == "large is larger than the memory of every endpoint that is up."


def test_without_an_endpoint_the_reason_says_so():
    scheduler = Scheduler((SMALL,))
    scheduler.handle(Arrived(a_demand("1")), 0.0)
    assert scheduler.why("1", 0.0).sentence() == "No endpoint that serves small is up."


def test_a_negative_weight_is_refused():
    with pytest.raises(UsageError, match=r"The weight hysteresis is -1\.0, but weights are 0 or more"):
        Weights.from_json({"hysteresis": -1})


@pytest.mark.parametrize("value", [{"hysteria": 1}, {"chat": "much"}, {"chat": float("nan")}, {"chat": True}])
def test_weights_that_are_none_are_refused(value):
    with pytest.raises(UsageError):
        Weights.from_json(value)


def test_a_chat_does_not_wait_until_a_bulk_backlog_of_another_family_is_over():
    coder, chat = Family("coder", 20_000, 20.0), Family("chat", 6_000, 8.0)
    scheduler = Scheduler((coder, chat))
    scheduler.handle(EndpointUp(EndpointSpec("e", 24_000, chat_slots=1), ("coder",)), 0.0)
    for number in range(20):
        scheduler.handle(Arrived(a_demand(f"b{number}", "coder", p50_s=60.0, work_class=WorkClass.BULK)), 0.0)
    assert scheduler.handle(Arrived(a_demand("c", "chat", at_s=20.0)), 20.0) == ()
    assert scheduler.why("c", 20.0).code is ReasonCode.WAITS_FOR_MEMORY
    assert [type(each) for each in scheduler.handle(Finished("b0"), 60.0)] == [Evict, Load]
    assert granted(scheduler.handle(Loaded("e", "chat"), 68.0)) == ["c"]
    assert [each.family for each in loads(scheduler.handle(Finished("c"), 73.0))] == ["coder"]


def test_bulk_work_makes_no_room_for_other_bulk_work_that_is_worth_less():
    scheduler = a_scheduler("small")
    for number in range(5):
        scheduler.handle(Arrived(a_demand(f"b{number}", work_class=WorkClass.BULK)), 0.0)
    scheduler.handle(Arrived(a_demand("l", "large", p50_s=60.0, work_class=WorkClass.BULK)), 1.0)
    assert granted(scheduler.handle(Finished("b0"), 5.0)) == ["b1"]
