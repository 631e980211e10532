"""The host's own git: the `Repository` port over a pristine store, and what executors and forges need beside it."""

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
from lanes.repository import merging, trees, worktree
from lanes.repository.credentials import Credentials
from lanes.repository.faults import explain
from lanes.repository.layer import take_layer
from lanes.repository.pristine import Pristine
from lanes.repository.running import GitError
from lanes.repository.store import Store
from lanes.repository.view import TreeView
from lanes.repository.worktree import Bounds

__all__ = ["Bounds", "Credentials", "GitRepository", "Rewrite", "TreeView", "as_git", "guarded"]

P = ParamSpec("P")
T = TypeVar("T")


class Rewrite(Protocol):
    """What is to change in a tree: new contents, removed paths, and modes of paths that are written."""

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
    """One configured repository in a bare git store under `root`; the store is made and filled on first use.

    `credentials` give the token for a private https remote, each time git needs it.
    """

    def __init__(self, spec: RepositorySpec, root: Path, credentials: Credentials | None = None) -> None:
        self.spec = spec
        self.store = Store(spec, root, credentials)

    async def fetch_base(self) -> str:
        """The commit id of the remote's default branch now, with its objects here."""
        return await self._do(self.store.fetch_base)

    async def change(self, base: str, tree: str) -> Change:
        """What differs between commit `base` and tree `tree`; refuses what is too large to judge."""
        return await self._do(trees.compare, self.store, base, tree)

    async def read_blob(self, oid: str) -> bytes:
        """A blob's bytes."""
        return await self._do(self.store.read_blob, oid)

    async def paths(self, commit: str) -> Sequence[str]:
        """The paths of a commit's files, odd characters shown."""
        found = await self._do(trees.list_paths, self.store, await self.tree_of(commit))
        return [show_path(path) for path in sorted(found)]

    async def read_path(self, commit: str, path: str) -> bytes | None:
        """The content of a commit's file, None when there is no such file."""
        return await self._do(self._read_path, commit, path)

    def _read_path(self, commit: str, path: str) -> bytes | None:
        with TreeView(self.store, self.store.tree_of(commit)) as view:
            return view.read(path)

    async def tree_of(self, commit: str) -> str:
        """The tree of a commit."""
        return await self._do(self.store.tree_of, commit)

    async def has(self, oid: str) -> bool:
        """True if the object, and all it reaches, is here."""
        return await self._do(self.store.has, oid)

    async def beside(self, tree: str, paths: Collection[bytes]) -> Mapping[bytes, str]:
        """What lies directly in the folders of `tree` that are above `paths`, the top included, path to mode."""
        return await self._do(trees.beside, self.store, tree, paths)

    async def diff_text(self, base: str, tree: str) -> bytes:
        """A unified diff for showing; nothing is decided on it."""
        return await self._do(trees.diff_text, self.store, base, tree)

    async def write_commit(self, commit: Commit) -> str:
        """Write the commit object; the same `commit` gives the same id."""
        return await self._do(self.store.write_commit, commit)

    async def keep(self, name: str, commit: str) -> None:
        """Hold `commit` under ``refs/countersign/<name>``."""
        await self._do(self.store.keep, name, commit)

    async def kept(self, name: str) -> tuple[str, ...]:
        """The commits held under ``refs/countersign/<name>/``."""
        return await self._do(self.store.kept, name)

    async def pack(self, base: str, tree: str) -> bytes:
        """The objects of `tree` that `base` lacks, as a thin pack."""
        return await self._do(self.store.pack, [tree], [base])

    async def unpack(self, pack: bytes) -> None:
        """Add the objects of a pack that `pack` made."""
        await self._do(self.store.unpack, pack)

    async def revert(self, commit: str, onto: str) -> str:
        """The tree of `onto` with the change of `commit` taken back."""
        return await self._do(merging.revert, self.store, commit, onto)

    # -- for executors ------------------------------------------------------------------------------------------

    async def list_paths(self, tree: str) -> dict[bytes, tuple[str, str]]:
        """Every path of a tree, to its mode and object id."""
        return await self._do(trees.list_paths, self.store, tree)

    async def read_files(self, tree: str, paths: Sequence[str], limit_bytes: int) -> dict[str, bytes]:
        """The contents of those of `paths` in a tree that are no larger than `limit_bytes`, in one reading."""
        return await self._do(self._read_files, tree, paths, limit_bytes)

    def _read_files(self, tree: str, paths: Sequence[str], limit_bytes: int) -> dict[str, bytes]:
        with TreeView(self.store, tree) as view:
            found = ((path, view.read_up_to(path, limit_bytes)) for path in paths)
            return {path: content for path, content in found if content is not None}

    async def write_tree(
        self, start: str, writes: Mapping[str, bytes], deletes: Iterable[str], modes: Mapping[str, str]
    ) -> str:
        """The tree `start` with some files written, deleted or given a mode; no checkout is made."""
        return await self._do(trees.write_tree, self.store, start, writes, deletes, modes)

    async def rewrite(self, start: str, work: Callable[[TreeView], Rewrite]) -> str:
        """The tree that `work` makes of `start`; it reads in a thread of its own, and nothing is checked out."""
        return await self._do(self._rewrite, start, work)

    def _rewrite(self, start: str, work: Callable[[TreeView], Rewrite]) -> str:
        with TreeView(self.store, start) as view:
            made = work(view)
        return trees.write_tree(self.store, start, made.writes, made.deletes, made.modes)

    async def export(self, tree: str, directory: Path) -> None:
        """Write the files of `tree` into an empty folder."""
        await self._do(worktree.export, self.store, tree, directory)

    async def import_tree(self, directory: Path, start: str, bounds: Bounds | None = None) -> str:
        """The tree of the files in `directory`, which began as `start`."""
        return await self._do(worktree.import_tree, self.store, directory, start, bounds)

    async def lease(self, stack: ExitStack, tree: str, root: Path, owner: int | None) -> Path | None:
        """A folder that holds exactly `tree` until `stack` is closed, for many to read; None while it is busy."""
        return await self._do(self._lease, stack, tree, root, owner)

    def _lease(self, stack: ExitStack, tree: str, root: Path, owner: int | None) -> Path | None:
        self.store.ensure()
        return stack.enter_context(Pristine(self.store, root, owner).leased(tree))

    async def take_layer(self, directory: Path, start: str, bounds: Bounds | None = None) -> str:
        """The tree of `start` with what the layer in `directory` changes of it."""
        return await self._do(take_layer, self.store, directory, start, bounds)

    async def write_root(self, tree: str, message: str, at: datetime) -> str:
        """Write a commit without parents; the same arguments give the same id."""
        return await self._do(self.store.commit_tree, tree, [], message, int(at.timestamp()))

    async def default_branch(self) -> str:
        """The branch that the remote's HEAD names."""
        return await self._do(self.store.default_branch)

    # -- for forges ---------------------------------------------------------------------------------------------

    async def remote_refs(self, *refs: str) -> dict[str, str]:
        """What the remote has under these full names."""
        return await self._do(self.store.remote_refs, *refs)

    async def push(self, ref: str, commit: str, expected: str | None) -> bool:
        """Move the remote's `ref` from `expected` to `commit`; False if it is elsewhere."""
        return await self._do(self.store.push, ref, commit, expected)

    async def _do(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(guarded, self.spec.name, lambda: work(*args, **kwargs))


def guarded(name: str, work: Callable[[], T]) -> T:
    """The result of `work`; git's and the disk's failures become errors about the repository `name`."""
    try:
        return work()
    except GitError as failure:
        raise explain(failure, name) from failure
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            mend = "Make room on the disk that holds the state folder."
            raise TransientError("disk_full", "The disk is full", mend, retry_after_s=60) from error
        raise


def as_git(repository: Repository) -> GitRepository:
    """`repository` as the git store it is; executors and forges here work with nothing else."""
    if not isinstance(repository, GitRepository):
        raise TypeError(f"{type(repository).__name__} is no git store")
    return repository
