"""Folder trees that others shaped: walked, measured, given away and removed by descriptor, following no link.

A repository, an agent or a sandboxed program decides what such a tree holds: links to anywhere, folders deeper than any
path may be, folders without any right, a link in the place of what was a folder a moment ago. So nothing here names
more than one part of a path at a time, and every folder is opened with ``O_NOFOLLOW``. Depth costs neither a stack
frame nor a descriptor. Whatever works on files of a tree in `lanes` goes through this module.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

BY_DESCRIPTOR: Final = os.scandir in os.supports_fd and os.open in os.supports_dir_fd
"""False on Windows, where no sandbox runs and nothing of this is called but `remove`."""
FOLDER: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_NAMED: Final = getattr(os, "O_PATH", 0) | FOLDER
_OPEN_LEVELS: Final = 32
"""How many folders on the way down stay open; those above are found again by ``..``, and compared."""
_REPLACED: Final = frozenset({errno.ENOTDIR, errno.ELOOP})
_NO_FOLDER: Final = _REPLACED | {errno.ENOENT}
_RIGHTS: Final = frozenset({errno.EACCES, errno.EPERM})


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One file or folder: `name` in the open folder `parent`, which is valid until the walk goes on."""

    name: str
    parent: int
    status: os.stat_result
    depth: int
    _above: list[_Level]

    @property
    def path(self) -> bytes:
        """Its path below the root of the walk; asking costs its length, so ask for few."""
        return b"/".join(os.fsencode(part) for part in (*(level.name for level in self._above[1:]), self.name))

    @property
    def is_folder(self) -> bool:
        """True for a folder, which the walk enters next."""
        return stat.S_ISDIR(self.status.st_mode)


@dataclass(slots=True)
class _Level:
    """A folder on the way down: which one it is, and what of it is still to be entered."""

    name: str
    fd: int
    identity: tuple[int, int]
    folders: list[str] = field(default_factory=list)


class Walk:
    """Every entry below the folder `root`, parents before what they hold, at any depth.

    A folder that we may not look into raises `PermissionError`, named by its path below the root, and one that was
    moved while we were in it `OSError`; with `passing` both are counted in `closed`. Where others write meanwhile,
    what they move may be seen twice or not at all.
    """

    def __init__(self, root: Path | int, *, passing: bool = False) -> None:
        self._root, self._passing = root, passing
        self._levels: list[_Level] = []
        self.closed = 0

    def __iter__(self) -> Iterator[TreeEntry]:
        try:
            try:
                fd = os.dup(self._root) if isinstance(self._root, int) else os.open(self._root, FOLDER)
            except PermissionError:
                self._refused("")
                return
            yield from self._list("", fd)
            while self._levels:
                level = self._levels[-1]
                if not level.folders:
                    self._leave()
                    continue
                name = level.folders.pop()
                try:
                    fd = _open(level.fd, name)
                except PermissionError:
                    self._refused(name)
                except OSError as error:
                    if error.errno not in _NO_FOLDER:  # moved, removed or replaced since it was listed
                        raise
                else:
                    yield from self._list(name, fd)
        finally:
            for level in self._levels:
                if level.fd >= 0:
                    os.close(level.fd)
            self._levels.clear()

    def _list(self, name: str, fd: int) -> Iterator[TreeEntry]:
        """Go down into an open folder, and give what is in it."""
        status = os.fstat(fd)
        level = _Level(name, fd, (status.st_dev, status.st_ino))
        self._levels.append(level)
        if len(self._levels) > _OPEN_LEVELS + 1 and (above := self._levels[-_OPEN_LEVELS - 1]) is not self._levels[0]:
            if above.fd >= 0:
                os.close(above.fd)
            above.fd = -1
        for entry in names(fd):
            try:
                status = os.stat(entry, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:  # gone since
                continue
            except PermissionError:  # a folder that may be listed, and not gone through
                self._refused("")
                break
            if stat.S_ISDIR(status.st_mode):
                level.folders.append(entry)
            yield TreeEntry(entry, fd, status, len(self._levels) - 1, self._levels)

    def _refused(self, name: str) -> None:
        self.closed += 1
        if not self._passing:
            path = "/".join(part for part in (*(level.name for level in self._levels[1:]), name) if part) or "."
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    def _leave(self) -> None:
        """Go up again, to the same folder that we came from: whoever moved us elsewhere leads nowhere."""
        left = self._levels.pop()
        if not self._levels:
            os.close(left.fd)
            return
        above = self._levels[-1]
        try:
            if above.fd < 0:
                above.fd = _same(os.open("..", FOLDER, dir_fd=left.fd), above.identity)
        except OSError:
            self.closed += 1
            if not self._passing:
                raise
            while self._levels[-1].fd < 0:  # the root is always open
                self._levels.pop()
        finally:
            os.close(left.fd)


def names(folder: int) -> list[str]:
    """What an open folder holds."""
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _open(parent: int, name: str) -> int:
    return os.open(name, FOLDER, dir_fd=parent)


def _same(fd: int, identity: tuple[int, int]) -> int:
    status = os.fstat(fd)
    if (status.st_dev, status.st_ino) == identity:
        return fd
    os.close(fd)
    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[int]:
    """A descriptor of a folder; raises `OSError` for a link."""
    fd = os.open(folder, FOLDER)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def below(parent: int, name: str) -> Iterator[int]:
    """A descriptor of the folder `name` in an open one; raises `OSError` for a link."""
    fd = _open(parent, name)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def parent_of(root: int, path: bytes) -> Iterator[tuple[int, bytes]]:
    """The open folder that holds `path` below the open folder `root`, and its name there.

    Raises `OSError` where a link is on the way.
    """
    *folders, name = path.split(b"/")
    at = os.dup(root)
    try:
        for part in folders:
            below = os.open(part, FOLDER, dir_fd=at)
            os.close(at)
            at = below
        yield at, name
    finally:
        os.close(at)


# -- giving away ------------------------------------------------------------------------------------------------------


def give(root: Path, uid: int) -> None:
    """Make the folder `root` and all below it the user's; for root only. Nobody may write there meanwhile."""
    with opened(root) as fd:
        os.fchown(fd, uid, uid)
        for entry in Walk(fd):
            os.chown(entry.name, uid, uid, dir_fd=entry.parent, follow_symlinks=False)


def give_paths(root: Path, paths: Iterable[bytes], uid: int) -> None:
    """Make those `paths` below `root` the user's, and the folders on the way; what is not there is passed over."""
    with opened(root) as top:
        way: list[tuple[bytes, int]] = []  # the folders down to the last path, kept open for its neighbours
        try:
            for path in paths:
                *folders, name = path.split(b"/")
                while [part for part, _ in way] != folders[: len(way)]:
                    os.close(way.pop()[1])
                _give_path(top, way, folders, name, uid)
        finally:
            for _, fd in way:
                os.close(fd)


def _give_path(top: int, way: list[tuple[bytes, int]], folders: list[bytes], name: bytes, uid: int) -> None:
    """Go on from the end of `way` to the file `name`, as far as there are folders, and give all of it."""
    try:
        for part in (*folders[len(way) :], None):
            at = way[-1][1] if way else top
            os.chown(name if part is None else part, uid, uid, dir_fd=at, follow_symlinks=False)
            if part is not None:
                way.append((part, os.open(part, FOLDER, dir_fd=at)))
    except OSError as error:
        if error.errno not in _NO_FOLDER:
            raise


# -- folders without rights -------------------------------------------------------------------------------------------


def open_up(parent: int, name: str, mode: int = 0o700) -> None:
    """Give ourselves rights on a folder of ours, and on nothing that is a link."""
    if not hasattr(os, "O_PATH"):
        os.chmod(name, mode, dir_fd=parent, follow_symlinks=False)
        return
    fd = os.open(name, _NAMED, dir_fd=parent)
    try:
        os.chmod(f"/proc/self/fd/{fd}", mode)  # noqa: PTH101 - the folder that is open, by a magic link
    finally:
        os.close(fd)


# -- measuring --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TreeUsage:
    """How many entries there are, and what they take on disk.

    `claimed_bytes` is the sum of what files say of their size, `closed` how many folders we may not look into.
    """

    entries: int = 0
    disk_bytes: int = 0
    claimed_bytes: int = 0
    closed: int = 0


def measure(roots: Iterable[Path], most: int | None = None) -> TreeUsage:
    """What these trees take, while others may write to them; stops beyond `most` entries.

    A file of several names counts once, a sparse one by what it takes.
    """
    entries = disk = claimed = closed = 0
    linked: set[tuple[int, int]] = set()
    for root in roots:
        walk = Walk(root, passing=True)
        with contextlib.suppress(FileNotFoundError):  # the root itself is gone
            for entry in walk:
                status = entry.status
                entries += 1
                if status.st_nlink > 1 and not entry.is_folder:
                    if (status.st_dev, status.st_ino) in linked:
                        continue
                    linked.add((status.st_dev, status.st_ino))
                disk += status.st_blocks * 512
                claimed += 0 if entry.is_folder else status.st_size
                if most is not None and entries > most:
                    break
        closed += walk.closed
    return TreeUsage(entries, disk, claimed, closed)


# -- removing ---------------------------------------------------------------------------------------------------------


def remove(folder: Path, last: str = "") -> list[str]:
    """Remove a folder with all that it holds, whatever the modes; why something of it stays, if it does.

    The entry `last` goes after everything else, and stays when anything does. A link is removed, never followed. Every
    folder is moved up to `folder` before it is entered, so depth does not matter, and what is mounted there stays.
    """
    if not BY_DESCRIPTOR:
        shutil.rmtree(folder, ignore_errors=True)
        return [f"{folder} is still there"] if os.path.lexists(folder) else []
    try:
        parent = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    try:
        return _remove(parent, folder.name, last)
    except FileNotFoundError:
        return []
    except OSError as error:
        return [str(error)]
    finally:
        os.close(parent)


def _remove(parent: int, name: str, last: str) -> list[str]:
    try:
        fd = _entered(parent, name)
    except OSError as error:
        if error.errno not in _REPLACED:
            raise
        os.unlink(name, dir_fd=parent)
        return []
    try:
        if problems := _Removal(fd, last).run():
            return problems
        with contextlib.suppress(FileNotFoundError):
            if last:
                os.unlink(last, dir_fd=fd)
        os.rmdir(name, dir_fd=parent)
        return []
    finally:
        os.close(fd)


def _entered(parent: int, name: str) -> int:
    """Open a folder, with the right to empty it."""
    try:
        return _open(parent, name)
    except PermissionError:
        open_up(parent, name)
        return _open(parent, name)


class _Removal:
    """Empties the open folder `top`, but for the entry `last`."""

    def __init__(self, top: int, last: str) -> None:
        self._top, self._last = top, last
        self._pending: list[str] = []
        self._problems: list[str] = []
        self._mark, self._moved = secrets.token_hex(8), 0

    def run(self) -> list[str]:
        """Remove all that goes; what did not, and why."""
        self._empty(self._top)
        while self._pending:
            try:
                self._take_moved(self._pending.pop())
            except OSError as error:
                self._problems.append(str(error))
        return self._problems

    def _take_moved(self, name: str) -> None:
        try:
            fd = _entered(self._top, name)
        except OSError as error:
            if error.errno not in _REPLACED:
                raise
            os.unlink(name, dir_fd=self._top)
            return
        try:
            self._empty(fd)
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=self._top)

    def _empty(self, fd: int) -> None:
        with os.scandir(fd) as entries:
            listed = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for name, is_folder in listed:
            if fd == self._top and name == self._last:
                continue
            try:
                self._take(fd, name, is_folder=is_folder)
            except OSError as error:
                self._problems.append(str(error))

    def _take(self, fd: int, name: str, *, is_folder: bool) -> None:
        """Remove a file; move a folder up, to be emptied there."""
        try:
            self._once(fd, name, is_folder=is_folder)
        except OSError as error:
            if error.errno not in _RIGHTS:
                raise
            os.fchmod(fd, 0o700)
            if is_folder:
                open_up(fd, name)  # whose own ".." changes
            self._once(fd, name, is_folder=is_folder)

    def _once(self, fd: int, name: str, *, is_folder: bool) -> None:
        if not is_folder:
            os.unlink(name, dir_fd=fd)
            return
        self._moved += 1  # a link that took its place is moved as well, and removed as what it is
        moved = f".{self._mark}-{self._moved}"
        os.rename(name, moved, src_dir_fd=fd, dst_dir_fd=self._top)
        self._pending.append(moved)
