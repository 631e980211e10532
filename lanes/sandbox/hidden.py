"""What processes hold beside what they show of their memory, as far as it can be seen from outside.

Where no control group counts for us, this does: open files without a name, mapped ones that nobody else can find,
queues of sockets and pipes, and files in memory. It is an upper bound where the kernel tells no sum: a socket counts
for what its queue can hold.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_KIB: Final = 1024
_PIPE_BYTES: Final = 64 * _KIB
_PIPES_BYTES: Final = 64 * 1024 * _KIB
_LATE_PIPE_BYTES: Final = 8 * _KIB
"""A pipe takes 64 KiB; beyond 64 MiB of a user's they have two pages each (pipe(7), pipe-user-pages-soft)."""
_QUEUED: Final = 11
"""How many datagrams wait at one socket at most, of as many senders (net.unix.max_dgram_qlen, and one)."""
_MAPPED: Final = re.compile(
    r"^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ ([0-9a-f]+):([0-9a-f]+) ([1-9]\d*) +(.*) \(deleted\)$", re.MULTILINE
)
_IN_MEMORY: Final = ("/dev/zero", "/memfd:", "/SYSV")


@dataclass(slots=True)
class HiddenUsage:
    """The bytes on disk and in memory that are held, and by what.

    `mapped_bytes` are shared memory, resident or not; `connections_bytes`, which `memory_bytes` includes, what waits
    in TCP and UDP.
    """

    disk_bytes: int = 0
    memory_bytes: int = 0
    mapped_bytes: int = 0
    connections_bytes: int = 0
    sockets: set[int] = field(default_factory=set)
    pipes: set[int] = field(default_factory=set)
    files: set[int] = field(default_factory=set)
    maps: set[int] = field(default_factory=set)


def held_by(pids: Sequence[int], scratch: Sequence[str]) -> HiddenUsage:
    """What these processes hold; `scratch` are folders in memory of their own, with all that is in them."""
    hidden = HiddenUsage(memory_bytes=sum(map(_taken, scratch)))
    passed = {device for path in scratch if (device := _device(path)) is not None}
    for pid in pids:
        _open_files(pid, hidden, passed)
        _mappings(pid, hidden, passed)
    pipes = len(hidden.pipes)
    hidden.memory_bytes += min(pipes * _PIPE_BYTES, _PIPES_BYTES + pipes * _LATE_PIPE_BYTES)
    sockets = len(hidden.sockets)
    if pids and _has_own_network(pids[0]):
        hidden.connections_bytes = _connections(pids[0])
        sockets = _unix_sockets(pids[0])
    hidden.memory_bytes += hidden.connections_bytes + sockets * _queue_bytes()
    return hidden


def _open_files(pid: int, hidden: HiddenUsage, passed: set[int]) -> None:
    with contextlib.suppress(OSError), os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                status = entry.stat()
                if stat.S_ISSOCK(status.st_mode):
                    hidden.sockets.add(status.st_ino)
                elif stat.S_ISFIFO(status.st_mode):
                    hidden.pipes.add(status.st_ino)
                elif stat.S_ISREG(status.st_mode) and status.st_nlink == 0 and status.st_dev not in passed:
                    if status.st_ino in hidden.files:
                        continue
                    hidden.files.add(status.st_ino)
                    if os.readlink(entry.path).startswith("/memfd:"):  # noqa: PTH115 - a magic link
                        hidden.memory_bytes += status.st_blocks * 512
                    else:
                        hidden.disk_bytes += status.st_blocks * 512


def _mappings(pid: int, hidden: HiddenUsage, passed: set[int]) -> None:
    """Files without a name that are mapped, and may be open nowhere; by their size, for that is all that is told."""
    try:
        text = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for start, end, major, minor, number, name in _MAPPED.findall(text):
        # by its number alone: a layer has another device here than where it is open
        seen = hidden.maps if name.startswith(_IN_MEMORY) else hidden.files
        if os.makedev(int(major, 16), int(minor, 16)) in passed or int(number) in seen:
            continue
        seen.add(int(number))
        size = int(end, 16) - int(start, 16)
        if seen is hidden.maps:
            hidden.mapped_bytes += size
        else:
            hidden.disk_bytes += size


def _has_own_network(pid: int) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")  # noqa: PTH115 - magic links
    except OSError:
        return False


def _connections(pid: int) -> int:
    """What waits in the connections of a process' network, by proc_net(5)."""
    total = 0
    for name in ("tcp", "tcp6", "udp", "udp6"):
        for fields in _lines(pid, name):
            sent, _, came = fields[4].partition(":")  # tx_queue:rx_queue
            total += int(sent, 16) + int(came, 16)
    return total


def _unix_sockets(pid: int) -> int:
    """How many unix sockets there are in a process' network, each of datagrams as many as may have sent to it."""
    kinds = [fields[4] for fields in _lines(pid, "unix")]  # Num RefCount Protocol Flags Type
    return len(kinds) + (_QUEUED - 1) * kinds.count("0002")


def _lines(pid: int, name: str) -> list[list[str]]:
    try:
        lines = Path(f"/proc/{pid}/net/{name}").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [fields for line in lines[1:] if len(fields := line.split()) > 4]


def _queue_bytes() -> int:
    """What a socket's queue holds by default, which a run cannot change (see `lanes.sandbox.calls`)."""
    try:
        return int(Path("/proc/sys/net/core/wmem_default").read_text(encoding="ascii"))
    except OSError:
        return 212_992


def _taken(scratch: str) -> int:
    """The bytes that a file system in memory holds."""
    try:
        state = os.statvfs(scratch)
    except OSError:  # not yet there, or there no more
        return 0
    return (state.f_blocks - state.f_bfree) * state.f_frsize


def _device(path: str) -> int | None:
    try:
        return os.stat(path).st_dev  # noqa: PTH116 - a magic link, which no Path should touch
    except OSError:
        return None
