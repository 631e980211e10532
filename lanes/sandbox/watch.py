"""Watching a running sandbox from outside: what its processes and its folders take, all together.

Resource limits hold for one process each, and a control group is not everywhere ours to make; so this adds up, and
says when a sum is too large. It looks often enough that what slips through between two looks is small.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lanes.filetree import measure
from lanes.sandbox.cgroup import Cgroup
from lanes.sandbox.hidden import HiddenUsage, held_by
from lanes.sandbox.processes import cpu_s, descendants, memory_of
from lanes.sandbox.result import SandboxLimits

_LOOK_S: Final = 0.1
_LOOK_AT_DISK_S: Final = 0.5
_MIB: Final = 1024 * 1024
_FREE_MEMORY_MIB: Final = 256
_FREE_DISK_MIB: Final = 256


class LimitWatch:
    """Looks at the process `pid` with all its descendants, and at the `folders` they write to, the work folder first.

    Without `pid` at the folders alone, where something else counts the processes. `scratch` are folders in memory, as
    paths below the process' own root. With a `group` the kernel counts the memory.
    """

    def __init__(
        self,
        pid: int | None,
        folders: Sequence[Path],
        confines: SandboxLimits,
        scratch: Sequence[str] = (),
        group: Cgroup | None = None,
    ) -> None:
        self._pid, self._folders, self._confines, self._group = pid, folders, confines, group
        self._scratch = [f"/proc/{pid}/root{path}" for path in scratch]
        self._had = measure(folders)
        self._had_free = _free_disk(folders[0])
        self._disk_due = 0.0
        self._hidden = HiddenUsage()

    def look(self) -> str | None:
        """The bound that is hit now, if any."""
        return self._processes() or self._disk()

    async def hit(self) -> str:
        """Wait until a bound is hit; its name."""
        while True:
            await asyncio.sleep(_LOOK_S)
            found = self._processes()
            if found is None and time.monotonic() >= self._disk_due:
                found = await asyncio.to_thread(self._disk)
            if found:
                return found

    def _processes(self) -> str | None:
        if self._pid is None:
            return None
        pids = descendants(self._pid, self._confines.processes * 2 + 16)
        if len(pids) > self._confines.processes + 4:  # bwrap's own first process, and what is just being born
            return "processes"
        if self._has_too_much(pids) or _free_memory() < _FREE_MEMORY_MIB * _MIB:
            return "memory"
        return "cpu" if sum(map(cpu_s, pids)) > self._confines.most_cpu_s else None

    def _has_too_much(self, pids: Sequence[int]) -> bool:
        """Whether the memory is used up: by the kernel's own count, or by what can be seen of it."""
        most, hidden = self._confines.memory_mib * _MIB, self._hidden
        if self._group is not None:
            return self._group.was_full() or hidden.connections_bytes > most
        memory = memory_of(pids)
        shared = max(memory.shared_bytes, hidden.mapped_bytes)
        return memory.own_bytes + shared + hidden.memory_bytes > most

    def _disk(self) -> str | None:
        began = time.monotonic()
        most = self._had.entries + self._confines.files
        usage = measure(self._folders, most)
        files, size = usage.entries, usage.disk_bytes
        files += sum(map(_entries, self._scratch))
        if self._pid is not None:
            pids = descendants(self._pid, self._confines.processes * 2 + 16)
            self._hidden = held_by(pids, self._scratch)
            size += self._hidden.disk_bytes
        self._disk_due = time.monotonic() + max(_LOOK_AT_DISK_S, 10 * (time.monotonic() - began))
        if files > most:
            return "files"
        free = _free_disk(self._folders[0])
        grown = size - self._had.disk_bytes
        if usage.closed > self._had.closed:  # what is in there we cannot see, but what it takes from the disk
            grown = max(grown, self._had_free - free)
        return "disk" if free < _FREE_DISK_MIB * _MIB or grown > self._confines.disk_mib * _MIB else None


def _free_disk(folder: Path) -> int:
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize


def _free_memory() -> int:
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return 1 << 62
    found = [int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("MemAvailable:")]
    return found[0] if found else 1 << 62


def _entries(scratch: str) -> int:
    """How many files and folders a file system in memory holds; each takes about a kilobyte that nobody counts."""
    try:
        state = os.statvfs(scratch)
    except OSError:  # not yet there, or there no more
        return 0
    return state.f_files - state.f_ffree
