"""Lists the files of a tree in a store."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from core.model.change import FOLDER
from core.model.errors import Kind, PermanentError
from lanes.repository.command import MIB
from lanes.repository.git_names import check_oid
from lanes.repository.running import GitFloodError
from lanes.repository.store import Store

MAX_LISTED: Final = 1_000_000
"""The most files of a tree that are listed: trees that contain the same subtree ten times over reach 10^10 files."""
_LIST_BYTES: Final = 128 * MIB


def list_paths(store: Store, tree: str) -> dict[bytes, tuple[str, str]]:
    """The mode and object id of every path of a tree; raises `PermanentError` for more than `MAX_LISTED` files."""
    paths: dict[bytes, tuple[str, str]] = {}
    for record in list_records(store, tree):
        meta, _, path = record.partition(b"\t")
        mode, _, oid = meta.decode("ascii").split(" ")
        paths[path] = (mode, oid)
    return paths


def list_records(store: Store, tree: str, *options: str) -> list[bytes]:
    """The ``ls-tree`` record of each file of a tree; raises `PermanentError` early for more than `MAX_LISTED`."""
    store.ensure()
    argv = ("ls-tree", "-r", "-z", "--full-tree", *options, check_oid(tree))
    try:
        out = store.git.run(*argv, limit_bytes=_LIST_BYTES, limit_records=MAX_LISTED).out
    except GitFloodError as failure:
        size = f"more than {MAX_LISTED} files, or paths of more than {_LIST_BYTES // MIB} MiB"
        mend = "Remove the largest folders from the repository; `git ls-tree -r` lists its files."
        problem = f"A tree of the repository {store.spec.name} has {size}"
        raise PermanentError("too_large", problem, mend, kind=Kind.BLOCKED) from failure
    return out.split(b"\0")[:-1]


def list_neighbours(store: Store, tree: str, paths: Collection[bytes]) -> dict[bytes, str]:
    """The mode of every entry directly in a folder above one of `paths`, the root folder included, by path."""
    parents = {b""}.union(*map(_folders_above, paths))
    neighbours: dict[bytes, str] = {}
    for record in list_records(store, tree):
        meta, _, path = record.partition(b"\t")
        for folder in _folders_above(path):
            neighbours[folder] = FOLDER
            if folder not in parents:
                break
        else:
            neighbours[path] = meta[:6].decode("ascii")
    return neighbours


def _folders_above(path: bytes) -> Iterator[bytes]:
    """The folders that contain `path`, outermost first, without the root folder."""
    end = path.find(b"/")
    while end >= 0:
        yield path[:end]
        end = path.find(b"/", end + 1)
