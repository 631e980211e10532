"""Any clone on this host, read only: what verification looks at, with no network and no trust in our store."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from core.change import Change
from core.errors import NotFoundError
from core.ports import Repository, RepositorySpec
from lanes.repository import as_git, guarded, trees
from lanes.repository.command import GitCommand, check_git
from lanes.repository.store import Store, check_branch

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""git knows the empty tree without anybody having written it."""


class Clone(Store):
    """A git repository of somebody's; nothing is ever written to it, and its configuration runs nothing."""

    def __init__(self, spec: RepositorySpec, path: Path) -> None:
        inner = path / ".git"
        self.spec = spec
        self.path = inner if inner.is_dir() else path
        self.git = GitCommand(self.path)
        self._ready = True

    @classmethod
    def at(cls, repository: Repository, path: Path | None) -> Clone:
        """The clone at `path`, else the remote itself if it is on this host, else the host's own store."""
        check_git()
        store = as_git(repository).store
        chosen = path or store.address.path or store.path
        if not any((folder / "HEAD").exists() for folder in (chosen / ".git", chosen)):
            raise NotFoundError("no_clone", f"{chosen} is not a git repository", "Name a clone with --repo-path.")
        return cls(store.spec, chosen)

    async def tip_of(self, branch: str) -> str | None:
        """The commit that `branch` is at here, as a branch of its own or of any remote; None when it is not here."""
        return await asyncio.to_thread(guarded, self.spec.name, lambda: self._tip_of(check_branch(branch)))

    def _tip_of(self, branch: str) -> str | None:
        listed = self.git.line(
            "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}", f"refs/remotes/*/{branch}"
        )
        return listed.split("\n")[0] or None

    async def tree_at(self, commit: str) -> str:
        """The tree of `commit`; raises `NotFoundError` when it is not here."""
        if not await asyncio.to_thread(guarded, self.spec.name, lambda: self.has(commit)):
            raise NotFoundError("no_commit", f"{self.path} does not have the commit {commit[:12]}", "Fetch it first.")
        return await asyncio.to_thread(guarded, self.spec.name, lambda: self.tree_of(commit))

    async def change(self, base: str, tree: str) -> Change:
        """What differs between commit `base` and `tree`, computed from this clone's objects."""
        return await asyncio.to_thread(guarded, self.spec.name, lambda: trees.compare(self, base, tree))


def make_bare(spec: RepositorySpec, files: dict[str, bytes], message: str) -> str:
    """A new bare repository at the spec's address with one commit of `files` on its branch; the commit's id."""
    check_git()
    path = Path(spec.url)
    path.mkdir(parents=True, exist_ok=True)
    bare = Clone(spec, path)
    bare.git.run("init", "--quiet", "--bare", "--template=", f"--initial-branch={check_branch(spec.branch)}")
    tree = trees.write_tree(bare, EMPTY_TREE, files, (), {})
    commit = bare.commit_tree(tree, [], message, round(time.time()))
    bare.git.run("update-ref", f"refs/heads/{spec.branch}", commit)
    return commit
