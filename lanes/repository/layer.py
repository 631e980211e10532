"""A layer: what a program changed on top of files that it could not write, as overlayfs leaves it.

Taking a layer in costs what was changed, not what the repository holds. The kernel's words for it
(Documentation/filesystems/overlayfs.rst): a character device 0/0 stands for a path that was deleted, and a folder
whose attribute ``trusted.overlay.opaque`` (``user.`` for mounts without root) is ``y`` hides all that was beneath.
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
from lanes.repository.running import GitError
from lanes.repository.store import Store, check_oid
from lanes.repository.trees import list_paths, scratch
from lanes.repository.worktree import Bounds, blocked, check_entry, inspected, refusal

_IGNORING: Final = b".gitignore"


@dataclass(slots=True)
class _Found:
    """What a layer says, beside the files in it: paths that are gone, and folders that hide what was beneath."""

    gone: list[bytes] = field(default_factory=list)
    opaque: list[bytes] = field(default_factory=list)
    folders: list[bytes] = field(default_factory=list)


def take_layer(store: Store, layer: Path, start: str, bounds: Bounds | None = None) -> str:
    """The tree of `start` with what the folder `layer` changes of it.

    As `worktree.import_tree`: ignored files that are not in `start` stay out, and what git must not hold is refused
    with `PermanentError`. Nothing may write to `layer` meanwhile; it is ours afterwards, and changed.
    """
    found = _read(layer, bounds or Bounds())
    listed = list_paths(store, start)
    gone, opaque = set(found.gone), set(found.opaque)
    hidden = {path for path in listed if _is_below(path, gone, opaque)}
    with open_folder(layer) as root:
        for path in found.gone:
            with open_parent(root, path) as (parent, name):
                os.unlink(name, dir_fd=parent)
    with scratch(store) as folder:
        where = {"GIT_INDEX_FILE": str(folder / "index"), "GIT_WORK_TREE": str(layer)}
        store.git.run("read-tree", check_oid(start), environment=where)
        lines = b"".join(b"0 %s\t%s\0" % (b"0" * 40, path) for path in hidden)
        store.git.run("update-index", "-z", "--index-info", stdin=lines, environment=where)
        _lay_ignoring(store, layer, found, {path: entry for path, entry in listed.items() if path not in hidden})
        try:
            store.git.run("add", "--ignore-removal", "--", ".", environment=where, cwd=layer, timeout_s=900.0)
        except GitError as failure:
            if (problem := refusal(failure)) is None:
                raise
            raise problem from failure
        return store.git.line("write-tree", environment=where)


def _read(layer: Path, bounds: Bounds) -> _Found:
    """Walk without following a link; raise for the first thing that may not come in."""
    found, entries, total = _Found(), 0, 0
    for path, entry in inspected(layer, bounds):
        entries += 1
        if stat.S_ISCHR(entry.status.st_mode) and entry.status.st_rdev == 0:
            found.gone.append(path)
            continue
        check_entry(path, os.fsencode(entry.name), entry.status)
        if entry.is_folder:
            found.folders.append(path)
            if _is_opaque(entry):
                found.opaque.append(path)
        else:
            total += entry.status.st_size
        if entries > bounds.entries or total > bounds.bytes:
            raise blocked("too_large", f"The work left more than {bounds.entries} files or {bounds.bytes} bytes behind")
    return found


def _is_opaque(entry: TreeEntry) -> bool:
    """By the attribute that our mount reads: the other one is the program's to write, and hides nothing from it."""
    space = "trusted" if os.geteuid() == 0 else "user"
    with open_subfolder(entry.parent, entry.name) as folder:
        try:
            return os.getxattr(folder, f"{space}.overlay.opaque") == b"y"
        except OSError:  # no such attribute
            return False


def _is_below(path: bytes, gone: AbstractSet[bytes], opaque: AbstractSet[bytes]) -> bool:
    """Whether something in the layer hides `path`."""
    above = {path, *(path[:n] for n, char in enumerate(path) if char == ord("/"))}
    return not above.isdisjoint(gone) or not (above - {path}).isdisjoint(opaque)


def _lay_ignoring(store: Store, layer: Path, found: _Found, listed: dict[bytes, tuple[str, str]]) -> None:
    """Put the ``.gitignore`` files beneath into the layer's own folders, so that git reads there what is ignored."""
    with open_folder(layer) as root:
        for folder in [b"", *found.folders]:
            path = folder + b"/" + _IGNORING if folder else _IGNORING
            mode, oid = listed.get(path, ("", ""))
            if not mode.startswith("100"):
                continue
            with open_parent(root, path) as (parent, name), contextlib.suppress(FileExistsError):
                new = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=parent)
                with os.fdopen(new, "wb") as file:
                    file.write(store.git.run("cat-file", "blob", oid).out)
