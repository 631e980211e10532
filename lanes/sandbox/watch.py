"""Watches the resources of a running sandbox from outside, summed over its processes and folders.

Resource limits apply to single processes, and control groups are not available everywhere. So this samples the sums,
often enough that little can slip through between two samples.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lanes.filetree.usage import measure
from lanes.sandbox.cgroup import Cgroup
from lanes.sandbox.hidden_usage import HiddenUsage, hidden_usage
from lanes.sandbox.interface import SandboxLimits
from lanes.sandbox.processes import cpu_s, descendants, memory_use

_INTERVAL_S: Final = 0.1
_DISK_INTERVAL_S: Final = 0.5
_MIB: Final = 1024 * 1024
_MIN_FREE_MEMORY_MIB: Final = 256
_MIN_FREE_DISK_MIB: Final = 256


class LimitWatch:
    """Samples one sandbox and reports the first limit it exceeds.

    Args:
        pid: The first process; its descendants count too. None where something else counts processes.
        folders: The folders they write to, the work folder first.
        limits: The limits.
        scratch: In-memory folders, as paths below the process's root.
        group: The control group that counts the memory; None to sample it.
    """

    def __init__(
        self,
        pid: int | None,
        folders: Sequence[Path],
        limits: SandboxLimits,
        scratch: Sequence[str] = (),
        group: Cgroup | None = None,
    ) -> None:
        self._pid, self._folders, self._limits, self._group = pid, folders, limits, group
        self._scratch = [f"/proc/{pid}/root{path}" for path in scratch]
        self._initial_usage = measure(folders)
        self._initial_free_bytes = _free_disk(folders[0])
        self._disk_due = 0.0
        self._hidden = HiddenUsage()

    def exceeded_limit(self) -> str | None:
        """The limit that is exceeded now; None if no limit is."""
        return self._check_processes() or self._check_disk()

    async def wait(self) -> str:
        """Wait until a limit is exceeded; returns its name."""
        while True:
            await asyncio.sleep(_INTERVAL_S)
            exceeded = self._check_processes()
            if exceeded is None and time.monotonic() >= self._disk_due:
                exceeded = await asyncio.to_thread(self._check_disk)
            if exceeded:
                return exceeded

    def _check_processes(self) -> str | None:
        if self._pid is None:
            return None
        pids = descendants(self._pid, self._limits.processes * 2 + 16)
        if len(pids) > self._limits.processes + 4:  # allows for bwrap's own process and for short-lived ones
            return "processes"
        if self._exceeds_memory(pids) or _free_memory() < _MIN_FREE_MEMORY_MIB * _MIB:
            return "memory"
        return "cpu" if sum(map(cpu_s, pids)) > self._limits.total_cpu_s else None

    def _exceeds_memory(self, pids: Sequence[int]) -> bool:
        """True if memory use exceeds the limit, by the control group's count or by the sampled sum."""
        limit, hidden = self._limits.memory_mib * _MIB, self._hidden
        if self._group is not None:
            return self._group.ran_out_of_memory() or hidden.connections_bytes > limit
        memory = memory_use(pids)
        shared = max(memory.shared_bytes, hidden.mapped_bytes)
        return memory.own_bytes + shared + hidden.memory_bytes > limit

    def _check_disk(self) -> str | None:
        started = time.monotonic()
        limit = self._initial_usage.entries + self._limits.files
        usage = measure(self._folders, limit)
        files, size = usage.entries, usage.disk_bytes
        files += sum(map(_inodes, self._scratch))
        if self._pid is not None:
            pids = descendants(self._pid, self._limits.processes * 2 + 16)
            self._hidden = hidden_usage(pids, self._scratch)
            size += self._hidden.disk_bytes
        self._disk_due = time.monotonic() + max(_DISK_INTERVAL_S, 10 * (time.monotonic() - started))
        if files > limit:
            return "files"
        free = _free_disk(self._folders[0])
        grown = size - self._initial_usage.disk_bytes
        if (
            usage.unreadable > self._initial_usage.unreadable
        ):  # unreadable folders: only the change in free space shows their size
            grown = max(grown, self._initial_free_bytes - free)
        return "disk" if free < _MIN_FREE_DISK_MIB * _MIB or grown > self._limits.disk_mib * _MIB else None


def _free_disk(folder: Path) -> int:
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize


def _free_memory() -> int:
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return 1 << 62
    available = [int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("MemAvailable:")]
    return available[0] if available else 1 << 62


def _inodes(scratch: str) -> int:
    """The number of inodes in an in-memory file system; each takes about a kilobyte that is not counted elsewhere."""
    try:
        state = os.statvfs(scratch)
    except OSError:  # not mounted yet, or no longer
        return 0
    return state.f_files - state.f_ffree
