"""Faults F8 to F16 at GitHub: answers that are lost, limits, dead tokens, an outage; nothing happens twice."""

from __future__ import annotations

import time

import pytest

from core.model.errors import ConflictError, Kind, PermanentError, TransientError
from core.ports.forge import CommitStatus
from lanes.forge.github import GitHubAccess
from lanes.forge.github.forge import GitHubForge
from tests.integration.github_forge.conftest import BRANCH, NAME, commit, proposal, published, store_of

pytestmark = pytest.mark.surfaces
PULLS = f"/(repos/{NAME}|repositories/[0-9]+)/pulls"


def opened_at(hub) -> int:
    return len(hub.repo(NAME).pulls)


async def test_f8_a_push_made_again_moves_nothing(hub, forge, hub_repo):
    head = await commit(hub_repo)
    for _ in range(3):
        await forge.push(hub_repo, BRANCH, head, None)
    assert sum("git-receive-pack" in path for _, path in hub.requests if "info" not in path) == 1


async def test_f8_a_push_whose_answer_is_lost_is_found_done(hub, forge, hub_repo):
    head = await commit(hub_repo)
    hub.fail("POST", ".*git-receive-pack", status=502, after=True)
    with pytest.raises(TransientError):
        await forge.push(hub_repo, BRANCH, head, None)
    await forge.push(hub_repo, BRANCH, head, None)
    assert hub.git(NAME).ref(f"refs/heads/{BRANCH}") == head


async def test_f38_a_branch_that_somebody_moved_is_not_pushed_over(hub, forge, hub_repo):
    head = await commit(hub_repo)
    theirs = hub.push(NAME, BRANCH, {"x": "1\n"}, "lee")
    with pytest.raises(ConflictError):
        await forge.push(hub_repo, BRANCH, head, None)
    assert not await hub_repo.push(f"refs/heads/{BRANCH}", head, None), "past our own look, git's lease refuses"
    assert hub.git(NAME).ref(f"refs/heads/{BRANCH}") == theirs


async def test_f9_a_pushed_branch_without_its_pull_request_is_gone_on_with(hub, make_client, hub_repo):
    head = await commit(hub_repo)
    await GitHubForge(make_client()).push(hub_repo, BRANCH, head, None)
    later = GitHubForge(make_client())
    await later.push(hub_repo, BRANCH, head, None)
    assert (await later.open(hub_repo, proposal(head))).head == head


async def test_f10_opening_again_finds_the_first(hub, forge, hub_repo):
    first = await published(forge, hub_repo)
    assert await forge.open(hub_repo, proposal(first.head)) == first
    assert opened_at(hub) == 1


async def test_f10_what_a_person_closed_is_neither_reopened_nor_opened_twice(hub, forge, hub_repo):
    first = await published(forge, hub_repo)
    hub.close_by_hand(NAME, first.number, "lee")
    again = await forge.open(hub_repo, proposal(first.head))
    assert (again.number, again.state) == (first.number, "closed")
    assert (opened_at(hub), hub.pull(NAME, 1).state) == (1, "closed")


async def test_f10_a_later_revision_of_a_closed_one_is_a_new_pull_request(hub, forge, hub_repo):
    first = await published(forge, hub_repo)
    hub.close_by_hand(NAME, first.number, "lee")
    head = await commit(hub_repo, "print(10)\n")
    await forge.push(hub_repo, BRANCH, head, first.head)
    second = await forge.open(hub_repo, proposal(head, revision=2))
    assert (second.number, second.state) == (2, "open")


@pytest.mark.parametrize("lost", [{"status": 502}, {"drop": True}])
async def test_f11_a_merge_whose_answer_is_lost_happened_once(hub, forge, hub_repo, lost):
    pull = await published(forge, hub_repo)
    hub.fail("PUT", ".*/merge", after=True, **lost)
    with pytest.raises(TransientError):
        await forge.merge(hub_repo, pull, "m")
    merged = hub.pull(NAME, 1).merge_sha
    assert await forge.merge(hub_repo, pull, "m") == merged
    assert await hub_repo.fetch_base() == merged


async def test_f11_merged_with_another_head_is_no_success(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    hub.push(NAME, BRANCH, {"evil": "1\n"}, "lee")
    hub.merge_by_hand(NAME, 1, "lee")
    with pytest.raises(ConflictError) as caught:
        await forge.merge(hub_repo, pull, "m")
    assert caught.value.problem.code == "branch_moved"


@pytest.mark.parametrize("lost", [{"status": 502}, {"status": 504}, {"drop": True}])
async def test_f12_a_pull_request_whose_answer_is_lost_is_found(hub, forge, hub_repo, lost):
    head = await commit(hub_repo)
    await forge.push(hub_repo, BRANCH, head, None)
    hub.fail("POST", PULLS, after=True, **lost)
    with pytest.raises(TransientError) as caught:
        await forge.open(hub_repo, proposal(head))
    assert caught.value.kind is Kind.UNAVAILABLE
    assert (await forge.open(hub_repo, proposal(head))).number == 1
    assert opened_at(hub) == 1


async def test_f13_already_exists_is_adopted_when_its_head_is_ours(hub, forge, hub_repo):
    head = await commit(hub_repo)
    await forge.push(hub_repo, BRANCH, head, None)
    hub.fail("POST", PULLS, meanwhile=lambda: hub.opened(hub.repo(NAME), "bot", "x", "", BRANCH, "main"))
    pull = await forge.open(hub_repo, proposal(head))
    assert (pull.number, pull.head, opened_at(hub)) == (1, head, 1)
    assert hub.pull(NAME, 1).title == "Raise it"


async def test_f13_already_exists_with_another_head_is_a_conflict(hub, forge, hub_repo):
    head = await commit(hub_repo)
    await forge.push(hub_repo, BRANCH, head, None)

    def rival():
        hub.push(NAME, BRANCH, {"theirs": "1\n"}, "lee")
        hub.opened(hub.repo(NAME), "lee", "x", "", BRANCH, "main")

    hub.fail("POST", PULLS, meanwhile=rival)
    with pytest.raises(ConflictError) as caught:
        await forge.open(hub_repo, proposal(head))
    assert caught.value.problem.code == "branch_moved"


async def test_f13_any_other_422_is_permanent_and_told_in_githubs_words(hub, forge, hub_repo):
    base = await hub_repo.fetch_base()
    await forge.push(hub_repo, BRANCH, base, None)
    with pytest.raises(PermanentError) as caught:
        await forge.open(hub_repo, proposal(base))
    assert "No commits between main and countersign/1-timeout" in caught.value.problem.message
    with pytest.raises(PermanentError):
        await forge.open(hub_repo, proposal(base, into="gone"))


def in_(seconds: int) -> str:
    return str(int(time.time()) + seconds)


@pytest.mark.parametrize(
    ("status", "message", "headers", "least_s", "most_s"),
    [
        (403, "You have exceeded a secondary rate limit", {"Retry-After": "42"}, 42, 42),
        (429, "slow down", {"Retry-After": "7"}, 7, 7),
        (403, "API rate limit exceeded", {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in_(9000)}, 6000, 9002),
        (403, "You have exceeded a secondary rate limit", {}, 60, 60),
        (429, "", {}, 60, 60),
        (403, "API rate limit exceeded", {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "0"}, 1, 1),
        (403, "You have exceeded a secondary rate limit", {"Retry-After": "999999999"}, 10_800, 10_800),
    ],
)
async def test_f14_a_limit_is_waited_for_as_long_as_github_says(
    hub, forge, hub_repo, status, message, headers, least_s, most_s
):
    pull = await published(forge, hub_repo)
    hub.fail("GET", f"{PULLS}/1", status=status, message=message, headers=headers)
    with pytest.raises(TransientError) as caught:
        await forge.poll(hub_repo, pull)
    assert caught.value.problem.code == "github_rate_limit"
    assert least_s <= (caught.value.retry_after_s or 0) <= most_s


async def test_f14_nothing_is_asked_while_github_says_wait(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    hub.fail("GET", f"{PULLS}/1", status=429, headers={"Retry-After": "30"})
    with pytest.raises(TransientError):
        await forge.poll(hub_repo, pull)
    before = len(hub.requests)
    for _ in range(20):
        with pytest.raises(TransientError) as caught:
            await forge.merge(hub_repo, pull, "m")
        assert 0 < (caught.value.retry_after_s or 0) <= 30
    assert len(hub.requests) == before


async def test_f14_changes_keep_their_distance_and_readings_do_not_wait(hub, make_client, hub_repo):
    hub.issue(NAME, "lee", "hello")
    client = make_client(between_changes_s=0.2)
    started = time.monotonic()
    for n in range(4):
        await client.comment(hub_repo.spec, 1, f"{n}")
    assert time.monotonic() - started >= 0.6
    assert [comment.body for comment in hub.repo(NAME).comments.values()] == ["0", "1", "2", "3"]


async def test_f14_a_403_that_is_no_limit_is_permanent(hub, make_client, hub_repo):
    client = make_client(GitHubAccess(hub.url, token=hub.token("eve")))
    with pytest.raises(PermanentError) as caught:
        await GitHubForge(client).set_commit_status(hub_repo, CommitStatus(await hub_repo.fetch_base(), "success", "x"))
    assert caught.value.problem.code == "github_forbidden"


async def test_f15_a_dead_token_parks_with_a_reason_after_one_try(hub, make_client, hub_repo):
    token = hub.token("bot")
    client = make_client(GitHubAccess(hub.url, token=token))
    await client.repository(hub_repo.spec)
    hub.tokens[token].revoked = True
    before = len(hub.requests)
    with pytest.raises(PermanentError) as caught:
        await client.repository(hub_repo.spec)
    assert caught.value.problem.code == "github_token_refused"
    assert caught.value.problem.mend
    assert len(hub.requests) == before + 1


async def test_f15_git_with_a_dead_token_parks_with_a_reason(hub, make_client, tmp_path):
    token = hub.token("bot")
    hub_repo = store_of(hub, make_client(GitHubAccess(hub.url, token=token)), tmp_path / "other", pinned=False)
    await hub_repo.fetch_base()
    hub.tokens[token].revoked = True
    with pytest.raises(PermanentError) as caught:
        await hub_repo.fetch_base()
    assert caught.value.problem.code == "github_token_refused"


async def test_f15_a_repository_that_was_removed_is_told(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    hub.remove(NAME)
    for asked in (
        forge.poll(hub_repo, pull),
        forge.merge(hub_repo, pull, "m"),
        forge.push(hub_repo, BRANCH, pull.head, None),
    ):
        with pytest.raises(PermanentError) as caught:
            await asked
        assert caught.value.problem.kind is Kind.MISSING


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_f16_an_outage_is_waited_out_without_a_fixed_time(hub, forge, hub_repo, status):
    """Without a time of its own the queue backs off with jitter, so no one comes back all at once."""
    pull = await published(forge, hub_repo)
    hub.fail(status=status, times=3)
    with pytest.raises(TransientError) as caught:
        await forge.poll(hub_repo, pull)
    assert caught.value.retry_after_s is None
    assert caught.value.problem.kind is Kind.UNAVAILABLE
    hub.faults.clear()
    assert await forge.poll(hub_repo, pull) == pull


async def test_f16_a_github_that_is_not_there_is_transient(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    hub.stop()
    for asked in (forge.poll(hub_repo, pull), forge.push(hub_repo, BRANCH, pull.head, None)):
        with pytest.raises(TransientError):
            await asked
    with pytest.raises(TransientError):
        await hub_repo.fetch_base()


async def test_f16_a_github_that_does_not_answer_is_left_after_a_while(hub, make_client, hub_repo):
    client = make_client(request_s=1)
    hub.fail("GET", delay_s=1.6)
    with pytest.raises(TransientError):
        await client.repository(hub_repo.spec)
    slow = make_client(call_s=0.3)
    hub.fail("GET", delay_s=0.8)
    with pytest.raises(TransientError) as caught:
        await slow.repository(hub_repo.spec)
    assert caught.value.problem.code == "github_timeout"


async def test_an_answer_that_is_not_json_is_transient(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    hub.fail("GET", f"{PULLS}/1", garbage=b"{ half")
    with pytest.raises(TransientError) as caught:
        await forge.poll(hub_repo, pull)
    assert caught.value.problem.code == "github_garbled"


async def test_an_unchanged_reading_is_asked_for_conditionally(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    for _ in range(3):
        await forge.poll(hub_repo, pull)
    hub.statuses.clear()
    assert await forge.poll(hub_repo, pull) == pull
    assert set(hub.statuses) == {304}
    head = hub.push(NAME, BRANCH, {"b": "1\n"}, "lee")
    assert (await forge.poll(hub_repo, pull)).head == head
