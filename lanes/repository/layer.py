"""Imports the upper layer of an overlayfs mount: the changes that a program made on top of read-only files.

The time depends on the size of the change, not of the repository. In the kernel's format
(Documentation/filesystems/overlayfs.rst), a character device 0/0 marks a deleted path, and a folder whose attribute
``trusted.overlay.opaque`` (``user.`` for mounts without root) is ``y`` hides all entries of the lower folder.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lanes.filetree.walk import TreeEntry, open_folder, open_parent, open_subfolder
from lanes.repository.git_names import check_oid
from lanes.repository.running import GitError
from lanes.repository.scratch import ScratchFolder
from lanes.repository.store import Store
from lanes.repository.tree_listing import list_paths
from lanes.repository.worktree import Bounds, blocked, check_entry, import_problem, walk_within

_GITIGNORE: Final = b".gitignore"


@dataclass(slots=True)
class _LayerMarks:
    """The marks of a layer: deleted paths, and folders that hide the lower folder's entries; and all its folders."""

    deleted: list[bytes] = field(default_factory=list)
    opaque: list[bytes] = field(default_factory=list)
    folders: list[bytes] = field(default_factory=list)


def take_layer(store: Store, layer: Path, start: str, bounds: Bounds | None = None) -> str:
    """The tree `start` with the changes in the folder `layer`.

    As in `worktree.import_tree`, ignored files that are not in `start` are left out, and files that git must not store
    raise `PermanentError`. No process may write to `layer` meanwhile; the import changes the folder.
    """
    marks = _read_marks(layer, bounds or Bounds())
    entries = list_paths(store, start)
    deleted, opaque = set(marks.deleted), set(marks.opaque)
    hidden = {path for path in entries if _is_hidden(path, deleted, opaque)}
    with open_folder(layer) as root:
        for path in marks.deleted:
            with open_parent(root, path) as (parent, name):
                os.unlink(name, dir_fd=parent)
    with ScratchFolder(store) as folder:
        environment = {"GIT_INDEX_FILE": str(folder / "index"), "GIT_WORK_TREE": str(layer)}
        store.git.run("read-tree", check_oid(start), environment=environment)
        lines = b"".join(b"0 %s\t%s\0" % (b"0" * 40, path) for path in hidden)
        store.git.run("update-index", "-z", "--index-info", stdin=lines, environment=environment)
        _copy_gitignores(store, layer, marks, {path: entry for path, entry in entries.items() if path not in hidden})
        try:
            store.git.run("add", "--ignore-removal", "--", ".", environment=environment, cwd=layer, timeout_s=900.0)
        except GitError as failure:
            if (problem := import_problem(failure)) is None:
                raise
            raise problem from failure
        return store.git.line("write-tree", environment=environment)


def _read_marks(layer: Path, bounds: Bounds) -> _LayerMarks:
    """Read the layer's marks; raises `PermanentError` for the first entry that must not be imported."""
    marks, entries, total = _LayerMarks(), 0, 0
    for path, entry in walk_within(layer, bounds):
        entries += 1
        if stat.S_ISCHR(entry.status.st_mode) and entry.status.st_rdev == 0:
            marks.deleted.append(path)
            continue
        check_entry(path, os.fsencode(entry.name), entry.status)
        if entry.is_folder:
            marks.folders.append(path)
            if _is_opaque(entry):
                marks.opaque.append(path)
        else:
            total += entry.status.st_size
        if entries > bounds.entries or total > bounds.bytes:
            raise blocked("too_large", f"The result has more than {bounds.entries} files or {bounds.bytes} bytes")
    return marks


def _is_opaque(entry: TreeEntry) -> bool:
    """True if the folder has the attribute that our mount reads; the program can set the other one, without effect."""
    namespace = "trusted" if os.geteuid() == 0 else "user"
    with open_subfolder(entry.parent, entry.name) as folder:
        try:
            return os.getxattr(folder, f"{namespace}.overlay.opaque") == b"y"
        except OSError:  # no such attribute
            return False


def _is_hidden(path: bytes, deleted: AbstractSet[bytes], opaque: AbstractSet[bytes]) -> bool:
    """True if the layer deletes `path`, or hides it."""
    ancestors = {path, *(path[:n] for n, char in enumerate(path) if char == ord("/"))}
    return not ancestors.isdisjoint(deleted) or not (ancestors - {path}).isdisjoint(opaque)


def _copy_gitignores(store: Store, layer: Path, marks: _LayerMarks, entries: dict[bytes, tuple[str, str]]) -> None:
    """Copy the lower ``.gitignore`` files into the layer's folders, where git looks for them."""
    with open_folder(layer) as root:
        for folder in [b"", *marks.folders]:
            path = folder + b"/" + _GITIGNORE if folder else _GITIGNORE
            mode, oid = entries.get(path, ("", ""))
            if not mode.startswith("100"):
                continue
            with open_parent(root, path) as (parent, name), contextlib.suppress(FileExistsError):
                new = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=parent)
                with os.fdopen(new, "wb") as file:
                    file.write(store.git.run("cat-file", "blob", oid).out)
