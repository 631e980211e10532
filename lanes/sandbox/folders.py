"""Folders for one piece of work each: made, held by a lock, gone afterwards, also when the program was killed.

The lock is the kernel's, so it ends with its holder; whoever makes the next folder removes those that nobody holds.
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
from lanes import filetree

if sys.platform != "win32":  # where no sandbox runs either
    import fcntl

OURS: Final = "countersign-run-"
DOORS: Final = "countersign-door-"
"""How folders are called that hold a run's own files, and the sockets of its doors."""
_OLD_S: Final = 24 * 3600.0
"""Older versions took the lock away first, and left what they could not remove; no run lasts that long."""
_HELD, _TIED = "held", "tied"


@contextlib.contextmanager
def own_folder(root: Path | None = None, prefix: str = OURS) -> Iterator[Path]:
    """An empty folder of our own below `root`, by default where the system keeps such; removed with all it holds."""
    held, own = _made(root or Path(tempfile.gettempdir()), prefix)
    with held:
        try:
            yield own
        finally:
            remove(own)


def sweep(root: Path | None = None, prefix: str = OURS) -> None:
    """Remove the folders whose owner died: nobody holds their lock any more. Those of other users stay."""
    for left in (root or Path(tempfile.gettempdir())).glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            _sweep_one(left)


def tie(own: Path, fd: int) -> None:
    """Note the pipe `fd` in a folder of ours: a process that reads from it as its input is ended by who sweeps."""
    (own / _TIED).write_text(os.readlink(f"/proc/self/fd/{fd}"), encoding="ascii")  # noqa: PTH115 - a magic link


def _end_tied(left: Path) -> None:
    """End what was left standing in the middle of its start; a pipe's number is given once."""
    try:
        pipe = (left / _TIED).read_text(encoding="ascii")
    except FileNotFoundError:
        return
    for fd in Path("/proc").glob("[0-9]*/fd/0"):
        with contextlib.suppress(OSError):
            if os.readlink(fd) == pipe:  # noqa: PTH115 - a magic link
                os.kill(int(fd.parts[2]), signal.SIGKILL)


def _sweep_one(left: Path) -> None:
    status = left.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        return
    try:
        opened = os.open(left / _HELD, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        _sweep_unlocked(left, status.st_mtime)
        return
    with os.fdopen(opened, "rb") as held:
        if _lock(held, wait=False):
            _end_tied(left)
            remove(left)


def _sweep_unlocked(left: Path, changed_s: float) -> None:
    """Its owner died before it had a lock; one that lives makes another. If it holds something, an old version did."""
    try:
        left.rmdir()
    except OSError as error:
        if error.errno == errno.ENOTEMPTY and time.time() - changed_s > _OLD_S and not (left / _HELD).exists():
            remove(left)


def _made(root: Path, prefix: str) -> tuple[IO[bytes], Path]:
    """A new folder with the lock on it; another one when somebody swept it before we had the lock."""
    while True:
        own = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
        with contextlib.suppress(FileNotFoundError):
            held = (own / _HELD).open("xb")
            _lock(held, wait=True)
            if os.fstat(held.fileno()).st_nlink:
                return held, own
            held.close()


def _lock(file: IO[bytes], *, wait: bool) -> bool:
    """Take the lock on `file`; without `wait` only if nobody has it. True if we have it now."""
    if sys.platform == "win32":
        return wait
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def remove(folder: Path) -> None:
    """Remove a folder of ours whatever is in it; its lock goes last, and stays with what cannot be removed."""
    if problems := filetree.remove(folder, last=_HELD):
        log.warning("folder_not_removed", folder=str(folder), why=problems[0], more=len(problems) - 1)
