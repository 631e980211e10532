"""The local forge: leases, crashes between every two effects, merges, and that main moves in merge only."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.model.errors import ConflictError, NotFoundError, PermanentError
from core.ports.forge import PullRequestDraft
from core.ports.repository import Commit
from lanes.forge.local import PULLS_PREFIX, LocalForge
from lanes.repository import GitRepository
from tests.integration.lanes import origin

pytestmark = pytest.mark.lanes
AT = datetime(2026, 5, 4, 12, tzinfo=UTC)
BRANCH = "countersign/1-timeout"
REF = f"refs/heads/{BRANCH}"


def main_of(bare: Path) -> str:
    return origin.line("rev-parse", "main", at=bare)


async def commit(
    repo: GitRepository, text: str = "print(9)\n", parent: str | None = None, path: str = "src/a.py"
) -> str:
    base = parent or await repo.fetch_base()
    tree = await repo.write_tree(await repo.tree_of(base), {path: text.encode()}, [], {})
    return await repo.write_commit(Commit(tree, base, "change", AT))


def proposal(head: str, **others) -> PullRequestDraft:
    given = {"number": 1, "branch": BRANCH, "head": head, "into": "main", "title": "t", "body": "b", "revision": 1}
    return PullRequestDraft(**{**given, "digest": "d" * 64, **others})


@pytest.fixture
def forge() -> LocalForge:
    return LocalForge()


async def opened(forge, repo, **others):
    head = await commit(repo)
    await forge.push(repo, BRANCH, head, None)
    return await forge.open(repo, proposal(head, **others))


async def test_a_push_moves_only_its_branch_and_may_be_repeated(forge, repo, bare):
    before, head = main_of(bare), await commit(repo)
    for _ in range(2):
        await forge.push(repo, BRANCH, head, None)
    assert origin.line("rev-parse", REF, at=bare) == head
    second = await commit(repo, "print(10)\n")
    await forge.push(repo, BRANCH, second, head)
    assert origin.line("rev-parse", REF, at=bare) == second
    assert main_of(bare) == before


async def test_a_push_over_somebody_elses_work_is_refused(forge, repo, bare):
    head, other = await commit(repo), await commit(repo, "print(10)\n")
    origin.git("update-ref", REF, main_of(bare), at=bare)
    for expected in (None, head, other):
        with pytest.raises(ConflictError) as caught:
            await forge.push(repo, BRANCH, head, expected)
        assert caught.value.problem.code == "branch_moved"
    assert origin.line("rev-parse", REF, at=bare) == main_of(bare)


async def test_a_branch_that_moves_at_the_last_moment_is_seen_by_the_lease(repo, bare):
    """Past our own look, git's lease is what refuses."""
    head = await commit(repo)
    origin.git("update-ref", REF, main_of(bare), at=bare)
    assert not await repo.push(REF, head, None)
    assert not await repo.push(REF, head, head)
    assert origin.line("rev-parse", REF, at=bare) == main_of(bare)


@pytest.mark.parametrize(
    "branch",
    [
        *("main", "-x", "HEAD", "", "refs/heads/main", "countersign/x", "countersign/1..2"),
        *("countersign/1-A", "countersign/1-" + "a" * 300, "countersign/1\n", "countersign/01-x"),
    ],
)
async def test_only_branches_of_ours_are_pushed(forge, repo, branch):
    head = await commit(repo)
    with pytest.raises(PermanentError):
        await forge.push(repo, branch, head, None)
    with pytest.raises(PermanentError):
        await forge.open(repo, proposal(head, branch=branch))


async def test_a_remotes_refusal_is_told_in_its_own_words(forge, repo, bare):
    hook = bare / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'no branches on Fridays \x1b[31m' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(PermanentError) as caught:
        await forge.push(repo, BRANCH, await commit(repo), None)
    assert "no branches on Fridays" in caught.value.problem.message
    assert "\x1b" not in caught.value.problem.message


async def test_opening_twice_is_one_pull_request(forge, repo, bare):
    """The crash after the remote has it and before we know: the second call finds the first one's."""
    first = await opened(forge, repo)
    again = await forge.open(repo, proposal(first.head))
    assert again == first
    assert (first.number, first.state, first.branch) == (1, "open", BRANCH)
    assert origin.line("for-each-ref", "--format=%(refname)", PULLS_PREFIX, at=bare) == f"{PULLS_PREFIX}1"


async def test_opening_at_once_is_one_pull_request(forge, repo, bare):
    head = await commit(repo)
    await forge.push(repo, BRANCH, head, None)
    many = await asyncio.gather(*(forge.open(repo, proposal(head)) for _ in range(6)))
    assert len(set(many)) == 1


async def test_a_second_revision_updates_the_pull_request(forge, repo):
    first = await opened(forge, repo)
    head = await commit(repo, "print(10)\n")
    await forge.push(repo, BRANCH, head, first.head)
    second = await forge.open(repo, proposal(head, revision=2, title="new", digest="e" * 64))
    assert (second.number, second.head, second.revision, second.digest) == (1, head, 2, "e" * 64)
    assert await forge.poll(repo, first) == second


async def test_a_number_that_another_home_used_is_left_alone(forge, repo, bare):
    first = await opened(forge, repo)
    head = await commit(repo, "x", path="README.md")
    await forge.push(repo, "countersign/1-other", head, None)
    theirs = await forge.open(repo, proposal(head, branch="countersign/1-other"))
    assert theirs.number == 2
    assert await forge.open(repo, proposal(head, branch="countersign/1-other")) == theirs
    assert (await forge.poll(repo, first)).branch == BRANCH


async def test_a_merge_has_both_parents_and_happens_once(forge, repo, bare):
    request = await opened(forge, repo)
    old = main_of(bare)
    merged = await forge.merge(repo, request, "Merge #1\n")
    assert main_of(bare) == merged
    assert origin.line("rev-list", "--parents", "-1", merged, at=bare).split() == [merged, old, request.head]
    assert await forge.merge(repo, request, "Merge #1\n") == merged
    assert main_of(bare) == merged
    assert (await forge.poll(repo, request)).state == "merged"
    origin.git("fsck", "--strict", at=bare)
    assert origin.line("show", "main:src/a.py", at=bare) == "print(9)"


async def test_a_merge_joins_what_main_gained_meanwhile(forge, repo, bare):
    request = await opened(forge, repo)
    other = await commit(repo, "# Other\n", path="README.md")
    await repo.push("refs/heads/main", other, main_of(bare))
    merged = await forge.merge(repo, request, "Merge #1")
    assert origin.line("show", f"{merged}:README.md", at=bare) == "# Other"
    assert origin.line("show", f"{merged}:src/a.py", at=bare) == "print(9)"


async def test_a_merge_that_does_not_apply_changes_nothing(forge, repo, bare):
    request = await opened(forge, repo)
    other = await commit(repo, "print('other')\n")
    await repo.push("refs/heads/main", other, main_of(bare))
    with pytest.raises(ConflictError) as caught:
        await forge.merge(repo, request, "Merge #1")
    assert "src/a.py" in caught.value.problem.message
    assert main_of(bare) == other
    assert (await forge.poll(repo, request)).state == "open"


async def test_a_head_that_moved_is_not_merged(forge, repo, bare):
    request = await opened(forge, repo)
    sneaky = await commit(repo, "evil\n", parent=request.head)
    await repo.push(REF, sneaky, request.head)
    before = main_of(bare)
    with pytest.raises(ConflictError):
        await forge.merge(repo, request, "Merge #1")
    assert main_of(bare) == before
    assert (await forge.poll(repo, request)).head == sneaky


async def test_a_crash_between_the_merge_and_its_record_is_adopted(forge, repo, bare):
    request = await opened(forge, repo)
    record = origin.line("rev-parse", f"{PULLS_PREFIX}1", at=bare)
    merged = await forge.merge(repo, request, "Merge #1")
    origin.git("update-ref", f"{PULLS_PREFIX}1", record, at=bare)
    later = await commit(repo, "# Later\n", path="README.md")
    await repo.push("refs/heads/main", later, merged)
    assert (await forge.poll(repo, request)).state == "merged"
    assert await forge.merge(repo, request, "Merge #1") == merged
    assert main_of(bare) == later
    assert origin.line("rev-parse", f"{PULLS_PREFIX}1", at=bare) != record


async def test_a_crash_before_main_moved_gives_the_same_merge(forge, repo, bare):
    request = await opened(forge, repo)
    old, record = main_of(bare), origin.line("rev-parse", f"{PULLS_PREFIX}1", at=bare)
    merged = await forge.merge(repo, request, "Merge #1")
    origin.git("update-ref", "refs/heads/main", old, at=bare)
    origin.git("update-ref", f"{PULLS_PREFIX}1", record, at=bare)
    assert await forge.merge(repo, request, "Merge #1") == merged


async def test_a_merge_made_by_hand_is_seen(forge, repo, bare):
    request = await opened(forge, repo)
    await repo.push("refs/heads/main", request.head, main_of(bare))
    assert (await forge.poll(repo, request)).state == "merged"
    assert await forge.merge(repo, request, "Merge #1") == request.head


async def test_merging_at_once_merges_once(forge, repo, bare):
    request = await opened(forge, repo)
    merged = await asyncio.gather(*(forge.merge(repo, request, "Merge #1") for _ in range(4)))
    assert len(set(merged)) == 1
    assert int(origin.line("rev-list", "--count", "main", at=bare)) == 3


async def test_another_host_can_merge_what_it_never_saw(forge, repo, bare, tmp_path):
    request = await opened(forge, repo)
    other = origin.store(bare, tmp_path / "other-host")
    merged = await forge.merge(other, request, "Merge #1")
    assert main_of(bare) == merged


async def test_closing_deletes_the_branch_and_may_be_repeated(forge, repo, bare):
    request = await opened(forge, repo)
    before = main_of(bare)
    for _ in range(2):
        await forge.close(repo, request)
    assert origin.line("for-each-ref", REF, at=bare) == ""
    assert (await forge.poll(repo, request)).state == "closed"
    assert main_of(bare) == before
    with pytest.raises(ConflictError):
        await forge.merge(repo, request, "Merge #1")


async def test_a_closed_pull_request_is_not_opened_again(forge, repo):
    request = await opened(forge, repo)
    await forge.close(repo, request)
    assert (await forge.open(repo, proposal(request.head))).state == "closed"


async def test_closing_leaves_a_branch_that_somebody_moved(forge, repo, bare):
    request = await opened(forge, repo)
    theirs = await commit(repo, "theirs\n", parent=request.head)
    await repo.push(REF, theirs, request.head)
    await forge.close(repo, request)
    assert origin.line("rev-parse", REF, at=bare) == theirs


async def test_a_merged_pull_request_cannot_be_closed(forge, repo):
    request = await opened(forge, repo)
    await forge.merge(repo, request, "Merge #1")
    with pytest.raises(ConflictError):
        await forge.close(repo, request)


async def test_a_branch_deleted_by_hand_closes_it(forge, repo, bare):
    request = await opened(forge, repo)
    origin.git("update-ref", "-d", REF, at=bare)
    assert (await forge.poll(repo, request)).state == "closed"
    with pytest.raises(ConflictError):
        await forge.merge(repo, request, "Merge #1")


async def test_a_checked_out_branch_is_not_merged_into(forge, tmp_path):
    work = origin.remote(tmp_path / "work", {"src/a.py": "print(1)\n"}, bare=False)
    repo = origin.store(work, tmp_path / "state")
    request = await opened(forge, repo)
    before = origin.line("rev-parse", "main", at=work)
    with pytest.raises(PermanentError) as caught:
        await forge.merge(repo, request, "Merge #1")
    assert caught.value.problem.code == "checked_out"
    assert origin.line("rev-parse", "main", at=work) == before
    origin.git("checkout", "-q", "--detach", at=work)
    assert await forge.merge(repo, request, "Merge #1") == origin.line("rev-parse", "main", at=work)


async def test_a_record_of_nonsense_is_a_sentence(forge, repo, bare):
    request = await opened(forge, repo)
    blob = origin.git("hash-object", "-w", "--stdin", at=bare, stdin=b"[1, 2]").decode().strip()
    origin.git("update-ref", f"{PULLS_PREFIX}1", blob, at=bare)
    with pytest.raises(PermanentError) as caught:
        await forge.poll(repo, request)
    assert caught.value.problem.code == "bad_record"
    origin.git("update-ref", "-d", f"{PULLS_PREFIX}1", at=bare)
    with pytest.raises(NotFoundError):
        await forge.poll(repo, request)


async def test_a_remote_elsewhere_needs_another_forge(forge, tmp_path):
    repo = origin.store("https://example.com/x.git", tmp_path)
    with pytest.raises(PermanentError) as caught:
        await forge.open(repo, proposal("1" * 40))
    assert caught.value.problem.code == "not_local"
