"""The snapshot of a pull request: checks by app, statuses, reviews, mergeability and its end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.model.errors import TransientError
from core.ports.forge import CommitStatus, ForgeCheck
from tests.integration.github_forge.conftest import BRANCH, NAME, published

pytestmark = pytest.mark.surfaces
ACTIONS, IMPOSTOR = 15368, 99


async def test_checks_are_told_by_name_and_app_and_only_when_they_ended(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    for name, app, conclusion in (
        ("tests", ACTIONS, "failure"),
        ("tests", ACTIONS, "success"),
        ("tests", IMPOSTOR, "success"),
        ("lint", ACTIONS, "skipped"),
        ("docs", ACTIONS, "neutral"),
        ("slow", ACTIONS, None),
    ):
        hub.set_check(NAME, pull.head, name, app, conclusion)
    assert set((await forge.snapshot(hub_repo, pull)).checks) == {
        ForgeCheck("tests", ACTIONS, "success"),
        ForgeCheck("tests", IMPOSTOR, "success"),
        ForgeCheck("lint", ACTIONS, "skipped"),
        ForgeCheck("docs", ACTIONS, "neutral"),
        ForgeCheck("slow", ACTIONS, None),
    }


async def test_a_run_that_was_started_again_is_not_green_any_more(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    hub.set_check(NAME, pull.head, "tests", ACTIONS, "success")
    hub.set_check(NAME, pull.head, "tests", ACTIONS, None)
    assert (await forge.snapshot(hub_repo, pull)).checks == (ForgeCheck("tests", ACTIONS, None),)


async def test_statuses_are_the_newest_of_each_name_without_our_own(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    for context, state in (("ci", "pending"), ("ci", "success"), ("cov", "error"), ("late", "pending")):
        hub.status(NAME, pull.head, context, state)
    await forge.set_commit_status(hub_repo, CommitStatus(pull.head, "pending", "waits for one more approval"))
    assert set((await forge.snapshot(hub_repo, pull)).checks) == {
        ForgeCheck("ci", None, "success"),
        ForgeCheck("cov", None, "failure"),
        ForgeCheck("late", None, None),
    }


async def test_more_checks_than_fit_on_a_page_are_all_told(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    for n in range(130):
        hub.set_check(NAME, pull.head, f"check {n}", ACTIONS, "success" if n < 129 else "failure")
    checks = (await forge.snapshot(hub_repo, pull)).checks
    assert len(checks) == 130
    assert ForgeCheck("check 129", ACTIONS, "failure") in checks


async def test_checks_of_an_older_head_do_not_count(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    hub.set_check(NAME, pull.head, "tests", ACTIONS, "success")
    hub.review(NAME, 1, "lee", "CHANGES_REQUESTED")
    head = hub.push(NAME, BRANCH, {"x": "1\n"}, "lee")
    stands = await forge.snapshot(hub_repo, pull)
    assert (stands.pull_request.head, stands.checks) == (head, ())
    assert stands.tree == hub.git(NAME).tree_of(head)
    assert stands.objections == ("lee",), "an objection outlives the head it was made to"


async def test_objections_are_the_latest_word_of_each_person(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    hub.review(NAME, 1, "lee", "CHANGES_REQUESTED", "no")
    hub.review(NAME, 1, "eve", "CHANGES_REQUESTED", "no")
    hub.review(NAME, 1, "max", "CHANGES_REQUESTED", "no")
    hub.review(NAME, 1, "lee", "COMMENTED", "hm")
    hub.review(NAME, 1, "eve", "APPROVED", "fine now")
    dismissed = hub.review(NAME, 1, "bo", "CHANGES_REQUESTED")
    hub.dismiss(NAME, dismissed, "lee")
    assert (await forge.snapshot(hub_repo, pull)).objections == ("lee", "max")


async def test_whether_it_merges_is_unknown_until_github_worked_it_out(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    hub.push(NAME, "main", {"src/a.py": "print('other')\n"}, "lee")
    assert (await forge.snapshot(hub_repo, pull)).mergeable is None
    hub.repo(NAME).pulls[1].asked = None
    assert [(await forge.snapshot(hub_repo, pull)).mergeable for _ in range(2)][-1] is False


async def test_its_end_names_who_ended_it(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    assert (await forge.snapshot(hub_repo, pull)).ended_by == ""
    hub.close_by_hand(NAME, 1, "eve")
    closed = await forge.snapshot(hub_repo, pull)
    assert (closed.pull_request.state, closed.ended_by, closed.merged_as) == ("closed", "eve", None)
    hub.reopen_by_hand(NAME, 1, "lee")
    merged = hub.merge_by_hand(NAME, 1, "lee", "squash")
    ended = await forge.snapshot(hub_repo, pull)
    assert (ended.pull_request.state, ended.ended_by, ended.merged_as) == ("merged", "lee", merged)


async def test_a_deleted_branch_ends_it(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    hub.delete_branch(NAME, BRANCH, "lee")
    stands = await forge.snapshot(hub_repo, pull)
    assert (stands.pull_request, stands.ended_by) == (replace(pull, state="closed"), "lee")


async def test_a_head_that_moves_while_we_read_is_read_again_later(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    hub.set_check(NAME, pull.head, "tests", ACTIONS, "success")
    hub.fail("GET", ".*/check-runs", meanwhile=lambda: hub.push(NAME, BRANCH, {"x": "1\n"}, "lee"))
    with pytest.raises(TransientError):
        await forge.snapshot(hub_repo, pull)


async def test_a_mark_is_one_line_and_as_long_as_github_takes(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    await forge.set_commit_status(hub_repo, CommitStatus(pull.head, "success", "one\ntwo " + "x" * 300))
    await forge.set_commit_status(hub_repo, CommitStatus(pull.head, "failure", "no"))
    first, second = hub.repo(NAME).statuses
    assert (first.context, first.state, len(first.description or "")) == ("countersign", "success", 140)
    assert (second.state, second.description, second.login) == ("failure", "no", "bot")
