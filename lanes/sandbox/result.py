"""What a sandbox promises: what one run sees and may use, and what is told of it afterwards."""

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

    `memory_mib` holds for each process at once and for all of them together; `disk_mib` is what the work folder may
    grow by and what one file may hold, `files` how many entries may be made, in scratch folders too; `cpu_s` is the
    processor time of all together, 0 for as much as the host's processors have in `wall_s`; `log_bytes` is what is kept
    of the output.
    """

    wall_s: float = 300
    memory_mib: int = 2048
    processes: int = 256
    log_bytes: int = 1024 * 1024
    disk_mib: int = 1024
    files: int = 200_000
    cpu_s: float = 0

    @property
    def most_cpu_s(self) -> float:
        """The processor time of all processes together."""
        return self.cpu_s or self.wall_s * (os.cpu_count() or 1) + _SLACK_S

    @classmethod
    def of(cls, limits: Limits) -> Self:
        """The confines that a lane's limits ask for."""
        return cls(limits.wall_s, limits.memory_mib, limits.processes, limits.log_bytes)


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """How a run ended; every process it started is dead.

    `exit_code` is the command's (128 + n when signal n ended it), None when it was stopped. `limit_hit` names the
    bound that stopped it: wall, cpu, memory, processes, disk or files. What one process meets alone is an error to that
    process, which may end of it or not: no memory, a file too large, no more open files. `log` is its output, the
    middle left out when long.
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
    """The only way out of a sandbox: what is sent to ``127.0.0.1:port`` inside comes out at our unix socket."""

    socket: Path
    port: int


@dataclass(frozen=True, slots=True)
class SandboxRun:
    """One command to run: `argv` in `directory`, which it sees as ``/work`` and alone may write to.

    `programs` are folders of the host that it sees at their own paths and cannot write to. `home` are the files of its
    own home folder, by path below it. `heard` gets its output as it comes. `image` names a container's, where the
    sandbox is one. With `beneath`, the files of that folder are seen under ``/work`` too, and changes of them are what
    `directory` holds afterwards (see `lanes.repository.layer`).
    """

    argv: tuple[str, ...]
    directory: Path
    confines: SandboxLimits = field(default_factory=SandboxLimits)
    environment: Mapping[str, str] = field(default_factory=dict)
    programs: tuple[Path, ...] = ()
    home: Mapping[str, bytes] = field(default_factory=dict)
    doors: tuple[PortForward, ...] = ()
    image: str = ""
    beneath: Path | None = None
    heard: Callable[[bytes], None] | None = None


@dataclass(frozen=True, slots=True)
class LayeredFiles:
    """What files beneath a layer need: to belong to the user `owner` (None: to whoever runs us)."""

    owner: int | None = None


def need_of(kind: str) -> str:
    """The capability that a node with a sandbox of this kind offers, and that lanes of this isolation need."""
    return "sandbox" if kind == "bwrap" else f"sandbox:{kind}"


class Sandbox(Protocol):
    """Runs one command on one folder, and nothing else of the host.

    `layers` is None where it cannot show files beneath the folder. `counts` says who counts the memory of a run.
    """

    kind: str
    layers: LayeredFiles | None
    counts: str

    async def run(self, run: SandboxRun) -> SandboxResult:
        """Run it to its end; whatever happens, nothing of it lives on.

        Raises `TransientError` when the sandbox itself cannot be started.
        """


class BoundedLog:
    """Output as it comes, of which the first and the last part are kept."""

    def __init__(self, limit_bytes: int) -> None:
        self._head_room = limit_bytes // 2
        self._tail_room = limit_bytes - self._head_room
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._dropped = 0

    def add(self, chunk: bytes) -> None:
        """Take the next piece of output."""
        room = self._head_room - len(self._head)
        if room > 0:
            self._head += chunk[:room]
            chunk = chunk[room:]
        if not chunk:
            return
        self._tail.append(chunk)
        self._tail_bytes += len(chunk)
        while self._tail_bytes - len(self._tail[0]) >= self._tail_room:
            gone = self._tail.popleft()
            self._tail_bytes -= len(gone)
            self._dropped += len(gone)

    def content(self) -> bytes:
        """What is kept, with a line in the middle that says how much is not."""
        tail = b"".join(self._tail)
        over = max(0, len(tail) - self._tail_room)
        dropped = self._dropped + over
        if not dropped:
            return bytes(self._head) + tail
        return bytes(self._head) + b"\n[... %d bytes left out ...]\n" % dropped + tail[over:]
