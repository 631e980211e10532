"""The publish path at GitHub, through the real PyGithub and the real git: fetch, commit, push, open, stand, merge."""

from __future__ import annotations

import asyncio

import pytest

from core.model.errors import ConflictError, PermanentError, TransientError
from core.ports.forge import CommitStatus, ForgeCheck
from tests.integration.github_forge.conftest import BRANCH, NAME, commit, proposal, published

pytestmark = pytest.mark.surfaces
ACTIONS = 15368


def calls(hub, method: str) -> list[str]:
    return [path for asked, path in hub.requests if asked == method and "git-" not in path]


async def test_the_whole_way_from_a_base_to_a_merge(hub, forge, hub_repo):
    pull = await published(forge, hub_repo, labels=("countersign",))
    assert (pull.number, pull.state, pull.branch, pull.revision) == (1, "open", BRANCH, 1)
    assert pull.url == f"{hub.web}/{NAME}/pull/1"
    at_github = hub.pull(NAME, 1)
    assert (at_github.title, at_github.body, at_github.labels) == ("Raise it", "b", ["countersign"])
    hub.set_check(NAME, pull.head, "tests", ACTIONS, "success")
    stands = await forge.snapshot(hub_repo, pull)
    assert stands.checks == (ForgeCheck("tests", ACTIONS, "success"),)
    assert stands.tree == await hub_repo.tree_of(pull.head)
    merged = await forge.merge(hub_repo, pull, "Merge #1: Raise it\n\nwhy\n")
    assert await hub_repo.fetch_base() == merged
    git = hub.git(NAME)
    assert git.line("log", "-1", "--format=%B", merged) == "Merge #1: Raise it\n\nwhy"
    assert git.line("log", "-1", "--format=%P", merged).split()[1] == pull.head
    after = await forge.snapshot(hub_repo, pull)
    assert (after.pull_request.state, after.merged_as, after.ended_by) == ("merged", merged, "bot")


async def test_a_second_revision_moves_the_branch_and_renews_the_words(hub, forge, hub_repo):
    first = await published(forge, hub_repo)
    head = await commit(hub_repo, "print(10)\n")
    await forge.push(hub_repo, BRANCH, head, first.head)
    second = await forge.open(hub_repo, proposal(head, revision=2, title="new", body="c", labels=("x",)))
    assert (second.number, second.head, second.revision) == (1, head, 2)
    at_github = hub.pull(NAME, 1)
    assert (at_github.title, at_github.body, at_github.labels, at_github.sha) == ("new", "c", ["x"], head)
    assert calls(hub, "POST").count(f"/repos/{NAME}/pulls") == 1


async def test_what_is_so_already_is_not_changed_again(hub, forge, hub_repo):
    pull = await published(forge, hub_repo, labels=("x",))
    await forge.set_commit_status(hub_repo, CommitStatus(pull.head, "success", "approved by lee"))
    before = [asked for asked in hub.requests if asked[0] != "GET"]
    assert await forge.open(hub_repo, proposal(pull.head, labels=("x",))) == pull
    await forge.set_commit_status(hub_repo, CommitStatus(pull.head, "success", "approved by lee"))
    assert [asked for asked in hub.requests if asked[0] != "GET"] == before


async def test_a_way_to_merge_that_the_repository_forbids_is_told(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    hub.repo(NAME).methods = frozenset({"squash"})
    with pytest.raises(PermanentError) as caught:
        await forge.merge(hub_repo, pull, "m")
    assert caught.value.problem.code == "merge_method"
    with pytest.raises(PermanentError):
        await forge.merge(hub_repo, pull, "m", "fast-forward")


async def test_a_merge_that_does_not_apply_changes_nothing(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    hub.push(NAME, "main", {"src/a.py": "print('other')\n"}, "lee")
    before = await hub_repo.fetch_base()
    for _ in range(2):
        with pytest.raises(ConflictError) as caught:
            await forge.merge(hub_repo, pull, "m")
        assert caught.value.problem.code == "merge_conflict"
    assert await hub_repo.fetch_base() == before
    assert (await forge.poll(hub_repo, pull)).state == "open"


async def test_a_merge_into_another_commit_than_was_compared_waits_for_the_next_attempt(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    compared = await hub_repo.fetch_base()
    tip = hub.push(NAME, "main", {"src/other.py": "print('other')\n"}, "lee")
    with pytest.raises(TransientError) as caught:
        await forge.merge(hub_repo, pull, "m", onto=compared)
    assert caught.value.problem.code == "target_moved"
    assert await hub_repo.fetch_base() == tip
    assert await forge.merge(hub_repo, pull, "m", onto=tip)


async def test_a_merge_that_github_protects_waits_for_its_check(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    hub.repo(NAME).required = ("countersign",)
    with pytest.raises(ConflictError) as caught:
        await forge.merge(hub_repo, pull, "m")
    assert "countersign" in caught.value.problem.message
    await forge.set_commit_status(hub_repo, CommitStatus(pull.head, "success", "approved"))
    assert await forge.merge(hub_repo, pull, "m")


async def test_a_head_that_moved_is_not_merged(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    sneaky = hub.push(NAME, BRANCH, {"evil.sh": "rm\n"}, "eve")
    with pytest.raises(ConflictError) as caught:
        await forge.merge(hub_repo, pull, "m")
    assert caught.value.problem.code == "branch_moved"
    assert (await forge.poll(hub_repo, pull)).head == sneaky
    assert hub.pull(NAME, 1).state == "open"


async def test_a_head_that_moves_between_our_look_and_githubs_merge_is_refused_by_its_sha(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    fault = hub.fail("PUT", ".*/merge", status=409, message="Head branch was modified.")
    with pytest.raises(ConflictError) as caught:
        await forge.merge(hub_repo, pull, "m")
    assert fault.met == 1
    assert caught.value.problem.code == "not_mergeable"


async def test_a_pull_request_that_was_pointed_elsewhere_is_not_merged(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    hub.push(NAME, "release", {"r.txt": "1\n"}, "lee")
    hub.pull(NAME, 1).base = "release"
    with pytest.raises(ConflictError) as caught:
        await forge.merge(hub_repo, pull, "m")
    assert caught.value.problem.code == "base_changed"


async def test_closing_deletes_our_branch_and_may_be_repeated(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    for _ in range(2):
        await forge.close(hub_repo, pull)
    assert hub.pull(NAME, 1).state == "closed"
    assert hub.git(NAME).ref(f"refs/heads/{BRANCH}") is None
    assert (await forge.poll(hub_repo, pull)).state == "closed"


async def test_closing_leaves_a_branch_that_somebody_moved(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    theirs = hub.push(NAME, BRANCH, {"b.txt": "1\n"}, "lee")
    await forge.close(hub_repo, pull)
    assert hub.git(NAME).ref(f"refs/heads/{BRANCH}") == theirs


async def test_what_was_merged_cannot_be_closed_and_what_was_closed_not_merged(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    await forge.merge(hub_repo, pull, "m")
    with pytest.raises(ConflictError):
        await forge.close(hub_repo, pull)
    head = await commit(hub_repo, "2\n", "b.txt")
    await forge.push(hub_repo, "countersign/2-b", head, None)
    second = await forge.open(hub_repo, proposal(head, number=2, branch="countersign/2-b"))
    hub.close_by_hand(NAME, second.number, "lee")
    with pytest.raises(ConflictError):
        await forge.merge(hub_repo, second, "m")


async def test_main_itself_is_never_pushed_to(hub, forge, hub_repo):
    head = await commit(hub_repo)
    with pytest.raises(PermanentError):
        await forge.push(hub_repo, "main", head, None)
    with pytest.raises(PermanentError) as caught:
        await hub_repo.push("refs/heads/main", head, await hub_repo.fetch_base())
    assert "its rules protect this branch" in caught.value.problem.message


async def test_files_are_attached_outside_every_branch_and_once(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    files = {"diff.patch": b"--- a\n", "log/check.txt": b"\x00\xff"}
    url = await forge.attach(hub_repo, pull, files)
    commit_id = hub.git(NAME).ref("refs/countersign/1.1")
    assert url == f"{hub.web}/{NAME}/tree/{commit_id}"
    assert hub.git(NAME).run("show", f"{commit_id}:log/check.txt") == b"\x00\xff"
    assert hub.git(NAME).line("log", "-1", "--format=%P", commit_id) == ""
    assert await forge.attach(hub_repo, pull, files) == url
    assert await forge.attach(hub_repo, pull, {"diff.patch": b"other\n"}) != url
    assert hub.pull(NAME, 1).sha == pull.head


async def test_a_body_beyond_githubs_limit_is_cut_with_a_word(hub, forge, hub_repo):
    await published(forge, hub_repo, body="x" * 70_000, title="t" * 400)
    at_github = hub.pull(NAME, 1)
    assert len(at_github.body) == 65_535
    assert at_github.body.endswith("(cut here at GitHub's limit)")
    assert len(at_github.title) == 256


async def test_many_calls_at_once_get_their_own_answers(hub, forge, hub_repo, client):
    """PyGithub keeps the request under way in its connection: shared between threads, answers are swapped."""
    logins = [f"person{n}" for n in range(24)]
    for login in logins:
        hub.allow(NAME, login, "read" if login.endswith("0") else "write")
    found = await asyncio.gather(*(client.permission(hub_repo.spec, login) for login in logins))
    assert [one.login for one in found] == logins
    assert [one.role for one in found] == ["read" if login.endswith("0") else "write" for login in logins]
