"""Exports a tree to a folder and imports a folder as a tree, byte for byte, with no git directory in the folder."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.model.change import show_path
from core.model.errors import Kind, PermanentError
from lanes.filetree.usage import measure
from lanes.filetree.walk import TreeEntry, TreeWalk
from lanes.repository.command import MIB
from lanes.repository.faults import last_words
from lanes.repository.git_names import check_oid
from lanes.repository.running import GitError
from lanes.repository.scratch import ScratchFolder
from lanes.repository.store import Store
from lanes.repository.tree_listing import list_records

_TIMEOUT_S: Final = 900.0
PATH_BYTES: Final = 4000
NAME_BYTES: Final = 255
"""The longest path below a folder, and the longest name in it; at or below PATH_MAX and NAME_MAX of the kernel."""
_IGNORABLE: Final = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of an import: the number of entries of any kind, the sum of file sizes, and the depth of folders."""

    entries: int = 300_000
    bytes: int = 1024 * MIB
    depth: int = 200


def bounds_above(directory: Path) -> Bounds:
    """The default bounds plus the current usage of `directory`, for a folder with files before a program runs."""
    usage = measure((directory,))
    default = Bounds()
    return Bounds(default.entries + usage.entries, default.bytes + usage.claimed_bytes, default.depth)


def export(store: Store, tree: str, directory: Path, bounds: Bounds | None = None) -> None:
    """Write every file of `tree` into the empty folder `directory`, with its mode, symlinks as symlinks.

    Raises `PermanentError`, and writes nothing, when the tree exceeds the bounds of an import.
    """
    if any(os.scandir(directory)):
        raise ValueError(f"{directory} is not empty")
    check_size(store, tree, bounds)
    with ScratchFolder(store) as folder:
        environment = {"GIT_INDEX_FILE": str(folder / "index"), "GIT_WORK_TREE": str(directory)}
        store.git.run("read-tree", check_oid(tree), environment=environment)
        store.git.run("checkout-index", "--all", "-q", environment=environment, cwd=directory, timeout_s=_TIMEOUT_S)


def check_size(store: Store, tree: str, bounds: Bounds | None = None) -> None:
    """Raise `PermanentError` when `tree` exceeds the bounds of an import."""
    bounds = bounds or Bounds()
    records = [record.partition(b"\t") for record in list_records(store, tree, "--long")]
    size_fields = (meta.rpartition(b" ")[2] for meta, _, _ in records)
    sizes = [int(size) for size in size_fields if size.isdigit()]  # a submodule has no size
    if too_long := next((path for _, _, path in records if not _fits(path, bounds)), None):
        message = f"The repository has a path that no checkout can hold: {show_path(too_long[:60])}..."
        mend = f"Remove it, or ask for an edit by rule; {bounds.depth} levels and {PATH_BYTES} bytes are the limits."
        raise PermanentError("too_deep", message, mend, kind=Kind.BLOCKED)
    if len(sizes) > bounds.entries or sum(sizes) > bounds.bytes:
        size = f"{len(sizes)} files and {sum(sizes) // MIB} MiB"
        limit = f"{bounds.entries} files and {bounds.bytes // MIB} MiB"
        raise PermanentError(
            "too_large",
            f"The repository has {size}, and at most {limit} are checked out",
            "Ask for an edit by rule, which needs no checkout.",
            kind=Kind.BLOCKED,
        )


def _fits(path: bytes, bounds: Bounds) -> bool:
    """True if a checkout and an import can hold the path."""
    parts = path.split(b"/")
    return len(parts) <= bounds.depth + 1 and len(path) <= PATH_BYTES and max(map(len, parts)) <= NAME_BYTES


def import_tree(store: Store, directory: Path, start: str, bounds: Bounds | None = None) -> str:
    """The tree of the files in `directory`, which was exported from `start`.

    Ignored files that are not in `start` are left out. No process may write to `directory` meanwhile. Raises
    `PermanentError` for files that git cannot or must not store: pipes, devices, setuid files, a nested ``.git``.
    """
    _inspect(directory, bounds or Bounds())
    with ScratchFolder(store) as folder:
        environment = {"GIT_INDEX_FILE": str(folder / "index"), "GIT_WORK_TREE": str(directory)}
        store.git.run("read-tree", check_oid(start), environment=environment)
        try:
            store.git.run("add", "--all", "--", ".", environment=environment, cwd=directory, timeout_s=_TIMEOUT_S)
        except GitError as failure:
            if (problem := import_problem(failure)) is None:
                raise
            raise problem from failure
        return store.git.line("write-tree", environment=environment)


def import_problem(failure: GitError) -> PermanentError | None:
    """The error for files that git refuses to add; None when the files are not the cause."""
    if re.search(r"invalid path|is too long|does not have a commit", failure.err):
        return blocked("odd_path", f"git cannot store a file: {last_words(failure.err)}")
    if "Permission denied" in failure.err:
        return blocked("unreadable", f"A file cannot be read: {last_words(failure.err)}")
    return None


def _inspect(directory: Path, bounds: Bounds) -> None:
    """Raise `PermanentError` for the first entry that must not be imported."""
    total = 0
    for entries, (path, entry) in enumerate(walk_within(directory, bounds), 1):
        check_entry(path, os.fsencode(entry.name), entry.status)
        total += 0 if entry.is_folder else entry.status.st_size
        if entries > bounds.entries or total > bounds.bytes:
            limit = f"{bounds.entries} files and {bounds.bytes // MIB} MiB"
            raise blocked("too_large", f"The result has more than {limit}")


def walk_within(directory: Path, bounds: Bounds) -> Iterator[tuple[bytes, TreeEntry]]:
    """The entries of a folder by path; raises `PermanentError` for one that is too deep, too long or unreadable."""
    walk = TreeWalk(directory)
    try:
        for entry in walk:
            if entry.depth + entry.is_folder > bounds.depth:
                raise blocked("too_deep", f"Folders are nested more than {bounds.depth} deep")
            if len(path := entry.path) > PATH_BYTES:
                raise blocked("odd_path", f"git cannot store a path this long: {show_path(path[:60])}...")
            yield path, entry
    except PermissionError as error:
        name = show_path(os.fsencode(error.filename or ""))
        raise blocked("unreadable", f"The folder {name} cannot be read") from error


def check_entry(path: bytes, name: bytes, status: os.stat_result) -> None:
    """Raise `PermanentError` for an entry that must not be imported: a git directory, pipe, device or setuid file."""
    mode = status.st_mode
    if is_git_name(name):
        raise blocked("nested_git", f"The result has a git directory: {show_path(path)}")
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
        raise blocked("odd_file", f"{show_path(path)} is a pipe, socket or device, not a file")
    if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
        raise blocked("odd_file", f"{show_path(path)} has a setuid or setgid bit")


def is_git_name(name: bytes) -> bool:
    """True for ``.git`` and for names that a file system treats as it: other case, NTFS short names, ignorables."""
    text = name.decode("utf-8", "replace")
    plain = unicodedata.normalize("NFKC", _IGNORABLE.sub("", text)).casefold()
    plain = plain.split(":", 1)[0].rstrip(". ")
    return plain in (".git", "git~1")


def blocked(code: str, message: str) -> PermanentError:
    """The error for a result that must not be imported."""
    return PermanentError(code, message, "Nothing was imported; change what the lane runs.", kind=Kind.BLOCKED)
