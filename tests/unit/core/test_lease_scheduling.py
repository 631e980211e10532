"""The scheduler's view of leases and endpoints, without servers: families, classes, weights, deadlines, flaps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.model.endpoint_snapshot import EndpointSnapshot, KnownModel, ResidentModel
from core.model.inventory import Gpu, LoadOptions, ModelFamily, Residency, ServerState
from core.model.job import JobKind
from core.model.model_lease import LeaseState, ModelLease, ModelPlace, ModelWork, is_chat_work
from core.queue.lease_scheduling import LeaseScheduling
from core.queue.model_moves import MoveOutcome
from core.scheduler.demand import LARGEST_WEIGHT, weight_of_priority
from core.services.inventory import EndpointStatus

pytestmark = pytest.mark.queue

GIB = 1024**3
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
NOON_S = NOON.timestamp()


def family(digest: str, context: int = 4096) -> ModelFamily:
    return ModelFamily(f"sha256:{digest}", LoadOptions(context, 1))


def model(name: str, digest: str, context: int = 4096) -> KnownModel:
    return KnownModel(name, family(digest, context), 8 * GIB, context_tokens=context, estimate_bytes=8 * GIB)


def resident(name: str, digest: str, context: int | None = 4096) -> ResidentModel:
    options = LoadOptions(context, 1)
    return ResidentModel(name, ModelFamily(f"sha256:{digest}", options), vram_bytes=8 * GIB, ram_bytes=0)


def ollama(
    name: str, *models: KnownModel, residents: tuple[ResidentModel, ...] = (), gib: int = 12, at_s: float = 0.0
) -> EndpointStatus:
    gpu = Gpu("gpu0", "", gib * GIB, gib * GIB, is_measured=False)
    at = NOON + timedelta(seconds=at_s)
    snapshot = EndpointSnapshot(name, "ollama", ServerState.UP, gpus=(gpu,), models=models, residents=residents)
    return EndpointStatus(replace(snapshot, slots=1, checked_at=at, seen_at=at))


def lease(
    lease_id: str,
    name: str,
    work: ModelWork | None = None,
    *,
    state: LeaseState = LeaseState.WAITING,
    key: str = "ana",
    place: ModelPlace | None = None,
) -> ModelLease:
    granted_at = NOON if state is not LeaseState.WAITING else None
    until = NOON + timedelta(hours=1)
    bulk = work or ModelWork("job", is_chat=False)
    return ModelLease(lease_id, state, name, bulk, key, ("lane", name), NOON, until, granted_at, place=place)


def places(scheduling: LeaseScheduling, now_s: float = NOON_S) -> dict[str, ModelPlace]:
    return scheduling.take_verdicts(now_s).places


def test_two_names_of_the_same_weights_with_the_same_options_are_one_family():
    one = ollama("one", model("qwen:8b", "a"), residents=(resident("qwen:8b", "a"),))
    two = ollama("two", model("copy:latest", "a"), residents=(resident("copy:latest", "a"),))
    scheduling = LeaseScheduling(())
    scheduling.see_endpoints([one, two], (), NOON_S)
    scheduling.see_leases([lease("l1", "*/qwen:8b"), lease("l2", "*/copy")], NOON_S)
    granted = places(scheduling)
    assert {(each.endpoint, each.model) for each in granted.values()} == {("one", "qwen:8b"), ("two", "copy:latest")}
    assert {each.context_tokens for each in granted.values()} == {4096}


@pytest.mark.parametrize(
    ("written", "is_there"),
    [("one/qwen:8b", True), ("qwen:8b", True), ("*/qwen:8b", True), ("two/qwen:8b", False), ("other", False)],
)
def test_the_family_of_a_model_is_found_by_every_way_to_write_it(written, is_there):
    scheduling = LeaseScheduling(())
    scheduling.see_endpoints([ollama("one", model("qwen:8b", "a"))], (), NOON_S)
    assert scheduling.family_of(written) == (family("a").key if is_there else None)


def test_the_same_weights_with_another_context_are_another_family_and_one_of_them_serves_the_name():
    one = ollama("one", model("qwen:8b", "a", 4096))
    two = ollama("two", model("qwen:8b", "a", 8192), residents=(resident("qwen:8b", "a", 8192),))
    scheduling = LeaseScheduling(())
    scheduling.see_endpoints([one, two], (), NOON_S)
    scheduling.see_leases([lease("l1", "*/qwen:8b")], NOON_S)
    assert places(scheduling) == {"l1": ModelPlace("two", "qwen:8b", 8192)}, "the one that is loaded"


def test_a_lease_looks_for_another_family_of_its_name_when_no_endpoint_has_the_first():
    one = ollama("one", model("qwen:8b", "a"), model("big:1", "b"), residents=(resident("big:1", "b"),))
    two = ollama("two", model("qwen:8b", "c"), residents=(resident("qwen:8b", "c"),))
    scheduling = LeaseScheduling(())
    scheduling.see_endpoints([one], (), NOON_S)
    waits = lease("l1", "*/qwen:8b")
    scheduling.see_leases([lease("l0", "one/big:1"), waits], NOON_S)
    assert list(places(scheduling)) == ["l0"]
    scheduling.see_endpoints([two], (), NOON_S + 1)
    scheduling.see_leases([waits], NOON_S + 1)
    assert places(scheduling, NOON_S + 1) == {"l1": ModelPlace("two", "qwen:8b", 4096)}


def test_what_a_server_made_of_the_options_of_our_own_load_is_still_that_family():
    known = model("small:1", "a", 32_768)
    scheduling = LeaseScheduling(())
    scheduling.see_endpoints([ollama("one", known)], (), NOON_S)
    scheduling.see_leases([lease("l1", "one/small:1")], NOON_S)
    (move,) = scheduling.take_moves()
    assert move.model == "small:1"
    scheduling.see_move(MoveOutcome("one", move.decision.family, None), NOON_S + 5)
    assert places(scheduling, NOON_S + 5) == {"l1": ModelPlace("one", "small:1", 32_768)}
    shortened = ollama("one", known, residents=(resident("small:1", "a", 8192),), at_s=6)
    scheduling.see_endpoints([shortened], (), NOON_S + 6)
    scheduling.see_leases([], NOON_S + 7)
    scheduling.see_endpoints([shortened], (), NOON_S + 8)
    scheduling.see_leases([lease("l2", "one/small:1")], NOON_S + 9)
    assert scheduling.take_moves() == []
    assert list(places(scheduling, NOON_S + 9)) == ["l2"]


def test_what_runs_on_an_endpoint_keeps_its_slot_when_that_was_down_for_a_moment():
    up = ollama("one", model("qwen:8b", "a"), residents=(resident("qwen:8b", "a"),))
    scheduling = LeaseScheduling(())
    scheduling.see_endpoints([up], (), NOON_S)
    scheduling.see_leases([lease("l1", "one/qwen:8b")], NOON_S)
    place = places(scheduling)["l1"]
    runs = lease("l1", "one/qwen:8b", state=LeaseState.GRANTED, place=place)
    scheduling.see_leases([runs], NOON_S + 1)
    scheduling.see_endpoints([], (), NOON_S + 2)
    scheduling.see_endpoints([up], (), NOON_S + 3)
    scheduling.see_leases([runs, lease("l2", "one/qwen:8b")], NOON_S + 4)
    assert places(scheduling, NOON_S + 4) == {}
    scheduling.see_leases([lease("l2", "one/qwen:8b")], NOON_S + 5)
    assert list(places(scheduling, NOON_S + 5)) == ["l2"]


def test_a_granter_that_takes_over_gives_no_slot_twice_whatever_arrived_first():
    up = ollama("one", model("qwen:8b", "a"), residents=(resident("qwen:8b", "a"),))
    place = ModelPlace("one", "qwen:8b", 4096)
    scheduling = LeaseScheduling(())
    scheduling.see_endpoints([up], (), NOON_S)
    runs = lease("l2", "one/qwen:8b", state=LeaseState.GRANTED, place=place)
    scheduling.see_leases([lease("l1", "one/qwen:8b"), runs], NOON_S)
    assert places(scheduling) == {}


def test_a_lease_of_an_older_version_without_a_place_keeps_its_slot_too():
    up = ollama("one", model("qwen:8b", "a"), residents=(resident("qwen:8b", "a"),))
    scheduling = LeaseScheduling(())
    scheduling.see_endpoints([up], (), NOON_S)
    scheduling.see_leases([lease("l1", "one/qwen:8b", state=LeaseState.GRANTED), lease("l2", "one/qwen:8b")], NOON_S)
    assert places(scheduling) == {}


def test_the_turn_that_begins_when_another_ends_finds_its_model_still_there():
    two = (model("qwen:8b", "a"), model("big:1", "b"))
    up = ollama("one", *two, residents=(resident("qwen:8b", "a"),))
    scheduling = LeaseScheduling(())
    scheduling.see_endpoints([up], (), NOON_S)
    first = lease("l1", "one/qwen:8b")
    other = lease("l3", "one/big:1", key="bo")
    scheduling.see_leases([first, other], NOON_S)
    place = places(scheduling)["l1"]
    held = replace(first, state=LeaseState.HELD, granted_at=NOON, place=place)
    scheduling.see_leases([replace(held, state=LeaseState.GRANTED), other], NOON_S + 1)
    scheduling.see_leases([held, other], NOON_S + 2)
    scheduling.see_leases([other, lease("l2", "one/qwen:8b")], NOON_S + 3)
    assert scheduling.take_moves() == []
    assert list(places(scheduling, NOON_S + 3)) == ["l2"]


def waiting_for_a_slot(*leases: ModelLease) -> list[str]:
    """The order in which these leases get the one slot of an endpoint."""
    up = ollama("one", model("qwen:8b", "a"), residents=(resident("qwen:8b", "a"),))
    scheduling = LeaseScheduling(())
    scheduling.see_endpoints([up], (), NOON_S)
    first = lease("first", "one/qwen:8b", key="zoe")
    scheduling.see_leases([first], NOON_S)
    running, order, alive = "first", list[str](), {each.id: each for each in (first, *leases)}
    assert list(places(scheduling)) == ["first"]
    for step in range(1, len(leases) + 1):
        now_s = NOON_S + step
        scheduling.see_leases(alive.values(), now_s)
        del alive[running]
        scheduling.see_leases(alive.values(), now_s)
        ((running, place),) = places(scheduling, now_s).items()
        alive[running] = replace(alive[running], state=LeaseState.GRANTED, place=place)
        order.append(running)
    return order


def test_a_task_of_higher_priority_goes_first_and_one_of_lower_priority_last():
    bulk = ModelWork("job", is_chat=False)
    leases = [
        lease("low", "one/qwen:8b", replace(bulk, priority=-5), key="a"),
        lease("none", "one/qwen:8b", bulk, key="b"),
        lease("high", "one/qwen:8b", replace(bulk, priority=5), key="c"),
    ]
    assert waiting_for_a_slot(*leases) == ["high", "none", "low"]


def test_work_whose_deadline_is_near_goes_before_what_is_worth_more():
    soon = ModelWork("job", is_chat=False, priority=-100, deadline_at=NOON + timedelta(seconds=15))
    leases = [
        lease("worth", "one/qwen:8b", ModelWork("job", is_chat=False, priority=100), key="a"),
        lease("due", "one/qwen:8b", soon, key="b"),
    ]
    assert waiting_for_a_slot(*leases) == ["due", "worth"]


@pytest.mark.parametrize("priority", [-100, -7, 0, 3, 100, 10**6])
def test_the_weight_of_a_priority_is_bounded_and_grows_with_it(priority):
    assert 1 / LARGEST_WEIGHT <= weight_of_priority(priority) <= LARGEST_WEIGHT
    assert weight_of_priority(priority) <= weight_of_priority(priority + 1)
    assert weight_of_priority(0) == 1


@pytest.mark.parametrize(
    ("kind", "lane", "surface", "is_chat"),
    [
        (JobKind.PLAN, "", "", True),
        (JobKind.CHANGE, "", "", False),
        (JobKind.CHANGE, "chat", "bulk", True),
        (JobKind.CHANGE, "", "chat", True),
        (JobKind.PLAN, "bulk", "", True),
        (JobKind.PLAN, "chat", "bulk", False),
        (JobKind.READ, "", "bulk", False),
    ],
)
def test_the_lane_says_the_class_of_changes_else_the_surface_else_the_kind_of_job(kind, lane, surface, is_chat):
    assert is_chat_work(kind, lane, surface) is is_chat


def test_a_load_that_failed_on_one_endpoint_is_not_the_end_for_what_another_can_serve():
    known = model("qwen:8b", "a")
    scheduling = LeaseScheduling(())
    scheduling.see_endpoints([ollama("one", known), ollama("two", known)], (), NOON_S)
    waits = lease("l1", "*/qwen:8b")
    scheduling.see_leases([waits], NOON_S)
    (move,) = scheduling.take_moves()
    scheduling.see_move(MoveOutcome(move.decision.endpoint, move.decision.family, "out of memory"), NOON_S + 1)
    assert scheduling.take_verdicts(NOON_S + 1).refused == {}
    (again,) = scheduling.take_moves()
    assert {move.decision.endpoint, again.decision.endpoint} == {"one", "two"}
    scheduling.see_move(MoveOutcome(again.decision.endpoint, again.decision.family, "out of memory"), NOON_S + 2)
    assert scheduling.take_verdicts(NOON_S + 2).refused == {"l1": "qwen:8b could not be loaded: out of memory"}


def test_a_model_that_others_loaded_with_their_options_is_evicted_by_its_name_to_make_room():
    stray = resident("big:1", "b", 2048)
    up = ollama("one", model("qwen:8b", "a"), model("big:1", "b"), residents=(stray,))
    scheduling = LeaseScheduling(())
    scheduling.see_endpoints([up], (), NOON_S)
    scheduling.see_leases([lease("l1", "one/qwen:8b")], NOON_S)
    assert [move.model for move in scheduling.take_moves()] == ["big:1", "qwen:8b"]


def test_an_older_ollama_that_tells_no_context_is_believed_to_have_loaded_ours():
    up = ollama("one", model("qwen:8b", "a"), residents=(resident("qwen:8b", "a", None),))
    scheduling = LeaseScheduling(())
    scheduling.see_endpoints([up], (), NOON_S)
    scheduling.see_leases([lease("l1", "one/qwen:8b")], NOON_S)
    assert list(places(scheduling)) == ["l1"]


def test_a_model_that_sleeps_in_a_llama_cpp_is_ready_and_in_a_vllm_it_is_woken():
    asleep = replace(resident("m", "a"), level=Residency.ASLEEP)
    snapshot = EndpointSnapshot("one", "openai", max_resident=1)
    assert snapshot.is_ready(asleep)
    assert not replace(snapshot, wakes_models=False).is_ready(asleep)
