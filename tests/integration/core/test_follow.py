"""Following a pull request where others act too: marks, moved heads, merging on green, endings by hand."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from core.jobs.follow import unmet_condition
from core.model.decision import MergeRequirements, RequiredCheck
from core.model.errors import PermanentError, TransientError
from core.model.lifecycle import State
from core.ports.forge import ForgeCheck
from core.ports.repository import Commit
from core.store import cards, events, jobs, queue_queries
from core.store.database import Database
from tests import builders, campaign
from tests.builders import ANA, LEE
from tests.worker_harness import WorkerHarness, eventually

pytestmark = [pytest.mark.queue, campaign.EITHER]

GREEN = ForgeCheck("test", 15368, "success")
ON_GREEN = MergeRequirements(auto=True, method="squash", checks=(RequiredCheck("test", 15368),))


@pytest.fixture
def hub(harness: WorkerHarness) -> WorkerHarness:
    """A harness whose forge is followed."""
    harness.forge.follows = True
    return harness


async def nudge(database: Database, number: int) -> None:
    async def work(tx) -> None:
        await jobs.wake_follow_job(tx, number)

    await database.write(work)


async def look(hub: WorkerHarness, number: int) -> None:
    """Something happened at the forge, and someone looks."""
    await nudge(hub.database, number)
    await hub.drain()


def head_of(hub: WorkerHarness) -> str:
    (head,) = hub.forge.branches.values()
    return head


def push_to_main(hub: WorkerHarness, files: dict[str, bytes]) -> str:
    """Someone pushes files to the target branch; returns its tip."""
    tip = hub.repository.main
    tree = hub.repository.add({**hub.repository.trees[hub.repository.commits[tip].tree], **files})
    hub.repository.main = hub.repository.commit(Commit(tree, tip, "more", hub.repository.commits[tip].at))
    return hub.repository.main


async def approved_files(hub: WorkerHarness, number: int) -> dict[str, bytes]:
    """The files of the staged diff, as approved."""
    staged = (await hub.task(number)).current.staged
    assert staged is not None
    tree = hub.repository.trees[staged.tree]
    return {change.shown_path: tree[change.shown_path] for change in staged.changes}


def move(hub: WorkerHarness, content: str = "tampered") -> str:
    """Someone pushes to the branch."""
    (branch,) = hub.forge.branches
    pushed = hub.repository.commits[hub.forge.branches[branch]]
    tree = hub.repository.add({"README.md": content.encode()})
    moved = hub.repository.commit(Commit(tree, hub.forge.branches[branch], "more", pushed.at))
    hub.forge.branches[branch] = moved
    return moved


async def test_the_countersigned_head_is_marked_green_and_the_artifacts_lie_beside_it(hub):
    number = await hub.publish()
    task = await hub.task(number)
    mark = hub.forge.marks[head_of(hub)]
    assert mark.state == "success"
    assert task.current.staged.digest[:20] in mark.words
    assert "lee" in mark.words
    assert {"change.patch", "receipt.json"} <= set(hub.forge.attached[1])
    assert task.pull_request.files == "memory://files/1"
    places = [card.place for card in await hub.database.read(lambda s: cards.of_task(s, number))]
    assert [(p.surface, p.thread) for p in places] == [("github", "pull/1")]


async def test_a_head_that_others_moved_is_marked_red_and_never_merged(hub):
    hub.policy.terms = builders.terms(merge=ON_GREEN)
    hub.forge.checks = [replace(GREEN, conclusion=None)]
    number = await hub.publish()
    moved = move(hub)
    hub.forge.checks = [GREEN]
    await look(hub, number)
    assert hub.forge.marks[moved].state == "failure"
    task = await hub.task(number)
    assert (task.state, task.error.code) == (State.PUBLISHED, "head_moved")
    assert hub.forge.methods == []


async def test_a_head_that_is_moved_back_is_green_again_and_merges(hub):
    hub.policy.terms = builders.terms(merge=ON_GREEN)
    hub.forge.checks = [replace(GREEN, conclusion=None)]
    number = await hub.publish()
    (branch,) = hub.forge.branches
    ours = head_of(hub)
    move(hub)
    await look(hub, number)
    hub.forge.branches[branch] = ours
    await look(hub, number)
    assert (await hub.task(number)).error is None
    hub.forge.checks = [GREEN]
    await look(hub, number)
    assert await hub.state(number) is State.MERGED
    assert hub.forge.methods == ["squash"]


async def test_it_merges_by_itself_once_all_required_checks_are_green(hub):
    hub.policy.terms = builders.terms(merge=ON_GREEN)
    number = await hub.publish()
    assert await hub.state(number) is State.PUBLISHED, "the check has not run"
    hub.forge.checks = [replace(GREEN, conclusion=None)]
    await look(hub, number)
    assert await hub.state(number) is State.PUBLISHED
    assert "still runs" in (await hub.task(number)).pull_request.checks
    hub.forge.checks = [GREEN]
    await look(hub, number)
    assert await hub.state(number) is State.MERGED
    assert not await hub.database.read(lambda s: queue_queries.has_follow_job(s, number))


async def test_without_the_rules_word_nothing_merges_by_itself(hub):
    number = await hub.publish()
    hub.forge.checks = [GREEN]
    await look(hub, number)
    assert await hub.state(number) is State.PUBLISHED
    assert (await hub.task(number)).pull_request.checks == "1 of 1 checks green"


async def test_a_review_that_asks_for_changes_or_a_conflict_stops_the_merge(hub):
    hub.policy.terms = builders.terms(merge=ON_GREEN)
    hub.forge.checks, hub.forge.objections = [GREEN], ("max",)
    number = await hub.publish()
    assert await hub.state(number) is State.PUBLISHED
    hub.forge.objections, hub.forge.mergeable = (), False
    await look(hub, number)
    assert await hub.state(number) is State.PUBLISHED
    hub.forge.mergeable = True
    await look(hub, number)
    assert await hub.state(number) is State.MERGED


async def test_merging_by_hand_waits_for_the_checks_that_the_rule_requires(hub):
    hub.policy.terms = builders.terms(merge=replace(ON_GREEN, auto=False))
    number = await hub.publish()
    await hub.requests.merge(number, LEE)
    await hub.drain()
    task = await hub.task(number)
    assert (task.state, task.error.code) == (State.PUBLISHED, "not_green")
    hub.forge.checks = [GREEN]
    await hub.requests.merge(number, LEE)
    await hub.drain()
    assert await hub.state(number) is State.MERGED


@pytest.mark.parametrize(("state", "end"), [("merged", State.MERGED), ("closed", State.CLOSED)])
async def test_a_pull_request_that_ends_by_hand_ends_the_task(hub, state, end):
    number = await hub.publish()
    (branch,) = hub.forge.branches
    await hub.forge.end_by_hand(hub.repository, branch, state)
    await look(hub, number)
    task = await hub.task(number)
    assert (task.state, task.pull_request.state, task.error) == (end, state, None)
    assert not await hub.database.read(lambda s: queue_queries.has_follow_job(s, number))


async def test_a_merge_by_hand_of_other_bytes_says_so(hub):
    number = await hub.publish()
    move(hub)
    (branch,) = hub.forge.branches
    await hub.forge.end_by_hand(hub.repository, branch, "merged")
    await look(hub, number)
    task = await hub.task(number)
    assert (task.state, task.error.code) == (State.MERGED, "head_moved")


async def test_a_merge_of_more_or_less_than_was_countersigned_says_so(hub):
    """Whoever made it, and though its head is the approved one."""
    number = await hub.publish()
    (branch,) = hub.forge.branches
    push_to_main(hub, await approved_files(hub, number))
    await hub.forge.end_by_hand(hub.repository, branch, "merged")
    await look(hub, number)
    task = await hub.task(number)
    assert (task.state, task.error.code) == (State.MERGED, "merged_differently")
    assert "config/app.yaml is as approved there already" in task.error.message


async def test_what_merges_by_itself_is_what_was_countersigned_or_nothing(hub):
    hub.policy.terms = builders.terms(merge=ON_GREEN)
    number = await hub.publish()
    before = push_to_main(hub, await approved_files(hub, number))
    hub.forge.checks = [GREEN]
    for _ in range(2):
        await look(hub, number)
        task = await hub.task(number)
        assert (task.state, task.error.code) == (State.PUBLISHED, "merge_differs")
    assert (hub.repository.main, hub.forge.methods) == (before, [])
    assert (await hub.kinds(number)).count("task.merge_asked") == 1, "it is not tried again and again"


async def test_a_merge_that_a_push_came_before_is_compared_again(hub):
    """The target moves between the comparison and the merge: the forge refuses, and the next attempt compares anew."""
    number = await hub.publish()
    hub.forge.overtaken = [lambda: push_to_main(hub, {"other.txt": b"more"})]
    await hub.requests.merge(number, LEE)
    assert await hub.work_until(number, State.MERGED, State.FAILED) is State.MERGED
    merged = [
        event
        for event in await hub.database.read(lambda tx: events.chain_of(tx, number))
        if event.kind == "task.merged"
    ]
    body = json.loads(merged[0].body)
    staged = (await hub.task(number)).current.staged
    assert body["onto"] != staged.base
    assert body["approved"] == staged.digest != body["digest"]


@pytest.mark.parametrize(("state", "end"), [("merged", State.MERGED), ("closed", State.CLOSED)])
async def test_an_ending_by_hand_ends_the_revision_that_is_under_way_too(hub, state, end):
    number = await hub.publish()
    await hub.requests.reply(number, "config/app.yaml = a: 2", ANA)
    await hub.drain()
    assert await hub.state(number) is State.STAGED
    (branch,) = hub.forge.branches
    await hub.forge.end_by_hand(hub.repository, branch, state)
    await look(hub, number)
    assert await hub.state(number) is end


async def test_feedback_makes_the_next_revision_which_is_pushed_to_the_same_branch_after_approval(hub):
    number = await hub.publish()
    first = head_of(hub)
    await hub.requests.reply(number, "config/app.yaml = a: 2", ANA)
    await hub.drain()
    digest = (await hub.task(number)).staged.digest
    await hub.approvals.approve(number, digest, LEE)
    await hub.drain()
    assert await hub.state(number) is State.PUBLISHED
    assert head_of(hub) != first
    assert hub.forge.marks[head_of(hub)].state == "success"
    assert len(hub.forge.pulls) == 1


async def test_an_approval_that_no_longer_holds_turns_the_mark_red_and_stops_the_merge(hub):
    hub.policy.terms = builders.terms(merge=ON_GREEN)
    number = await hub.publish()
    hub.policy.terms = builders.terms(count=2, merge=ON_GREEN)
    hub.forge.checks = [GREEN]
    await look(hub, number)
    assert hub.forge.marks[head_of(hub)].state == "failure"
    assert await hub.state(number) is State.PUBLISHED
    assert hub.forge.methods == []


async def test_a_forge_that_is_down_is_looked_at_until_it_is_back(hub):
    number = await hub.publish()
    hub.forge.faults = [TransientError("down", "down", retry_after_s=0.05)] * 12
    (branch,) = hub.forge.branches
    await hub.forge.end_by_hand(hub.repository, branch, "closed")
    await nudge(hub.database, number)
    assert await hub.work_until(number, State.CLOSED) is State.CLOSED


async def test_a_look_that_fails_for_good_is_told_and_made_again_later(hub):
    number = await hub.publish()
    hub.forge.faults = [PermanentError("gone", "the repository is gone")]
    await look(hub, number)
    assert (await hub.task(number)).error.code == "gone"
    assert await hub.database.read(lambda s: queue_queries.has_follow_job(s, number))


async def test_a_wake_up_while_it_is_being_looked_at_makes_one_more_look(hub):
    number = await hub.publish()
    snapshot = hub.forge.snapshot
    began, go = asyncio.Event(), asyncio.Event()

    async def slow(*args):
        began.set()
        await go.wait()
        return await snapshot(*args)

    hub.forge.__class__ = type(
        "Slow", (type(hub.forge),), {"snapshot": lambda _self, *args: slow(*args), "__slots__": ()}
    )
    looks = hub.forge.looks
    await nudge(hub.database, number)
    async with hub.working():
        await asyncio.wait_for(began.wait(), 10)
        await asyncio.sleep(0.01)  # the database's clock counts in milliseconds
        await nudge(hub.database, number)
        go.set()
        await eventually(lambda: hub.forge.looks >= looks + 2)


@pytest.mark.parametrize(
    ("checks", "required", "why"),
    [
        ([], (), None),
        ([GREEN], (RequiredCheck("test", 15368),), None),
        ([], (RequiredCheck("test", 15368),), "has not run"),
        ([replace(GREEN, app=666)], (RequiredCheck("test", 15368),), "has not run"),
        ([replace(GREEN, name="tests")], (RequiredCheck("test", 15368),), "has not run"),
        ([replace(GREEN, conclusion="skipped")], (RequiredCheck("test", 15368),), "is skipped"),
        ([replace(GREEN, conclusion="neutral")], (RequiredCheck("test", 15368),), "is neutral"),
        ([replace(GREEN, conclusion="failure")], (RequiredCheck("test", 15368),), "is failure"),
        ([GREEN, ForgeCheck("slow", 1, None)], (RequiredCheck("test", 15368),), "still runs"),
        ([GREEN, ForgeCheck("lint", 1, "failure")], (), "not green"),
        ([ForgeCheck("deploy", None, "success")], (RequiredCheck("deploy"),), None),
    ],
)  # fmt: skip
def test_only_a_green_check_of_the_right_name_by_the_right_app_counts(checks, required, why):
    found = unmet_condition(checks, required)
    assert (found is None) if why is None else (found is not None and why in found)


async def test_a_reply_while_it_is_being_looked_at_is_not_disturbed_by_the_look(hub):
    """What a look found of revision 1 must not be written onto revision 2, and its failing must not fail that."""
    hub.policy.terms = builders.terms(merge=ON_GREEN)
    number = await hub.publish()
    snapshot = hub.forge.snapshot
    began, go = asyncio.Event(), asyncio.Event()

    async def slow(*args):
        found = await snapshot(*args)
        began.set()
        await go.wait()
        return found

    hub.forge.__class__ = type(
        "Slow", (type(hub.forge),), {"snapshot": lambda _self, *args: slow(*args), "__slots__": ()}
    )
    hub.forge.checks = [GREEN]
    await nudge(hub.database, number)
    async with hub.working():
        await asyncio.wait_for(began.wait(), 10)
        await hub.requests.reply(number, "config/app.yaml = a: 2", ANA)

        async def staged() -> bool:
            return await hub.state(number) is State.STAGED

        await eventually(staged)
        go.set()
        await asyncio.sleep(0.3)
        assert await hub.state(number) is State.STAGED
        digest = (await hub.task(number)).staged.digest
        await hub.approvals.approve(number, digest, LEE)

        async def merged() -> bool:
            return await hub.state(number) is State.MERGED

        await eventually(merged, within_s=20)
    assert "task.failed" not in await hub.kinds(number)
