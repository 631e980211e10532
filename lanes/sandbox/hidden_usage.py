"""Measures the memory and disk space that processes hold without reporting it, as far as /proc shows it.

Used where no control group counts for us. It covers unlinked open files, unlinked mapped files, socket and pipe queues,
and files in memory. Where the kernel reports no sum it is an upper bound: a socket counts as its full queue.
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
_FULL_PIPES_BYTES: Final = 64 * 1024 * _KIB
_SMALL_PIPE_BYTES: Final = 8 * _KIB
"""A pipe takes 64 KiB; beyond 64 MiB per user a pipe has two pages (pipe(7), pipe-user-pages-soft)."""
_DATAGRAMS_PER_SOCKET: Final = 11
"""How many datagrams one socket can queue from as many senders (net.unix.max_dgram_qlen, plus one)."""
_MAPPED: Final = re.compile(
    r"^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ ([0-9a-f]+):([0-9a-f]+) ([1-9]\d*) +(.*) \(deleted\)$", re.MULTILINE
)
_IN_MEMORY: Final = ("/dev/zero", "/memfd:", "/SYSV")


@dataclass(slots=True)
class HiddenUsage:
    """Bytes held on disk and in memory, with the inode numbers already counted.

    `mapped_bytes` is shared memory, resident or not. `connections_bytes`, which `memory_bytes` includes, is data queued
    in TCP and UDP sockets.
    """

    disk_bytes: int = 0
    memory_bytes: int = 0
    mapped_bytes: int = 0
    connections_bytes: int = 0
    sockets: set[int] = field(default_factory=set)
    pipes: set[int] = field(default_factory=set)
    files: set[int] = field(default_factory=set)
    maps: set[int] = field(default_factory=set)


def hidden_usage(pids: Sequence[int], scratch: Sequence[str]) -> HiddenUsage:
    """Measure `pids`; `scratch` are their in-memory file systems, whose contents count too."""
    usage = HiddenUsage(memory_bytes=sum(map(_used_bytes, scratch)))
    skipped_devices = {device for path in scratch if (device := _device(path)) is not None}
    for pid in pids:
        _open_files(pid, usage, skipped_devices)
        _mappings(pid, usage, skipped_devices)
    pipes = len(usage.pipes)
    usage.memory_bytes += min(pipes * _PIPE_BYTES, _FULL_PIPES_BYTES + pipes * _SMALL_PIPE_BYTES)
    sockets = len(usage.sockets)
    if pids and _has_own_network(pids[0]):
        usage.connections_bytes = _queued_bytes(pids[0])
        sockets = _unix_sockets(pids[0])
    usage.memory_bytes += usage.connections_bytes + sockets * _queue_bytes()
    return usage


def _open_files(pid: int, usage: HiddenUsage, skipped_devices: set[int]) -> None:
    with contextlib.suppress(OSError), os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                status = entry.stat()
                if stat.S_ISSOCK(status.st_mode):
                    usage.sockets.add(status.st_ino)
                elif stat.S_ISFIFO(status.st_mode):
                    usage.pipes.add(status.st_ino)
                elif stat.S_ISREG(status.st_mode) and status.st_nlink == 0 and status.st_dev not in skipped_devices:
                    if status.st_ino in usage.files:
                        continue
                    usage.files.add(status.st_ino)
                    if os.readlink(entry.path).startswith("/memfd:"):  # noqa: PTH115 - a magic link
                        usage.memory_bytes += status.st_blocks * 512
                    else:
                        usage.disk_bytes += status.st_blocks * 512


def _mappings(pid: int, usage: HiddenUsage, skipped_devices: set[int]) -> None:
    """Count mapped files that are unlinked and may not be open; by mapped size, since no other size is known."""
    try:
        text = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for start, end, major, minor, number, name in _MAPPED.findall(text):
        # by inode number alone: a file on an overlay has another device here than among the open files
        seen = usage.maps if name.startswith(_IN_MEMORY) else usage.files
        if os.makedev(int(major, 16), int(minor, 16)) in skipped_devices or int(number) in seen:
            continue
        seen.add(int(number))
        size = int(end, 16) - int(start, 16)
        if seen is usage.maps:
            usage.mapped_bytes += size
        else:
            usage.disk_bytes += size


def _has_own_network(pid: int) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")  # noqa: PTH115 - magic links
    except OSError:
        return False


def _queued_bytes(pid: int) -> int:
    """The bytes queued in the TCP and UDP sockets of a process's network namespace, from proc_net(5)."""
    total = 0
    for name in ("tcp", "tcp6", "udp", "udp6"):
        for fields in _socket_table(pid, name):
            tx_queue, _, rx_queue = fields[4].partition(":")  # tx_queue:rx_queue
            total += int(tx_queue, 16) + int(rx_queue, 16)
    return total


def _unix_sockets(pid: int) -> int:
    """The number of unix sockets in a process's network; a datagram socket counts once per possible sender."""
    kinds = [fields[4] for fields in _socket_table(pid, "unix")]  # Num RefCount Protocol Flags Type
    return len(kinds) + (_DATAGRAMS_PER_SOCKET - 1) * kinds.count("0002")


def _socket_table(pid: int, name: str) -> list[list[str]]:
    try:
        lines = Path(f"/proc/{pid}/net/{name}").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [fields for line in lines[1:] if len(fields := line.split()) > 4]


def _queue_bytes() -> int:
    """The default size of a socket's queue, which a run cannot change (see `lanes.sandbox.seccomp`)."""
    try:
        return int(Path("/proc/sys/net/core/wmem_default").read_text(encoding="ascii"))
    except OSError:
        return 212_992


def _used_bytes(scratch: str) -> int:
    """The bytes used in an in-memory file system."""
    try:
        state = os.statvfs(scratch)
    except OSError:  # not mounted yet, or no longer
        return 0
    return (state.f_blocks - state.f_bfree) * state.f_frsize


def _device(path: str) -> int | None:
    try:
        return os.stat(path).st_dev  # noqa: PTH116 - a magic link, which Path would resolve
    except OSError:
        return None
