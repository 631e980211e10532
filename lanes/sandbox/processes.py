"""Reads processes from /proc, and sets the kernel's resource limits on them."""

from __future__ import annotations

import contextlib
import math
import os
import re
import select
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.model.errors import TransientError
from lanes.sandbox.interface import SandboxLimits

if sys.platform != "win32":  # on Windows `find_bwrap` refuses before anything here is called
    import resource

    _TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")

_MIB: Final = 1024 * 1024
NICE: Final = 10
"""Sandboxed processes run at a lower priority, so that chat still answers while a build uses every processor."""
SHARED_USER_PROCESSES: Final = 4096
"""The process limit of runs that share one user.

The kernel counts processes per user, and runs on a layer share one user when root starts them. This limit covers all of
them, so that a run with few processes can start next to one with many; `LimitWatch` counts the processes of each run.
"""


def limit_process(pid: int, limits: SandboxLimits, processes: int | None) -> None:
    """Set resource limits on `pid`; its future children inherit them.

    Args:
        pid: The process.
        limits: The run's limits.
        processes: The process limit of its user; None when other runs have the same user.

    Raises:
        OSError: The process has ended, or a limit cannot be set.
    """
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, math.ceil(limits.total_cpu_s) + 5),
        # not RLIMIT_AS: runtimes that reserve address space without using it (Go, Java, V8) would fail to start
        (resource.RLIMIT_DATA, limits.memory_mib * _MIB),
        (resource.RLIMIT_FSIZE, limits.disk_mib * _MIB),
        (resource.RLIMIT_NOFILE, 1024),
        *([(resource.RLIMIT_NPROC, processes)] if processes is not None and _counts_per_namespace() else []),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        _, hard = resource.prlimit(pid, limit)
        soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.prlimit(pid, limit, (soft, soft))
    os.setpriority(os.PRIO_PROCESS, pid, max(NICE, os.getpriority(os.PRIO_PROCESS, pid)))


def _counts_per_namespace() -> bool:
    """True if the kernel counts processes per user namespace (since 5.14); older ones would count our own too."""
    numbers = [int(n) for n in re.findall(r"\d+", os.uname().release)[:2]]
    return os.geteuid() == 0 or numbers >= [5, 14]


def process_stuck_error() -> TransientError:
    """The error for a run whose processes cannot be killed."""
    message = "A process in the sandbox could not be killed, so the result of the run was discarded"
    return TransientError("sandbox_stuck", message, "Look for processes in state D on the host.", retry_after_s=60)


def start_time(pid: int) -> str:
    """The start time of a process, in clock ticks since boot (field 22 of proc_pid_stat(5)); empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[19]
    except OSError:
        return ""


def wait_for_exit(pidfd: int, timeout_s: float) -> bool:
    """Wait until the process behind `pidfd` exits; the first process of a namespace exits after all others in it."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


def descendants(pid: int, limit: int) -> list[int]:
    """`pid` and its living descendants, at most about `limit`; orphans count, since the first process adopts them."""
    pids, pending = [pid], [pid]
    while pending and len(pids) <= limit:
        for child in _children(pending.pop()):
            pids.append(child)
            pending.append(child)
    return pids


def _children(pid: int) -> list[int]:
    children: list[int] = []
    with contextlib.suppress(OSError, ValueError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                children += map(int, (task / "children").read_bytes().split())
    return children


def is_waiting_for_children(pid: int) -> bool:
    """True if a process sleeps and has children: a sandbox's first process is then tied to its parent's lifetime."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state == "S" and bool(_children(pid))


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Memory not backed by a file on disk, page tables included; `shared_bytes` is memory that processes may share."""

    own_bytes: int = 0
    shared_bytes: int = 0


def memory_use(pids: Sequence[int]) -> MemoryUse:
    """The memory that these processes report; memory shared by two of them counts twice."""
    own = shared = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
                if line.startswith(("RssAnon:", "VmPTE:")):
                    own += int(line.split()[1])
                elif line.startswith("RssShmem:"):
                    shared += int(line.split()[1])
    return MemoryUse(own * 1024, shared * 1024)


def cpu_s(pid: int) -> float:
    """The processor time of a process and of the children it has waited for, in seconds."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15])) / _TICKS_PER_S  # utime, stime, cutime, cstime of proc_pid_stat(5)
