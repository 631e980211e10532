"""Watching a running sandbox from outside: what its processes and its folder take, all together.

Resource limits hold for one process each, and a control group is not everywhere ours to make; so this adds up, and
says when a sum is too large. It looks often enough that what slips through between two looks is small.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import select
import sys
import time
from pathlib import Path
from typing import Final

from lanes.sandbox.ran import Confines

if sys.platform != "win32":  # elsewhere `find_sandbox` refuses before anything here is called
    import resource

_LOOK_S: Final = 0.1
_LOOK_AT_DISK_S: Final = 0.5
_MIB: Final = 1024 * 1024
_FREE_MEMORY_MIB: Final = 256
_FREE_DISK_MIB: Final = 256


def limit_process(pid: int, confines: Confines, *, count: bool = True, sharing: int = 1) -> None:
    """Put limits on `pid`, which all that it starts inherits; raises `OSError`.

    Without `count` not on processes, which are counted for each user where there is no user namespace; `sharing` says
    for how many runs of one user at once.
    """
    data = confines.memory_mib * _MIB
    cpu_s = int(confines.wall_s) + 5
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, cpu_s),
        # not RLIMIT_AS: runtimes that reserve address space without using it (Go, Java, V8) would not start
        (resource.RLIMIT_DATA, data),
        (resource.RLIMIT_FSIZE, confines.disk_mib * _MIB),
        (resource.RLIMIT_NOFILE, 1024),
        *([(resource.RLIMIT_NPROC, confines.processes * sharing)] if count and _counts_per_namespace() else []),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        _, hard = resource.prlimit(pid, limit)
        lower = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.prlimit(pid, limit, (lower, lower))


def _counts_per_namespace() -> bool:
    """True if the kernel (5.14) counts processes for each user namespace; before, our own would count as well."""
    numbers = [int(n) for n in re.findall(r"\d+", os.uname().release)[:2]]
    return os.geteuid() == 0 or numbers >= [5, 14]


def wait_dead(pidfd: int, timeout_s: float) -> bool:
    """Wait for the process behind `pidfd`; for the first of a namespace that is the death of all in it."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


class Watch:
    """Looks at the process `pid` with all its descendants, and at the folder they write to.

    Without `pid` at the folder alone, where something else counts the processes.
    """

    def __init__(self, pid: int | None, directory: Path, confines: Confines) -> None:
        self._pid, self._directory, self._confines = pid, directory, confines
        self._had = _usage(directory, 10**9)
        self._disk_due = 0.0

    async def hit(self) -> str:
        """Wait until a bound is hit; its name."""
        while True:
            await asyncio.sleep(_LOOK_S)
            found = self._processes() or await asyncio.to_thread(self._disk)
            if found:
                return found

    def _processes(self) -> str | None:
        if self._pid is None:
            return None
        pids = descendants(self._pid, self._confines.processes * 2 + 16)
        if len(pids) > self._confines.processes + 4:  # bwrap's own first process, and what is just being born
            return "processes"
        if sum(map(memory_bytes, pids)) > self._confines.memory_mib * _MIB or _free_memory() < _FREE_MEMORY_MIB * _MIB:
            return "memory"
        return None

    def _disk(self) -> str | None:
        now = time.monotonic()
        if now < self._disk_due:
            return None
        files, size = _usage(self._directory, self._had[0] + self._confines.files)
        self._disk_due = now + max(_LOOK_AT_DISK_S, 10 * (time.monotonic() - now))
        if files > self._had[0] + self._confines.files:
            return "files"
        state = os.statvfs(self._directory)
        too_little = state.f_bavail * state.f_frsize < _FREE_DISK_MIB * _MIB
        return "disk" if too_little or size - self._had[1] > self._confines.disk_mib * _MIB else None


def descendants(pid: int, most: int) -> list[int]:
    """`pid` and what it started, as far as it lives; stops at `most`. Orphans count: their parent is the first."""
    found, pending = [pid], [pid]
    while pending and len(found) <= most:
        for child in _children(pending.pop()):
            found.append(child)
            pending.append(child)
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    with contextlib.suppress(OSError, ValueError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                children += map(int, (task / "children").read_bytes().split())
    return children


def memory_bytes(pid: int) -> int:
    """What a process holds that no file backs; memory shared between two counts for both."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    kib = [int(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "RssShmem:"))]
    return sum(kib) * 1024


def _free_memory() -> int:
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return 1 << 62
    found = [int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("MemAvailable:")]
    return found[0] if found else 1 << 62


def _usage(directory: Path, most_files: int) -> tuple[int, int]:
    """(entries, bytes on disk) below `directory`, without following links; stops counting beyond `most_files`."""
    files = size = 0
    pending = [os.fspath(directory)]
    while pending and files <= most_files:
        with contextlib.suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                files += 1
                with contextlib.suppress(OSError):
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
    return files, size
