"""Any clone on this host, read only: what verification looks at, with no network and no trust in our store."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from core.model.change import Change
from core.model.errors import NotFoundError
from core.ports.repository import Repository, RepositorySpec
from lanes.repository import as_git, guarded, merging, trees
from lanes.repository.command import GitCommand, check_git
from lanes.repository.store import Store, check_branch, check_oid

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

    async def parents_of(self, commit: str) -> tuple[str, ...]:
        """The parents of `commit`, as the commit itself names them."""
        return await asyncio.to_thread(guarded, self.spec.name, lambda: self._parents_of(commit))

    def _parents_of(self, commit: str) -> tuple[str, ...]:
        head = self.git.run("cat-file", "commit", check_oid(commit)).out.split(b"\n\n", 1)[0]
        return tuple(line[7:].decode() for line in head.split(b"\n") if line.startswith(b"parent "))

    async def reaches(self, commit: str, tip: str) -> bool:
        """Whether `commit` is here, and is `tip` or an ancestor of it."""
        return await asyncio.to_thread(guarded, self.spec.name, lambda: self._reaches(commit, tip))

    def _reaches(self, commit: str, tip: str) -> bool:
        if self.git.run("cat-file", "-e", f"{check_oid(commit)}^{{commit}}", ok=(0, 1, 128)).code:
            return False
        return self.git.run("merge-base", "--is-ancestor", check_oid(commit), check_oid(tip), ok=(0, 1)).code == 0

    async def wrong_in_merge(self, commit: str, head: str) -> str | None:
        """Why `commit` is not just what merging, squashing or rebasing `head` gives, or None when it is."""
        return await asyncio.to_thread(guarded, self.spec.name, lambda: self._wrong_in_merge(commit, head))

    def _wrong_in_merge(self, commit: str, head: str) -> str | None:
        if commit == head:
            return None
        parents = self._parents_of(commit)
        if not parents or len(parents) > 2 or (len(parents) == 2 and parents[1] != head):
            return f"the merge {commit[:12]} does not join {head[:12]} alone"
        with tempfile.TemporaryDirectory(prefix="countersign-") as folder:
            wanted = merging.merge(self._beside(Path(folder)), parents[0], head)
        found = self.tree_of(commit)
        if found == wanted:
            return None
        return f"the merge {commit[:12]} has the tree {found[:12]}, merging {head[:12]} gives {wanted[:12]}"

    def _beside(self, folder: Path) -> Clone:
        """An empty repository that reads this one's objects: what a merge writes goes there, and away with it."""
        other = Clone(self.spec, folder)
        other.git.run("init", "--quiet", "--bare", "--template=", "--initial-branch=none")
        (folder / "objects" / "info").mkdir(parents=True, exist_ok=True)
        objects = self.git.line("rev-parse", "--path-format=absolute", "--git-path", "objects")
        (folder / "objects" / "info" / "alternates").write_text(f"{objects}\n", encoding="utf-8")
        return other

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
