"""Walks a folder tree by descriptor, and opens single folders of it, without following links."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

FOLDER_FLAGS: Final = (
    os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
)
"""Flags that open a folder and fail on a link."""
REPLACED_ERRNOS: Final = frozenset({errno.ENOTDIR, errno.ELOOP})
"""The errors of opening a folder that is now a file or a link."""
NO_FOLDER_ERRNOS: Final = REPLACED_ERRNOS | {errno.ENOENT}
"""The errors of opening a folder that was moved, removed or replaced."""
_OPEN_LEVELS: Final = 32
"""How many folders on the way down stay open; a folder above them is reopened through ``..`` and compared."""


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One file or folder: `name` in the open folder `parent`, a descriptor that is valid until the next entry."""

    name: str
    parent: int
    status: os.stat_result
    depth: int
    _above: list[_Level]

    @property
    def path(self) -> bytes:
        """Its path below the root of the walk; building it takes time in proportion to the depth."""
        return b"/".join(os.fsencode(part) for part in (*(level.name for level in self._above[1:]), self.name))

    @property
    def is_folder(self) -> bool:
        """True for a folder, which the walk enters next."""
        return stat.S_ISDIR(self.status.st_mode)


@dataclass(slots=True)
class _Level:
    """A folder on the way down: its identity, and its subfolders that are not walked yet."""

    name: str
    fd: int
    identity: tuple[int, int]
    folders: list[str] = field(default_factory=list)


class TreeWalk:
    """Every entry below the folder `root`, parents before their children, at any depth.

    Iterating raises `PermissionError` for a folder without permission, with its path below the root, and `OSError` for
    a folder that was moved during its walk; with `skip_unreadable` both are only counted in `unreadable`. Entries that
    another process moves meanwhile may be seen twice or not at all.
    """

    def __init__(self, root: Path | int, *, skip_unreadable: bool = False) -> None:
        self._root, self._skip_unreadable = root, skip_unreadable
        self._levels: list[_Level] = []
        self.unreadable = 0

    def __iter__(self) -> Iterator[TreeEntry]:
        try:
            try:
                fd = os.dup(self._root) if isinstance(self._root, int) else os.open(self._root, FOLDER_FLAGS)
            except PermissionError:
                self._count_unreadable("")
                return
            yield from self._list("", fd)
            while self._levels:
                level = self._levels[-1]
                if not level.folders:
                    self._leave()
                    continue
                name = level.folders.pop()
                try:
                    fd = open_subfolder_fd(level.fd, name)
                except PermissionError:
                    self._count_unreadable(name)
                except OSError as error:
                    if error.errno not in NO_FOLDER_ERRNOS:  # moved, removed or replaced since it was listed
                        raise
                else:
                    yield from self._list(name, fd)
        finally:
            for level in self._levels:
                if level.fd >= 0:
                    os.close(level.fd)
            self._levels.clear()

    def _list(self, name: str, fd: int) -> Iterator[TreeEntry]:
        """Enter an open folder and yield its entries."""
        status = os.fstat(fd)
        level = _Level(name, fd, (status.st_dev, status.st_ino))
        self._levels.append(level)
        if len(self._levels) > _OPEN_LEVELS + 1 and (above := self._levels[-_OPEN_LEVELS - 1]) is not self._levels[0]:
            if above.fd >= 0:
                os.close(above.fd)
            above.fd = -1
        for entry in list_names(fd):
            try:
                status = os.stat(entry, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:  # removed since it was listed
                continue
            except PermissionError:  # a folder that may be listed and not entered
                self._count_unreadable("")
                break
            if stat.S_ISDIR(status.st_mode):
                level.folders.append(entry)
            yield TreeEntry(entry, fd, status, len(self._levels) - 1, self._levels)

    def _count_unreadable(self, name: str) -> None:
        self.unreadable += 1
        if not self._skip_unreadable:
            path = "/".join(part for part in (*(level.name for level in self._levels[1:]), name) if part) or "."
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    def _leave(self) -> None:
        """Return to the parent folder; if the folder was moved meanwhile, its new parent is not entered."""
        level = self._levels.pop()
        if not self._levels:
            os.close(level.fd)
            return
        above = self._levels[-1]
        try:
            if above.fd < 0:
                above.fd = _require_identity(os.open("..", FOLDER_FLAGS, dir_fd=level.fd), above.identity)
        except OSError:
            self.unreadable += 1
            if not self._skip_unreadable:
                raise
            while self._levels[-1].fd < 0:  # the root is always open
                self._levels.pop()
        finally:
            os.close(level.fd)


def list_names(folder: int) -> list[str]:
    """The names in an open folder."""
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def open_subfolder_fd(parent: int, name: str) -> int:
    """Open the folder `name` in an open one; the caller closes it. Raises `OSError` for a link."""
    return os.open(name, FOLDER_FLAGS, dir_fd=parent)


def _require_identity(fd: int, identity: tuple[int, int]) -> int:
    status = os.fstat(fd)
    if (status.st_dev, status.st_ino) == identity:
        return fd
    os.close(fd)
    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))


@contextlib.contextmanager
def open_folder(folder: Path) -> Iterator[int]:
    """A descriptor of a folder; raises `OSError` for a link."""
    fd = os.open(folder, FOLDER_FLAGS)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def open_subfolder(parent: int, name: str) -> Iterator[int]:
    """A descriptor of the folder `name` in an open one; raises `OSError` for a link."""
    fd = open_subfolder_fd(parent, name)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def open_parent(root: int, path: bytes) -> Iterator[tuple[int, bytes]]:
    """The open folder that holds `path` below the open folder `root`, and its name there.

    Raises `OSError` if the path leads through a link.
    """
    *folders, name = path.split(b"/")
    at = os.dup(root)
    try:
        for part in folders:
            subfolder = os.open(part, FOLDER_FLAGS, dir_fd=at)
            os.close(at)
            at = subfolder
        yield at, name
    finally:
        os.close(at)
