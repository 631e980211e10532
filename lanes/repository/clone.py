"""Reads any clone on this host, so that verification needs neither the network nor our own store."""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from core.model.change import Change
from core.model.errors import NotFoundError
from core.ports.repository import Repository, RepositorySpec
from lanes.repository import as_git, guarded, merging
from lanes.repository.command import GitCommand, check_git
from lanes.repository.git_names import check_branch, check_oid
from lanes.repository.store import Store
from lanes.repository.tree_comparison import compare_trees
from lanes.repository.tree_writing import write_tree

_LANDED: Final = "%H%x1f%P%x1f%ct%x1f%an%x1f%s"
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""The object id of the empty tree, which every git repository has."""


@dataclass(frozen=True, slots=True)
class LandedCommit:
    """A commit on a branch's own line: its parents, when it was committed, its author's name and its first line."""

    id: str
    parents: tuple[str, ...]
    at: datetime
    author: str
    subject: str

    @classmethod
    def parse(cls, line: bytes) -> LandedCommit:
        """The commit of a line in the format `_LANDED`."""
        oid, parents, at, author, subject = line.decode("utf-8", "replace").split("\x1f", 4)
        return cls(oid, tuple(parents.split()), datetime.fromtimestamp(int(at), UTC), author, subject)


class Clone(Store):
    """A git repository of other people: it is never written to, and its configuration runs no program."""

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
        git = as_git(repository)
        chosen = path or git.remote.address.path or git.store.path
        if not any((folder / "HEAD").exists() for folder in (chosen / ".git", chosen)):
            raise NotFoundError("no_clone", f"{chosen} is not a git repository", "Name a clone with --repo-path.")
        return cls(git.spec, chosen)

    async def tip_of(self, branch: str) -> str | None:
        """The commit of `branch` in this clone, as a local or a remote branch; None when there is no such branch."""
        return await asyncio.to_thread(guarded, self.spec.name, lambda: self._tip_of(check_branch(branch)))

    def _tip_of(self, branch: str) -> str | None:
        commits = self.git.line(
            "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}", f"refs/remotes/*/{branch}"
        )
        return commits.split("\n")[0] or None

    async def tree_at(self, commit: str) -> str:
        """The tree of `commit`; raises `NotFoundError` when the clone does not have it."""
        if not await asyncio.to_thread(guarded, self.spec.name, lambda: self.has(commit)):
            raise NotFoundError("no_commit", f"{self.path} does not have the commit {commit[:12]}", "Fetch it first.")
        return await asyncio.to_thread(guarded, self.spec.name, lambda: self.tree_of(commit))

    async def parents_of(self, commit: str) -> tuple[str, ...]:
        """The parents that `commit` names."""
        return await asyncio.to_thread(guarded, self.spec.name, lambda: self._parents_of(commit))

    def _parents_of(self, commit: str) -> tuple[str, ...]:
        head = self.git.run("cat-file", "commit", check_oid(commit)).out.split(b"\n\n", 1)[0]
        return tuple(line[7:].decode() for line in head.split(b"\n") if line.startswith(b"parent "))

    async def reaches(self, commit: str, tip: str) -> bool:
        """True if the clone has `commit` and it is `tip` or an ancestor of it."""
        return await asyncio.to_thread(guarded, self.spec.name, lambda: self._reaches(commit, tip))

    def _reaches(self, commit: str, tip: str) -> bool:
        if self.git.run("cat-file", "-e", f"{check_oid(commit)}^{{commit}}", ok=(0, 1, 128)).code:
            return False
        return self.git.run("merge-base", "--is-ancestor", check_oid(commit), check_oid(tip), ok=(0, 1)).code == 0

    async def landed(self, tip: str, since: datetime) -> tuple[LandedCommit, ...]:
        """The commits that came onto the branch of `tip` from `since` on, by its first parents, oldest first.

        Times are the committers' own word, as git stores them.
        """
        return await asyncio.to_thread(guarded, self.spec.name, lambda: self._landed(tip, since))

    def _landed(self, tip: str, since: datetime) -> tuple[LandedCommit, ...]:
        options = ("--first-parent", "--reverse", "--no-commit-header", f"--format=tformat:{_LANDED}%x00")
        found = self.git.run("rev-list", *options, f"--since={int(since.timestamp())}", check_oid(tip)).out
        lines = (line.lstrip(b"\n") for line in found.split(b"\0"))
        return tuple(LandedCommit.parse(line) for line in lines if line)

    async def merge_problem(self, commit: str, head: str) -> str | None:
        """Why `commit` differs from a merge, squash or rebase of `head`; None when it does not."""
        return await asyncio.to_thread(guarded, self.spec.name, lambda: self._merge_problem(commit, head))

    def _merge_problem(self, commit: str, head: str) -> str | None:
        if commit == head:
            return None
        parents = self._parents_of(commit)
        if not parents or len(parents) > 2 or (len(parents) == 2 and parents[1] != head):
            return f"the merge {commit[:12]} does not merge {head[:12]} alone"
        with tempfile.TemporaryDirectory(prefix="countersign-") as folder:
            expected = merging.merge(self._overlay(Path(folder)), parents[0], head)
        actual = self.tree_of(commit)
        if actual == expected:
            return None
        return f"the merge {commit[:12]} has the tree {actual[:12]}, and merging {head[:12]} gives {expected[:12]}"

    def _overlay(self, folder: Path) -> Clone:
        """An empty repository in `folder` that reads this clone's objects and takes what a merge writes."""
        overlay = Clone(self.spec, folder)
        overlay.git.run("init", "--quiet", "--bare", "--template=", "--initial-branch=none")
        (folder / "objects" / "info").mkdir(parents=True, exist_ok=True)
        objects = self.git.line("rev-parse", "--path-format=absolute", "--git-path", "objects")
        (folder / "objects" / "info" / "alternates").write_text(f"{objects}\n", encoding="utf-8")
        return overlay

    async def change(self, base: str, tree: str) -> Change:
        """The change from commit `base` to `tree`, computed from this clone's objects."""
        return await asyncio.to_thread(guarded, self.spec.name, lambda: compare_trees(self, base, tree))


def make_bare(spec: RepositorySpec, files: dict[str, bytes], message: str) -> str:
    """Create a bare repository at the spec's address with one commit of `files` on its branch; the commit's id."""
    check_git()
    path = Path(spec.url)
    path.mkdir(parents=True, exist_ok=True)
    bare = Clone(spec, path)
    bare.git.run("init", "--quiet", "--bare", "--template=", f"--initial-branch={check_branch(spec.branch)}")
    tree = write_tree(bare, EMPTY_TREE, files, (), {})
    commit = bare.commit_tree(tree, [], message, round(time.time()))
    bare.git.run("update-ref", f"refs/heads/{spec.branch}", commit)
    return commit
