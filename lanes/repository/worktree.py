"""A tree as files and files as a tree, byte for byte, without a git directory anywhere near the files."""

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
from lanes.repository.running import GitError
from lanes.repository.store import Store, check_oid
from lanes.repository.trees import listed, scratch

_LONG_S: Final = 900.0
PATH_BYTES: Final = 4000
NAME_BYTES: Final = 255
"""What a path below a folder, and each part of it, may have: the kernel takes a little more (PATH_MAX, NAME_MAX)."""
_IGNORABLE: Final = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much an import takes: entries of every kind, and the sum of file sizes as files claim them."""

    entries: int = 300_000
    bytes: int = 1024 * MIB
    depth: int = 200


def room_above(directory: Path) -> Bounds:
    """The usual bounds, on top of what `directory` holds now: for files that are there before a program runs."""
    had = measure((directory,))
    usual = Bounds()
    return Bounds(usual.entries + had.entries, usual.bytes + had.claimed_bytes, usual.depth)


def export(store: Store, tree: str, directory: Path, bounds: Bounds | None = None) -> None:
    """Write every file of `tree` into the empty folder `directory`; symlinks as symlinks, modes kept.

    Raises `PermanentError`, and writes nothing, when that is more than could be taken back in.
    """
    if any(os.scandir(directory)):
        raise ValueError(f"{directory} is not empty")
    weigh(store, tree, bounds)
    with scratch(store) as folder:
        where = {"GIT_INDEX_FILE": str(folder / "index"), "GIT_WORK_TREE": str(directory)}
        store.git.run("read-tree", check_oid(tree), environment=where)
        store.git.run("checkout-index", "--all", "--quiet", environment=where, cwd=directory, timeout_s=_LONG_S)


def weigh(store: Store, tree: str, bounds: Bounds | None = None) -> None:
    """Raise `PermanentError` when `tree` is more than could be taken back in."""
    bounds = bounds or Bounds()
    found = [line.partition(b"\t") for line in listed(store, tree, "--long")]
    told = (meta.rpartition(b" ")[2] for meta, _, _ in found)
    sizes = [int(size) for size in told if size.isdigit()]  # a submodule has none
    if unfit := next((path for _, _, path in found if not _fits(path, bounds)), None):
        what = f"a path that no checkout can hold: {show_path(unfit[:60])}..."
        mend = f"Take it out, or ask for an edit by rule; {bounds.depth} levels and {PATH_BYTES} bytes are held."
        raise PermanentError("too_deep", f"The repository has {what}", mend, kind=Kind.BLOCKED)
    if len(sizes) > bounds.entries or sum(sizes) > bounds.bytes:
        what = f"{len(sizes)} files and {sum(sizes) // MIB} MiB"
        limit = f"{bounds.entries} files and {bounds.bytes // MIB} MiB"
        raise PermanentError(
            "too_large",
            f"The repository has {what}, and at most {limit} are checked out",
            "Ask for an edit by rule, which needs no checkout.",
            kind=Kind.BLOCKED,
        )


def _fits(path: bytes, bounds: Bounds) -> bool:
    """Whether a checkout can hold a path, and an import take it back."""
    parts = path.split(b"/")
    return len(parts) <= bounds.depth + 1 and len(path) <= PATH_BYTES and max(map(len, parts)) <= NAME_BYTES


def import_tree(store: Store, directory: Path, start: str, bounds: Bounds | None = None) -> str:
    """The tree of the files in `directory`, which began as `start`.

    Ignored files that are not in `start` stay out. Nothing may write to `directory` meanwhile. Raises
    `PermanentError` for what git cannot hold or must not: pipes, devices, setuid files, a nested ``.git``.
    """
    _inspect(directory, bounds or Bounds())
    with scratch(store) as folder:
        where = {"GIT_INDEX_FILE": str(folder / "index"), "GIT_WORK_TREE": str(directory)}
        store.git.run("read-tree", check_oid(start), environment=where)
        try:
            store.git.run("add", "--all", "--", ".", environment=where, cwd=directory, timeout_s=_LONG_S)
        except GitError as failure:
            if (problem := refusal(failure)) is None:
                raise
            raise problem from failure
        return store.git.line("write-tree", environment=where)


def refusal(failure: GitError) -> PermanentError | None:
    """What to tell when git would not add files; None when that is no fault of theirs."""
    if re.search(r"invalid path|is too long|does not have a commit", failure.err):
        return blocked("odd_path", f"git cannot hold a file: {last_words(failure.err)}")
    if "Permission denied" in failure.err:
        return blocked("unreadable", f"A file cannot be read: {last_words(failure.err)}")
    return None


def _inspect(directory: Path, bounds: Bounds) -> None:
    """Raise for the first thing that may not come in."""
    total = 0
    for entries, (path, entry) in enumerate(inspected(directory, bounds), 1):
        check_entry(path, os.fsencode(entry.name), entry.status)
        total += 0 if entry.is_folder else entry.status.st_size
        if entries > bounds.entries or total > bounds.bytes:
            limit = f"{bounds.entries} files and {bounds.bytes // MIB} MiB"
            raise blocked("too_large", f"The work left more than {limit} behind")


def inspected(directory: Path, bounds: Bounds) -> Iterator[tuple[bytes, TreeEntry]]:
    """What a folder holds, by path, no link followed; raises for what is too deep, too long, or cannot be read."""
    walk = TreeWalk(directory)
    try:
        for entry in walk:
            if entry.depth + entry.is_folder > bounds.depth:
                raise blocked("too_deep", f"Folders are nested more than {bounds.depth} deep")
            if len(path := entry.path) > PATH_BYTES:
                raise blocked("odd_path", f"git cannot hold so long a path: {show_path(path[:60])}...")
            yield path, entry
    except PermissionError as error:
        name = show_path(os.fsencode(error.filename or ""))
        raise blocked("unreadable", f"The folder {name} cannot be read") from error


def check_entry(path: bytes, name: bytes, status: os.stat_result) -> None:
    """Raise `PermanentError` for what may not come in: a git directory, a pipe, a device, a setuid file."""
    mode = status.st_mode
    if is_git_name(name):
        raise blocked("nested_git", f"The work left a git directory behind: {show_path(path)}")
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
        raise blocked("odd_file", f"{show_path(path)} is a pipe, socket or device, not a file")
    if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
        raise blocked("odd_file", f"{show_path(path)} has a setuid or setgid bit")


def is_git_name(name: bytes) -> bool:
    """True for ``.git`` and for what some file system takes for it: other case, NTFS short names, ignorables."""
    text = name.decode("utf-8", "replace")
    plain = unicodedata.normalize("NFKC", _IGNORABLE.sub("", text)).casefold()
    plain = plain.split(":", 1)[0].rstrip(". ")
    return plain in (".git", "git~1")


def blocked(code: str, message: str) -> PermanentError:
    """The error for a result that may not be taken over."""
    return PermanentError(code, message, "Nothing was taken over; change what the lane runs.", kind=Kind.BLOCKED)
