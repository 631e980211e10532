"""Repositories: the host's own git store of each repository that the configuration names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.model.change import Change


@dataclass(frozen=True, slots=True)
class RepositorySpec:
    """A repository that the configuration names. `id` is its name in digests and receipts; it never changes.

    `forge_id` is the forge's own immutable number, by which a renamed or transferred one is noticed (security.md 71).
    """

    name: str
    id: str
    url: str
    branch: str
    forge: str
    forge_id: int | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit to write: everything that its object id depends on, so that writing it twice gives the same id."""

    tree: str
    parent: str
    message: str
    at: datetime


class Repository(Protocol):
    """The host's own pristine git store of one repository; every method may raise `TransientError`."""

    spec: RepositorySpec

    async def fetch_base(self) -> str:
        """Fetch the remote's default branch; returns its commit id."""

    async def change(self, base: str, tree: str) -> Change:
        """What differs between commit `base` and tree `tree`, from git's raw tree comparison."""

    async def read_blob(self, oid: str) -> bytes:
        """A blob's bytes."""

    async def paths(self, commit: str) -> Sequence[str]:
        """The paths of a commit's files, sorted and with odd characters escaped; for people and models to read."""

    async def read_path(self, commit: str, path: str) -> bytes | None:
        """The content of a commit's file, or None if there is no such file."""

    async def tree_of(self, commit: str) -> str:
        """The tree of a commit."""

    async def has(self, oid: str) -> bool:
        """True if the store has the object and everything that it refers to."""

    async def beside(self, tree: str, paths: Collection[bytes]) -> Mapping[bytes, str]:
        """The entries of the folders of `tree` that are above `paths`, the top included, as path to mode."""

    async def diff_text(self, base: str, tree: str) -> bytes:
        """A unified diff for display; nothing is decided on it."""

    async def write_commit(self, commit: Commit) -> str:
        """Write the commit object; the same `commit` gives the same id."""

    async def keep(self, name: str, commit: str) -> None:
        """Refer to `commit` as ``refs/countersign/<name>``, which protects it from git's garbage collection."""

    async def kept(self, name: str) -> tuple[str, ...]:
        """The commits that have a reference under ``refs/countersign/<name>/``."""

    async def pack(self, base: str, tree: str) -> bytes:
        """The objects of `tree` that `base` lacks, as a thin pack that another host can `unpack`."""

    async def unpack(self, pack: bytes) -> None:
        """Add the objects of a pack that `pack` returned."""

    async def parent_of(self, commit: str) -> str:
        """The first parent of a commit; raises `PermanentError` for one without parents."""

    async def merged_tree(self, onto: str, head: str) -> str:
        """The tree of merging commit `head` into commit `onto`, as git merges lines; raises `ConflictError`."""

    async def revert(self, commit: str, onto: str) -> str:
        """The tree of `onto` with the change of `commit` reverted; raises `PermanentError` on a conflict."""
