"""What the kernel tells of processes, and the limits it keeps for each of them."""

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

from lanes.sandbox.result import SandboxLimits

if sys.platform != "win32":  # elsewhere `find_sandbox` refuses before anything here is called
    import resource

    _TICKS_S: Final = os.sysconf("SC_CLK_TCK")

_MIB: Final = 1024 * 1024
NICE: Final = 10
"""What runs in a sandbox waits for who asked for it, so that a chat is answered while a build takes all it can get."""
SHARING: Final = 4096
"""The kernel counts processes for each user, and runs on a layer share one where root starts them: what is here is for
all of them at once, so that one with few processes can start them beside one with many. The watch counts for each."""


def limit_process(pid: int, confines: SandboxLimits, processes: int | None) -> None:
    """Put limits on `pid`, which all that it starts inherits; raises `OSError`.

    `processes` is how many its user may have, None where the user is not the run's own.
    """
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, math.ceil(confines.most_cpu_s) + 5),
        # not RLIMIT_AS: runtimes that reserve address space without using it (Go, Java, V8) would not start
        (resource.RLIMIT_DATA, confines.memory_mib * _MIB),
        (resource.RLIMIT_FSIZE, confines.disk_mib * _MIB),
        (resource.RLIMIT_NOFILE, 1024),
        *([(resource.RLIMIT_NPROC, processes)] if processes is not None and _counts_per_namespace() else []),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        _, hard = resource.prlimit(pid, limit)
        lower = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.prlimit(pid, limit, (lower, lower))
    os.setpriority(os.PRIO_PROCESS, pid, max(NICE, os.getpriority(os.PRIO_PROCESS, pid)))


def _counts_per_namespace() -> bool:
    """True if the kernel (5.14) counts processes for each user namespace; before, our own would count as well."""
    numbers = [int(n) for n in re.findall(r"\d+", os.uname().release)[:2]]
    return os.geteuid() == 0 or numbers >= [5, 14]


def wait_dead(pidfd: int, timeout_s: float) -> bool:
    """Wait for the process behind `pidfd`; for the first of a namespace that is the death of all in it."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


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


def waits_for_children(pid: int) -> bool:
    """Whether a process has begun others, and sleeps: the first of a sandbox then is bound to who started it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state == "S" and bool(_children(pid))


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """What processes hold that no file on disk backs, page tables included; and what of it they may share."""

    own_bytes: int = 0
    shared_bytes: int = 0


def memory_of(pids: Sequence[int]) -> MemoryUse:
    """What these processes show of their memory; what two of them share counts for both."""
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
    """The processor time of a process, with that of the children it has waited for."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, told[11:15])) / _TICKS_S  # utime, stime, cutime, cstime of proc_pid_stat(5)
