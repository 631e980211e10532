"""The interface of every sandbox: what one run sees and may use, how it ended, and its limits."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, Self

from core.model.lane import Limits

_SLACK_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """Upper bounds of one run.

    `memory_mib` bounds each process and the sum of all. `disk_mib` bounds the growth of the work folder and the size of
    one file; `files` bounds the number of new entries, scratch folders included. `cpu_s` is the processor time of all
    processes together; 0 means as much as the host's processors have in `wall_s`. `log_bytes` is how much output is
    kept.
    """

    wall_s: float = 300
    memory_mib: int = 2048
    processes: int = 256
    log_bytes: int = 1024 * 1024
    disk_mib: int = 1024
    files: int = 200_000
    cpu_s: float = 0

    @property
    def total_cpu_s(self) -> float:
        """The bound on the processor time of all processes together, in seconds."""
        return self.cpu_s or self.wall_s * (os.cpu_count() or 1) + _SLACK_S

    @classmethod
    def from_lane_limits(cls, limits: Limits) -> Self:
        """The limits of a run that a lane's limits ask for."""
        return cls(limits.wall_s, limits.memory_mib, limits.processes, limits.log_bytes)


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """How a run ended; every process it started is dead.

    `exit_code` is the command's (128 + n when signal n ended it), None when it was stopped. `limit_hit` names the limit
    that stopped it: wall, cpu, memory, processes, disk or files. A limit that the kernel enforces on a single process
    (memory, file size, open files) is an error inside that process and is not reported here. `log` is the output; the
    middle of a long one is left out.
    """

    exit_code: int | None
    log: bytes
    limit_hit: str | None
    wall_s: float

    @property
    def timed_out(self) -> bool:
        """True if time ran out."""
        return self.limit_hit == "wall"


@dataclass(frozen=True, slots=True)
class PortForward:
    """The only connection out of a sandbox: ``127.0.0.1:port`` inside is forwarded to the unix socket `socket`."""

    socket: Path
    port: int


@dataclass(frozen=True, slots=True)
class SandboxRun:
    """One command to run.

    Attributes:
        argv: The command.
        directory: Its work folder, visible as ``/work``; the only folder it can write to.
        limits: Its limits.
        environment: Variables added to the base environment.
        programs: Host folders that it sees read-only at their own paths.
        home: The files of its home folder, by relative path.
        forwards: The ports it can connect to.
        image: The container image, for sandboxes that are containers.
        lower: A folder whose files it sees under ``/work`` too; `directory` then holds only the changes
            (see `lanes.repository.layer`).
        on_output: Receives the output as it is written.
    """

    argv: tuple[str, ...]
    directory: Path
    limits: SandboxLimits = field(default_factory=SandboxLimits)
    environment: Mapping[str, str] = field(default_factory=dict)
    programs: tuple[Path, ...] = ()
    home: Mapping[str, bytes] = field(default_factory=dict)
    forwards: tuple[PortForward, ...] = ()
    image: str = ""
    lower: Path | None = None
    on_output: Callable[[bytes], None] | None = None


@dataclass(frozen=True, slots=True)
class OverlaySupport:
    """Support for showing files under a writable layer; they must belong to `owner` (None: to our own user)."""

    owner: int | None = None


def sandbox_capability(kind: str) -> str:
    """The node capability that a sandbox of this kind provides and that lanes with this isolation require."""
    return "sandbox" if kind == "bwrap" else f"sandbox:{kind}"


class Sandbox(Protocol):
    """Runs one command on one folder.

    `overlay` is None when the sandbox cannot show files under the folder. `memory_accounting` says, for the doctor, who
    accounts for a run's memory.
    """

    kind: str
    overlay: OverlaySupport | None
    memory_accounting: str

    async def run(self, run: SandboxRun) -> SandboxResult:
        """Run a command to its end; no process of it survives, even on cancellation.

        Raises:
            TransientError: The sandbox itself did not start.
            PermanentError: This sandbox cannot run it.
        """


class BoundedLog:
    """Collects output and keeps only its first and last part, `limit_bytes` together."""

    def __init__(self, limit_bytes: int) -> None:
        self._head_room = limit_bytes // 2
        self._tail_room = limit_bytes - self._head_room
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._dropped = 0

    def add(self, chunk: bytes) -> None:
        """Append the next piece of output."""
        room = self._head_room - len(self._head)
        if room > 0:
            self._head += chunk[:room]
            chunk = chunk[room:]
        if not chunk:
            return
        self._tail.append(chunk)
        self._tail_bytes += len(chunk)
        while self._tail_bytes - len(self._tail[0]) >= self._tail_room:
            removed = self._tail.popleft()
            self._tail_bytes -= len(removed)
            self._dropped += len(removed)

    def content(self) -> bytes:
        """The kept output; a line in the middle says how many bytes were left out."""
        tail = b"".join(self._tail)
        excess = max(0, len(tail) - self._tail_room)
        dropped = self._dropped + excess
        if not dropped:
            return bytes(self._head) + tail
        return bytes(self._head) + b"\n[... %d bytes left out ...]\n" % dropped + tail[excess:]
