"""`GitRepository`: the `Repository` port over a bare git store, plus the methods that executors and forges need."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

from core.model.change import Change, show_path
from core.model.errors import TransientError
from core.ports.repository import Commit, Repository, RepositorySpec
from lanes.repository import merging, worktree
from lanes.repository.credentials import Credentials
from lanes.repository.faults import explain
from lanes.repository.layer import take_layer
from lanes.repository.pristine import Pristine
from lanes.repository.remote import Remote
from lanes.repository.running import GitError
from lanes.repository.store import Store
from lanes.repository.tree_comparison import compare_trees, diff_text
from lanes.repository.tree_listing import list_neighbours, list_paths
from lanes.repository.tree_writing import write_tree
from lanes.repository.view import TreeView
from lanes.repository.worktree import Bounds

__all__ = ["Bounds", "Credentials", "GitRepository", "TreeChanges", "TreeView", "as_git", "guarded"]

P = ParamSpec("P")
T = TypeVar("T")


class TreeChanges(Protocol):
    """Changes of a tree: new contents, removed paths, and modes of written paths."""

    @property
    def writes(self) -> Mapping[str, bytes]:
        """Contents by path."""

    @property
    def deletes(self) -> Iterable[str]:
        """Removed paths."""

    @property
    def modes(self) -> Mapping[str, str]:
        """git modes by path."""


class GitRepository:
    """A configured repository in a bare git store below `root`; the store is created and filled on first use.

    `credentials` give the token of a private https remote each time git needs it.
    """

    def __init__(self, spec: RepositorySpec, root: Path, credentials: Credentials | None = None) -> None:
        self.spec = spec
        self.store = Store(spec, root)
        self.remote = Remote(self.store, credentials)

    async def fetch_base(self) -> str:
        """Fetch the remote's default branch; its commit id."""
        return await self._do(self.remote.fetch_base)

    async def change(self, base: str, tree: str) -> Change:
        """The change from commit `base` to tree `tree`; raises `PermanentError` for one that is too large to check."""
        return await self._do(compare_trees, self.store, base, tree)

    async def read_blob(self, oid: str) -> bytes:
        """A blob's bytes."""
        return await self._do(self.store.read_blob, oid)

    async def paths(self, commit: str) -> Sequence[str]:
        """The paths of a commit's files, with unusual characters escaped."""
        paths = await self._do(list_paths, self.store, await self.tree_of(commit))
        return [show_path(path) for path in sorted(paths)]

    async def read_path(self, commit: str, path: str) -> bytes | None:
        """The content of a file of a commit; None when there is no such file."""
        return await self._do(self._read_path, commit, path)

    def _read_path(self, commit: str, path: str) -> bytes | None:
        with TreeView(self.store, self.store.tree_of(commit)) as view:
            return view.read(path)

    async def tree_of(self, commit: str) -> str:
        """The tree of a commit."""
        return await self._do(self.store.tree_of, commit)

    async def has(self, oid: str) -> bool:
        """True if the store has the object and all objects that it reaches."""
        return await self._do(self.store.has, oid)

    async def beside(self, tree: str, paths: Collection[bytes]) -> Mapping[bytes, str]:
        """The mode of every entry directly in a folder above one of `paths`, the root folder included, by path."""
        return await self._do(list_neighbours, self.store, tree, paths)

    async def diff_text(self, base: str, tree: str) -> bytes:
        """A unified diff, for display only."""
        return await self._do(diff_text, self.store, base, tree)

    async def write_commit(self, commit: Commit) -> str:
        """Write the commit object; the same `commit` gives the same id."""
        return await self._do(self.store.write_commit, commit)

    async def keep(self, name: str, commit: str) -> None:
        """Point ``refs/countersign/<name>`` at `commit`, so that git does not remove its objects."""
        await self._do(self.store.keep, name, commit)

    async def kept(self, name: str) -> tuple[str, ...]:
        """The commits below ``refs/countersign/<name>/``."""
        return await self._do(self.store.kept, name)

    async def pack(self, base: str, tree: str) -> bytes:
        """The objects of `tree` that `base` lacks, as a thin pack."""
        return await self._do(self.store.pack, [tree], [base])

    async def unpack(self, pack: bytes) -> None:
        """Add the objects of a pack from `pack`."""
        await self._do(self.store.unpack, pack)

    async def parent_of(self, commit: str) -> str:
        """The first parent of a commit; raises `PermanentError` for one without parents."""
        return await self._do(self.store.first_parent, commit)

    async def merged_tree(self, onto: str, head: str) -> str:
        """The tree of merging commit `head` into commit `onto`; raises `ConflictError` with the paths that conflict."""
        return await self._do(merging.merge, self.store, onto, head)

    async def revert(self, commit: str, onto: str) -> str:
        """The tree of `onto` with the change of `commit` reverted."""
        return await self._do(merging.revert, self.store, commit, onto)

    # -- for executors ------------------------------------------------------------------------------------------

    async def list_paths(self, tree: str) -> dict[bytes, tuple[str, str]]:
        """The mode and object id of every path of a tree."""
        return await self._do(list_paths, self.store, tree)

    async def read_files(self, tree: str, paths: Sequence[str], limit_bytes: int) -> dict[str, bytes]:
        """The contents of those `paths` of a tree that have at most `limit_bytes`, by path."""
        return await self._do(self._read_files, tree, paths, limit_bytes)

    def _read_files(self, tree: str, paths: Sequence[str], limit_bytes: int) -> dict[str, bytes]:
        with TreeView(self.store, tree) as view:
            contents = ((path, view.read_up_to(path, limit_bytes)) for path in paths)
            return {path: content for path, content in contents if content is not None}

    async def write_tree(
        self, start: str, writes: Mapping[str, bytes], deletes: Iterable[str], modes: Mapping[str, str]
    ) -> str:
        """The tree `start` with files written, deleted or given a mode, without a checkout."""
        return await self._do(write_tree, self.store, start, writes, deletes, modes)

    async def rewrite(self, start: str, work: Callable[[TreeView], TreeChanges]) -> str:
        """The tree `start` with the changes that `work` returns; `work` runs in a thread, without a checkout."""
        return await self._do(self._rewrite, start, work)

    def _rewrite(self, start: str, work: Callable[[TreeView], TreeChanges]) -> str:
        with TreeView(self.store, start) as view:
            changes = work(view)
        return write_tree(self.store, start, changes.writes, changes.deletes, changes.modes)

    async def export(self, tree: str, directory: Path) -> None:
        """Write the files of `tree` into an empty folder."""
        await self._do(worktree.export, self.store, tree, directory)

    async def import_tree(self, directory: Path, start: str, bounds: Bounds | None = None) -> str:
        """The tree of the files in `directory`, which was exported from `start`."""
        return await self._do(worktree.import_tree, self.store, directory, start, bounds)

    async def lease(self, stack: ExitStack, tree: str, root: Path, owner: int | None) -> Path | None:
        """A shared read-only folder with the files of `tree`, until `stack` is closed; None while it is in use."""
        return await self._do(self._lease, stack, tree, root, owner)

    def _lease(self, stack: ExitStack, tree: str, root: Path, owner: int | None) -> Path | None:
        self.store.ensure()
        return stack.enter_context(Pristine(self.store, root, owner).leased(tree))

    async def take_layer(self, directory: Path, start: str, bounds: Bounds | None = None) -> str:
        """The tree `start` with the changes of the overlayfs layer in `directory`."""
        return await self._do(take_layer, self.store, directory, start, bounds)

    async def write_root(self, tree: str, message: str, at: datetime) -> str:
        """Write a commit without parents; the same arguments give the same id."""
        return await self._do(self.store.commit_tree, tree, [], message, int(at.timestamp()))

    async def default_branch(self) -> str:
        """The branch that the remote's HEAD names."""
        return await self._do(self.remote.default_branch)

    # -- for forges ---------------------------------------------------------------------------------------------

    async def remote_refs(self, *refs: str) -> dict[str, str]:
        """The object ids of the remote's references with these full names."""
        return await self._do(self.remote.refs, *refs)

    async def push(self, ref: str, commit: str, expected: str | None) -> bool:
        """Move the remote's `ref` from `expected` to `commit`; False if the ref is not at `expected`."""
        return await self._do(self.remote.push, ref, commit, expected)

    async def _do(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(guarded, self.spec.name, lambda: work(*args, **kwargs))


def guarded(name: str, work: Callable[[], T]) -> T:
    """The result of `work`; failures of git and a full disk become errors that name the repository."""
    try:
        return work()
    except GitError as failure:
        raise explain(failure, name) from failure
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            mend = "Free space on the disk that holds the state folder."
            raise TransientError("disk_full", "The disk is full", mend, retry_after_s=60) from error
        raise


def as_git(repository: Repository) -> GitRepository:
    """`repository` as a `GitRepository`, which executors and forges need; raises `TypeError` for another kind."""
    if not isinstance(repository, GitRepository):
        raise TypeError(f"{type(repository).__name__} is not a git repository")
    return repository
