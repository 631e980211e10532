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
class Scene:
    """A forge, our store of a repository there, and its own git."""

    forge: Any
    web: GitRepository
    git: GitDir

    def main(self) -> str:
        found = self.git.ref("refs/heads/main")
        assert found is not None
        return found


@pytest.fixture(params=["local", "github"])
def scene(request, tmp_path: Path) -> Iterator[Scene]:
    if request.param == "local":
        bare = origin.remote(tmp_path / "origin.git", FILES)
        spec = RepositorySpec("web", "local:web", str(bare), "main", "local")
        yield Scene(LocalForge(), GitRepository(spec, tmp_path / "state" / "git"), GitDir(bare))
        return
    hub = request.getfixturevalue("hub")
    client = GitHubClient(GitHubAccess(hub.url, token=hub.token("bot")), between_changes_s=0)
    yield Scene(GitHubForge(client), store_of(hub, client, tmp_path / "state"), hub.git(NAME))
    client.close()


def theirs_on(scene: Scene, branch: str, path: str, text: str) -> str:
    """A commit of somebody else's on a branch, as a push of theirs would leave it."""
    ref = f"refs/heads/{branch}"
    tip = scene.git.ref(ref)
    assert tip is not None
    made = scene.git.commit(scene.git.write_tree(tip, {path: text}), [tip], "theirs\n", "lee")
    scene.git.move(ref, made)
    return made


def test_both_are_forges(scene):
    forge: Forge = scene.forge
    assert forge is scene.forge


async def test_every_step_may_be_repeated(scene):
    head = await commit(scene.web)
    for _ in range(2):
        await scene.forge.push(scene.web, BRANCH, head, None)
    first = await scene.forge.open(scene.web, proposal(head))
    assert await scene.forge.open(scene.web, proposal(head)) == first
    assert await scene.forge.poll(scene.web, first) == first
    before = scene.main()
    merged = await scene.forge.merge(scene.web, first, "Merge #1\n")
    assert await scene.forge.merge(scene.web, first, "Merge #1\n") == merged == scene.main() != before
    assert (await scene.forge.poll(scene.web, first)).state == "merged"


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
async def test_each_way_to_merge_joins_what_main_gained_and_happens_once(scene, method):
    pull = await published(scene.forge, scene.web)
    base = theirs_on(scene, "main", "README.md", "# Other\n")
    merged = await scene.forge.merge(scene.web, pull, "Merge #1\n\nwhy\n", method)
    later = theirs_on(scene, "main", "LATER.md", "later\n")
    assert await scene.forge.merge(scene.web, pull, "Merge #1\n\nwhy\n", method) == merged
    assert scene.main() == later
    assert (await scene.forge.poll(scene.web, pull)).state == "merged"
    parents = scene.git.line("log", "-1", "--format=%P", merged).split()
    assert parents == [base, pull.head][: 2 if method == "merge" else 1]
    assert scene.git.line("show", f"{merged}:README.md") == "# Other"
    assert scene.git.line("show", f"{merged}:src/a.py") == "print(9)"
    if method == "squash":
        assert scene.git.line("log", "-1", "--format=%B", merged) == "Merge #1\n\nwhy"
    if method == "rebase":
        assert scene.git.line("log", "-1", "--format=%s", merged) == "change"


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
async def test_what_does_not_apply_changes_nothing(scene, method):
    pull = await published(scene.forge, scene.web)
    tip = theirs_on(scene, "main", "src/a.py", "print('other')\n")
    with pytest.raises(ConflictError):
        await scene.forge.merge(scene.web, pull, "m", method)
    assert scene.main() == tip
    assert (await scene.forge.poll(scene.web, pull)).state == "open"


async def test_an_unknown_way_to_merge_is_refused(scene):
    pull = await published(scene.forge, scene.web)
    with pytest.raises(PermanentError) as caught:
        await scene.forge.merge(scene.web, pull, "m", "octopus")
    assert caught.value.problem.code == "merge_method"


async def test_a_branch_that_somebody_moved_is_neither_pushed_over_nor_merged(scene, request):
    pull = await published(scene.forge, scene.web)
    before = scene.git.refs()
    sneaky = theirs_on(scene, BRANCH, "evil.sh", "rm\n")
    if "github" in request.node.name:
        hub = request.getfixturevalue("hub")
        hub.refs_moved(hub.repo(NAME), before, "lee")
    with pytest.raises(ConflictError):
        await scene.forge.push(scene.web, BRANCH, await commit(scene.web, "print(10)\n"), pull.head)
    with pytest.raises(ConflictError):
        await scene.forge.merge(scene.web, pull, "m")
    assert (await scene.forge.poll(scene.web, pull)).head == sneaky
    assert scene.main() == before["refs/heads/main"]


@pytest.mark.parametrize("branch", ["main", "-x", "HEAD", "", "countersign/x", "countersign/1..2", "countersign/1\n"])
async def test_only_branches_of_ours_are_touched(scene, branch):
    head = await commit(scene.web)
    with pytest.raises(PermanentError):
        await scene.forge.push(scene.web, branch, head, None)
    with pytest.raises(PermanentError):
        await scene.forge.open(scene.web, proposal(head, branch=branch))


async def test_closing_takes_the_branch_along_and_nothing_is_merged_any_more(scene):
    pull = await published(scene.forge, scene.web)
    for _ in range(2):
        await scene.forge.close(scene.web, pull)
    assert scene.git.ref(f"refs/heads/{BRANCH}") is None
    assert (await scene.forge.poll(scene.web, pull)).state == "closed"
    with pytest.raises(ConflictError):
        await scene.forge.merge(scene.web, pull, "m")


async def test_a_rebase_keeps_each_revision_as_a_commit_of_its_own(scene):
    first = await commit(scene.web)
    second = await commit(scene.web, "more\n", "MORE.md", parent=first)
    await scene.forge.push(scene.web, BRANCH, second, None)
    pull = await scene.forge.open(scene.web, proposal(second))
    base = theirs_on(scene, "main", "README.md", "# Other\n")
    merged = await scene.forge.merge(scene.web, pull, "m", "rebase")
    assert scene.git.line("rev-list", "--count", f"{base}..{merged}") == "2"
    assert scene.git.line("show", f"{merged}~1:src/a.py") == "print(9)"


@pytest.mark.parametrize("method", ["squash", "rebase"])
async def test_a_local_merge_that_died_after_moving_main_is_found(tmp_path, method):
    bare = origin.remote(tmp_path / "origin.git", FILES)
    spec = RepositorySpec("web", "local:web", str(bare), "main", "local")
    web, forge, git = GitRepository(spec, tmp_path / "state" / "git"), LocalForge(), GitDir(bare)
    pull = await published(forge, web)
    theirs_on(Scene(forge, web, git), "main", "README.md", "# Other\n")
    merged = await forge.merge(web, pull, "m", method)
    _back_to_begun(git)
    theirs_on(Scene(forge, web, git), "main", "LATER.md", "later\n")
    assert (await forge.poll(web, pull)).state == "merged"
    assert await forge.merge(web, pull, "m", method) == merged
    assert git.line("rev-list", "--count", f"{merged}..main") == "1"


def _back_to_begun(git: GitDir) -> None:
    """The record as it is between the move of main and the last write."""
    raw = git.run("cat-file", "blob", "refs/countersign/pulls/1").replace(b'"state": "merged"', b'"state": "open"')
    git.move("refs/countersign/pulls/1", git.line("hash-object", "-w", "--stdin", stdin=raw))
