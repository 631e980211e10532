"""Temporary folders that are locked while in use and removed afterwards, even if the process was killed.

The kernel releases a lock when its holder dies; creating a folder also removes those that are unlocked.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from core.log import log
from lanes.filetree.removal import remove_tree

if sys.platform != "win32":  # where no sandbox runs either
    import fcntl

RUN_PREFIX: Final = "countersign-run-"
SOCKET_PREFIX: Final = "countersign-door-"
"""Prefixes of folders that hold a run's own files, and the sockets of its port forwards."""
_OLD_S: Final = 24 * 3600.0
"""Older versions removed the lock first and left what they could not remove; no run lasts this long."""
_LOCK_FILE, _PIPE_FILE = "held", "tied"


@contextlib.contextmanager
def locked_folder(root: Path | None = None, prefix: str = RUN_PREFIX) -> Iterator[Path]:
    """Create an empty locked folder below `root` (default: the system's temporary folder); removed on exit."""
    lock, folder = _create_locked(root or Path(tempfile.gettempdir()), prefix)
    with lock:
        try:
            yield folder
        finally:
            remove_folder(folder)


def remove_abandoned(root: Path | None = None, prefix: str = RUN_PREFIX) -> None:
    """Remove our user's unlocked folders: their owners died."""
    for folder in (root or Path(tempfile.gettempdir())).glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            _remove_if_abandoned(folder)


def record_pipe(folder: Path, fd: int) -> None:
    """Record the pipe `fd` in the folder: `remove_abandoned` kills processes that read from it as their input."""
    (folder / _PIPE_FILE).write_text(os.readlink(f"/proc/self/fd/{fd}"), encoding="ascii")  # noqa: PTH115 - a magic link


def _kill_pipe_readers(folder: Path) -> None:
    """Kill processes left in the middle of their start, found by the pipe that they wait at."""
    try:
        pipe = (folder / _PIPE_FILE).read_text(encoding="ascii")
    except FileNotFoundError:
        return
    for fd in Path("/proc").glob("[0-9]*/fd/0"):
        with contextlib.suppress(OSError):
            if os.readlink(fd) == pipe:  # noqa: PTH115 - a magic link
                os.kill(int(fd.parts[2]), signal.SIGKILL)


def _remove_if_abandoned(folder: Path) -> None:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        return
    try:
        lock_fd = os.open(folder / _LOCK_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        _remove_unlocked(folder, status.st_mtime)
        return
    with os.fdopen(lock_fd, "rb") as lock:
        if _lock(lock, wait=False):
            _kill_pipe_readers(folder)
            remove_folder(folder)


def _remove_unlocked(folder: Path, changed_s: float) -> None:
    """Remove a folder whose owner died before locking it, or that an older version left behind with its contents."""
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno == errno.ENOTEMPTY and time.time() - changed_s > _OLD_S and not (folder / _LOCK_FILE).exists():
            remove_folder(folder)


def _create_locked(root: Path, prefix: str) -> tuple[IO[bytes], Path]:
    """A new folder and its lock; tries again when another process removed the folder before it was locked."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
        with contextlib.suppress(FileNotFoundError):
            lock = (folder / _LOCK_FILE).open("xb")
            _lock(lock, wait=True)
            if os.fstat(lock.fileno()).st_nlink:
                return lock, folder
            lock.close()


def _lock(file: IO[bytes], *, wait: bool) -> bool:
    """Lock `file`; without `wait` only if it is free. True if we hold the lock now."""
    if sys.platform == "win32":
        return wait
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def remove_folder(folder: Path) -> None:
    """Remove a folder and its contents; the lock file goes last, and stays when something cannot be removed."""
    if problems := remove_tree(folder, last=_LOCK_FILE):
        log.warning("folder_not_removed", folder=str(folder), why=problems[0], more=len(problems) - 1)
