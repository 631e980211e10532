"""What every forge promises, asked of the local one and of GitHub alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.model.errors import ConflictError, PermanentError
from core.ports.forge import Forge
from core.ports.repository import RepositorySpec
from lanes.forge.github import GitHubAccess
from lanes.forge.github.client import GitHubClient
from lanes.forge.github.forge import GitHubForge
from lanes.forge.local import LocalForge
from lanes.repository import GitRepository
from tests.fakes.github.gitdir import GitDir
from tests.integration.github_forge.conftest import BRANCH, FILES, NAME, commit, proposal, published, store_of
from tests.integration.lanes import origin

pytestmark = pytest.mark.surfaces


@dataclass
class ForgeCase:
    """A forge, our store of a repository there, and its own git."""

    forge: Any
    hub_repo: GitRepository
    git: GitDir

    def main(self) -> str:
        found = self.git.ref("refs/heads/main")
        assert found is not None
        return found


@pytest.fixture(params=["local", "github"])
def case(request, tmp_path: Path) -> Iterator[ForgeCase]:
    if request.param == "local":
        bare = origin.remote(tmp_path / "origin.git", FILES)
        spec = RepositorySpec("web", "local:web", str(bare), "main", "local")
        yield ForgeCase(LocalForge(), GitRepository(spec, tmp_path / "state" / "git"), GitDir(bare))
        return
    hub = request.getfixturevalue("hub")
    client = GitHubClient(GitHubAccess(hub.url, token=hub.token("bot")), between_changes_s=0)
    yield ForgeCase(GitHubForge(client), store_of(hub, client, tmp_path / "state"), hub.git(NAME))
    client.close()


def theirs_on(case: ForgeCase, branch: str, path: str, text: str) -> str:
    """A commit of someone else's on a branch, as a push of theirs would leave it."""
    ref = f"refs/heads/{branch}"
    tip = case.git.ref(ref)
    assert tip is not None
    made = case.git.commit(case.git.write_tree(tip, {path: text}), [tip], "theirs\n", "lee")
    case.git.move(ref, made)
    return made


def test_both_are_forges(case):
    forge: Forge = case.forge
    assert forge is case.forge


async def test_every_step_may_be_repeated(case):
    head = await commit(case.hub_repo)
    for _ in range(2):
        await case.forge.push(case.hub_repo, BRANCH, head, None)
    first = await case.forge.open(case.hub_repo, proposal(head))
    assert await case.forge.open(case.hub_repo, proposal(head)) == first
    assert await case.forge.poll(case.hub_repo, first) == first
    before = case.main()
    merged = await case.forge.merge(case.hub_repo, first, "Merge #1\n")
    assert await case.forge.merge(case.hub_repo, first, "Merge #1\n") == merged == case.main() != before
    assert (await case.forge.poll(case.hub_repo, first)).state == "merged"


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
async def test_each_way_to_merge_joins_what_main_gained_and_happens_once(case, method):
    pull = await published(case.forge, case.hub_repo)
    base = theirs_on(case, "main", "README.md", "# Other\n")
    merged = await case.forge.merge(case.hub_repo, pull, "Merge #1\n\nwhy\n", method)
    later = theirs_on(case, "main", "LATER.md", "later\n")
    assert await case.forge.merge(case.hub_repo, pull, "Merge #1\n\nwhy\n", method) == merged
    assert case.main() == later
    assert (await case.forge.poll(case.hub_repo, pull)).state == "merged"
    parents = case.git.line("log", "-1", "--format=%P", merged).split()
    assert parents == [base, pull.head][: 2 if method == "merge" else 1]
    assert case.git.line("show", f"{merged}:README.md") == "# Other"
    assert case.git.line("show", f"{merged}:src/a.py") == "print(9)"
    if method == "squash":
        assert case.git.line("log", "-1", "--format=%B", merged) == "Merge #1\n\nwhy"
    if method == "rebase":
        assert case.git.line("log", "-1", "--format=%s", merged) == "change"


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
async def test_what_does_not_apply_changes_nothing(case, method):
    pull = await published(case.forge, case.hub_repo)
    tip = theirs_on(case, "main", "src/a.py", "print('other')\n")
    with pytest.raises(ConflictError):
        await case.forge.merge(case.hub_repo, pull, "m", method)
    assert case.main() == tip
    assert (await case.forge.poll(case.hub_repo, pull)).state == "open"


async def test_an_unknown_way_to_merge_is_refused(case):
    pull = await published(case.forge, case.hub_repo)
    with pytest.raises(PermanentError) as caught:
        await case.forge.merge(case.hub_repo, pull, "m", "octopus")
    assert caught.value.problem.code == "merge_method"


async def test_a_branch_that_somebody_moved_is_neither_pushed_over_nor_merged(case, request):
    pull = await published(case.forge, case.hub_repo)
    before = case.git.refs()
    sneaky = theirs_on(case, BRANCH, "evil.sh", "rm\n")
    if "github" in request.node.name:
        hub = request.getfixturevalue("hub")
        hub.refs_moved(hub.repo(NAME), before, "lee")
    with pytest.raises(ConflictError):
        await case.forge.push(case.hub_repo, BRANCH, await commit(case.hub_repo, "print(10)\n"), pull.head)
    with pytest.raises(ConflictError):
        await case.forge.merge(case.hub_repo, pull, "m")
    assert (await case.forge.poll(case.hub_repo, pull)).head == sneaky
    assert case.main() == before["refs/heads/main"]


@pytest.mark.parametrize("branch", ["main", "-x", "HEAD", "", "countersign/x", "countersign/1..2", "countersign/1\n"])
async def test_only_branches_of_ours_are_touched(case, branch):
    head = await commit(case.hub_repo)
    with pytest.raises(PermanentError):
        await case.forge.push(case.hub_repo, branch, head, None)
    with pytest.raises(PermanentError):
        await case.forge.open(case.hub_repo, proposal(head, branch=branch))


async def test_closing_takes_the_branch_along_and_nothing_is_merged_any_more(case):
    pull = await published(case.forge, case.hub_repo)
    for _ in range(2):
        await case.forge.close(case.hub_repo, pull)
    assert case.git.ref(f"refs/heads/{BRANCH}") is None
    assert (await case.forge.poll(case.hub_repo, pull)).state == "closed"
    with pytest.raises(ConflictError):
        await case.forge.merge(case.hub_repo, pull, "m")


async def test_a_rebase_keeps_each_revision_as_a_commit_of_its_own(case):
    first = await commit(case.hub_repo)
    second = await commit(case.hub_repo, "more\n", "MORE.md", parent=first)
    await case.forge.push(case.hub_repo, BRANCH, second, None)
    pull = await case.forge.open(case.hub_repo, proposal(second))
    base = theirs_on(case, "main", "README.md", "# Other\n")
    merged = await case.forge.merge(case.hub_repo, pull, "m", "rebase")
    assert case.git.line("rev-list", "--count", f"{base}..{merged}") == "2"
    assert case.git.line("show", f"{merged}~1:src/a.py") == "print(9)"


@pytest.mark.parametrize("method", ["squash", "rebase"])
async def test_a_local_merge_that_died_after_moving_main_is_found(tmp_path, method):
    bare = origin.remote(tmp_path / "origin.git", FILES)
    spec = RepositorySpec("web", "local:web", str(bare), "main", "local")
    hub_repo, forge, git = GitRepository(spec, tmp_path / "state" / "git"), LocalForge(), GitDir(bare)
    pull = await published(forge, hub_repo)
    theirs_on(ForgeCase(forge, hub_repo, git), "main", "README.md", "# Other\n")
    merged = await forge.merge(hub_repo, pull, "m", method)
    _back_to_begun(git)
    theirs_on(ForgeCase(forge, hub_repo, git), "main", "LATER.md", "later\n")
    assert (await forge.poll(hub_repo, pull)).state == "merged"
    assert await forge.merge(hub_repo, pull, "m", method) == merged
    assert git.line("rev-list", "--count", f"{merged}..main") == "1"


def _back_to_begun(git: GitDir) -> None:
    """The record as it is between the move of main and the last write."""
    raw = git.run("cat-file", "blob", "refs/countersign/pulls/1").replace(b'"state": "merged"', b'"state": "open"')
    git.move("refs/countersign/pulls/1", git.line("hash-object", "-w", "--stdin", stdin=raw))
