"""What every `Forge` promises, asked of the one in memory that other tests use and of the local one alike.

GitHub's answers to the same and to more are in `tests.integration.github_forge`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.model.errors import ConflictError, CountersignError, PermanentError
from core.model.task import PullRequest
from core.ports.forge import PullRequestDraft
from core.ports.repository import Commit, RepositorySpec
from lanes.forge.local import LocalForge
from lanes.repository import GitRepository
from tests.fakes.forge import MemoryForge
from tests.fakes.github.gitdir import GitDir
from tests.fakes.repository import MemoryRepository
from tests.homes import make_repository

pytestmark = pytest.mark.lanes

FILES = {"README.md": b"# Web\n", "src/a.py": b"print(1)\n"}
BRANCH = "countersign/1-timeout"
AT = datetime(2026, 5, 4, 12, tzinfo=UTC)


@dataclass
class Remote:
    """A forge with our store of one repository there, and what other people do to its branches."""

    forge: Any
    repository: Any
    git: GitDir | None = None

    async def commit(self, content: bytes = b"print(9)\n", parent: str | None = None) -> str:
        """A commit of ours that changes `src/a.py`."""
        base = parent or await self.repository.fetch_base()
        if isinstance(self.repository, MemoryRepository):
            tree = self.repository.add({**FILES, "src/a.py": content})
        else:
            start = await self.repository.tree_of(base)
            tree = await self.repository.write_tree(start, {"src/a.py": content}, [], {})
        oid: str = await self.repository.write_commit(Commit(tree, base, "change", AT))
        return oid

    async def published(self) -> PullRequest:
        """A branch of ours with its pull request."""
        head = await self.commit()
        await self.forge.push(self.repository, BRANCH, head, None)
        opened: PullRequest = await self.forge.open(self.repository, draft(head))
        return opened

    def main(self) -> str:
        """The tip of the default branch."""
        if self.git is None:
            tip: str = self.repository.main
            return tip
        return self.git.ref("refs/heads/main") or ""

    def branch(self) -> str | None:
        """The tip of our branch, None when it is gone."""
        if self.git is None:
            tip: str | None = self.forge.branches.get(BRANCH)
            return tip
        return self.git.ref(f"refs/heads/{BRANCH}")

    def pushed_by_others(self, branch: str, path: str, content: bytes) -> str:
        """A commit that someone else pushes onto a branch."""
        if self.git is not None:
            tip = self.git.ref(f"refs/heads/{branch}")
            assert tip is not None
            made = self.git.commit(self.git.write_tree(tip, {path: content}), [tip], "theirs\n", "lee")
            self.git.move(f"refs/heads/{branch}", made)
            return made
        store = self.repository
        tip = store.main if branch == "main" else self.forge.branches[branch]
        files = {**store.trees[store.commits[tip].tree], path: content}
        pushed: str = store.commit(Commit(store.add(files), tip, "theirs", AT))
        if branch == "main":
            store.main = pushed
        else:
            self.forge.branches[branch] = pushed
        return pushed

    def content(self, commit: str, path: str) -> bytes:
        """A file as a commit has it."""
        if self.git is not None:
            return self.git.run("cat-file", "blob", f"{commit}:{path}")
        found: bytes = self.repository.trees[self.repository.commits[commit].tree][path]
        return found


def draft(head: str, **others: Any) -> PullRequestDraft:
    given = {"number": 1, "branch": BRANCH, "head": head, "into": "main", "title": "t", "body": "b", "revision": 1}
    return PullRequestDraft(**{**given, "digest": "d" * 64, **others})


@pytest.fixture(params=["memory", "local"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Remote:
    if request.param == "memory":
        spec = RepositorySpec("web", "local:web", "memory://web", "main", "local")
        return Remote(MemoryForge(), MemoryRepository.holding(spec, dict(FILES)))
    bare = tmp_path / "origin.git"
    make_repository(bare, FILES)
    spec = RepositorySpec("web", "local:web", str(bare), "main", "local")
    return Remote(LocalForge(), GitRepository(spec, tmp_path / "git"), GitDir(bare))


async def test_every_step_may_be_repeated(remote):
    head = await remote.commit()
    for _ in range(2):
        await remote.forge.push(remote.repository, BRANCH, head, None)
    opened = await remote.forge.open(remote.repository, draft(head))
    assert await remote.forge.open(remote.repository, draft(head)) == opened
    assert await remote.forge.poll(remote.repository, opened) == opened
    before = remote.main()
    merged = await remote.forge.merge(remote.repository, opened, "Merge #1\n")
    assert await remote.forge.merge(remote.repository, opened, "Merge #1\n") == merged == remote.main() != before
    assert (await remote.forge.poll(remote.repository, opened)).state == "merged"


async def test_the_next_revision_keeps_the_pull_request(remote):
    opened = await remote.published()
    head = await remote.commit(b"print(10)\n", opened.head)
    await remote.forge.push(remote.repository, BRANCH, head, opened.head)
    again = await remote.forge.open(remote.repository, draft(head, revision=2, digest="e" * 64))
    assert again == replace(opened, head=head, revision=2, digest="e" * 64)


async def test_a_branch_that_somebody_moved_is_neither_pushed_over_nor_merged(remote):
    opened = await remote.published()
    before = remote.main()
    theirs = remote.pushed_by_others(BRANCH, "evil.sh", b"rm\n")
    for expected in (opened.head, None):
        with pytest.raises(ConflictError):
            await remote.forge.push(remote.repository, BRANCH, await remote.commit(b"print(10)\n"), expected)
    with pytest.raises(ConflictError):
        await remote.forge.merge(remote.repository, opened, "m")
    assert (await remote.forge.poll(remote.repository, opened)).head == theirs
    assert remote.main() == before


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
async def test_a_merge_joins_what_main_gained_meanwhile(remote, method):
    opened = await remote.published()
    remote.pushed_by_others("main", "README.md", b"# Other\n")
    merged = await remote.forge.merge(remote.repository, opened, "m", method)
    assert remote.content(merged, "README.md") == b"# Other\n"
    assert remote.content(merged, "src/a.py") == b"print(9)\n"


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
async def test_what_does_not_apply_changes_nothing(remote, method):
    opened = await remote.published()
    tip = remote.pushed_by_others("main", "src/a.py", b"print('other')\n")
    with pytest.raises(ConflictError):
        await remote.forge.merge(remote.repository, opened, "m", method)
    assert remote.main() == tip
    assert (await remote.forge.poll(remote.repository, opened)).state == "open"


async def test_an_unknown_way_to_merge_is_refused(remote):
    opened = await remote.published()
    with pytest.raises(PermanentError) as caught:
        await remote.forge.merge(remote.repository, opened, "m", "octopus")
    assert caught.value.problem.code == "merge_method"


@pytest.mark.parametrize("branch", ["main", "-x", "HEAD", "", "countersign/x", "countersign/1..2", "countersign/1\n"])
async def test_only_branches_of_ours_are_touched(remote, branch):
    head = await remote.commit()
    with pytest.raises(PermanentError):
        await remote.forge.push(remote.repository, branch, head, None)
    with pytest.raises(PermanentError):
        await remote.forge.open(remote.repository, draft(head, branch=branch))


async def test_closing_takes_the_branch_along_and_nothing_is_merged_any_more(remote):
    opened = await remote.published()
    for _ in range(2):
        await remote.forge.close(remote.repository, opened)
    assert remote.branch() is None
    assert (await remote.forge.poll(remote.repository, opened)).state == "closed"
    with pytest.raises(ConflictError):
        await remote.forge.merge(remote.repository, opened, "m")


async def test_what_is_merged_is_not_closed(remote):
    opened = await remote.published()
    await remote.forge.merge(remote.repository, opened, "m")
    with pytest.raises(ConflictError):
        await remote.forge.close(remote.repository, opened)
    assert (await remote.forge.poll(remote.repository, opened)).state == "merged"


async def test_a_pull_request_that_is_not_there_is_a_fault_with_a_sentence(remote):
    opened = await remote.published()
    with pytest.raises(CountersignError):
        await remote.forge.poll(remote.repository, replace(opened, number=7, branch="countersign/7-x"))
