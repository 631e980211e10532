"""Control groups: the kernel's own count of all the memory of one run, where making such a group is ours to do.

What processes show of themselves leaves out what the kernel holds for them: queues of sockets and pipes, files in
memory, shared memory that nobody has mapped, page tables. A group counts all of it, and holds the sum. As root there
is one on hosts with the memory controller of cgroup v1; with v2 where systemd gave it to us (``Delegate=memory`` with
``DelegateSubgroup=``), or where the group that we are in may have others below it. See cgroups(7), and
Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst of the kernel.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"countersign-(\d+)-(\d+)-[0-9a-f]+")
_SLACK_BYTES: Final = 32 * 1024 * 1024
"""For what runs beside the command: bwrap, the relay of its doors, landlock's launcher."""
_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class CgroupFiles:
    """How a version calls the limit of memory, that of swap with what it is set to, and what counts kills."""

    most: str
    swap: str
    swap_most: str | None
    events: str


# v1 has a limit for the queues of connections, too, and setting it costs each start 10 ms; so the watch counts them
_V1: Final = CgroupFiles("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", None, "memory.oom_control")
_V2: Final = CgroupFiles("memory.max", "memory.swap.max", "0", "memory.events")


@dataclass(frozen=True, slots=True)
class Cgroup:
    """The group of one run."""

    path: Path
    files: CgroupFiles

    def add(self, pid: int) -> None:
        """Move a process in; what it starts afterwards is in it, too. Raises `OSError`."""
        (self.path / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def was_full(self) -> bool:
        """Whether the kernel had to kill something in it for want of memory."""
        with contextlib.suppress(OSError):
            return _killed(self.path / self.files.events) > 0
        return False


@dataclass(frozen=True, slots=True)
class Cgroups:
    """Makes groups below `parent`; `left` are those of finished runs that could not be removed at once."""

    parent: Path
    files: CgroupFiles
    left: list[Path] = field(default_factory=list, compare=False)

    @contextlib.contextmanager
    def group(self, memory_mib: int) -> Iterator[Cgroup]:
        """A group for a run of so much memory; gone afterwards, if its processes are. Raises `OSError`."""
        path = self.parent / f"countersign-{os.getpid()}-{_began(os.getpid())}-{secrets.token_hex(6)}"
        path.mkdir()
        try:
            most = str(memory_mib * _MIB + _SLACK_BYTES)
            (path / self.files.most).write_text(most, encoding="ascii")
            if (path / self.files.swap).exists():
                (path / self.files.swap).write_text(self.files.swap_most or most, encoding="ascii")
            yield Cgroup(path, self.files)
        finally:
            self.left.append(path)
            self.sweep()

    def sweep(self) -> None:
        """Remove the groups of finished runs and of dead workers; one that still has processes stays for the next."""
        for path in self.left.copy():
            with contextlib.suppress(OSError):
                path.rmdir()
            if not path.exists():
                with contextlib.suppress(ValueError):  # another run of ours was faster
                    self.left.remove(path)
        with contextlib.suppress(OSError):
            for path in self.parent.glob("countersign-*"):
                named = _NAME.fullmatch(path.name)
                if named and _began(int(named[1])) != named[2]:
                    with contextlib.suppress(OSError):
                        path.rmdir()


def find_groups() -> Cgroups | None:
    """Where we may make groups, if anywhere: decided by making one."""
    for parent, files in _candidates():
        if files is _V2 and not _hands_down(parent):
            continue
        groups = Cgroups(parent, files)
        with contextlib.suppress(OSError, ValueError):
            _try(groups)
            return groups
    return None


def _try(groups: Cgroups) -> None:
    """Move a process of ours into a group."""
    with groups.group(64) as group, subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, env={}) as process:
        try:
            _killed(group.path / group.files.events)
            group.add(process.pid)
        finally:
            process.kill()


def _candidates(proc: Path = Path("/proc/self")) -> Iterator[tuple[Path, CgroupFiles]]:
    """The groups that we are in, as this host shows them; with v2 also the one above, if systemd made that ours."""
    with contextlib.suppress(OSError):
        mounts = (proc / "mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        for line in (proc / "cgroup").read_text(encoding="utf-8", errors="replace").splitlines():
            number, controllers, at = line.split(":", 2)
            files = _V2 if number == "0" and not controllers else _V1
            if files is _V1 and "memory" not in controllers.split(","):
                continue
            for root, mounted in _mounted(mounts, files):
                if at == root or at.startswith(root.rstrip("/") + "/"):
                    path = mounted / at[len(root.rstrip("/")) :].strip("/")
                    yield path, files
                    if files is _V2 and _is_delegated(path.parent):
                        yield path.parent, files


def _mounted(mounts: list[str], files: CgroupFiles) -> Iterator[tuple[str, Path]]:
    """What of the hierarchy is mounted where, by proc_pid_mountinfo(5)."""
    for line in mounts:
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if (kind == "cgroup2") if files is _V2 else (kind == "cgroup" and "memory" in options.split(",")):
            _, _, _, root, at, *_ = before.split(" ")
            yield root, Path(at)


def _is_delegated(path: Path) -> bool:
    """By the marks that systemd sets on what it leaves to a service."""
    for space in ("user", "trusted"):
        with contextlib.suppress(OSError):
            return os.getxattr(path, f"{space}.delegate") == b"1"
    return False


def _hands_down(parent: Path) -> bool:
    """Whether the groups below have the memory controller; asks for it if not."""
    control = parent / "cgroup.subtree_control"
    with contextlib.suppress(OSError):
        if "memory" not in control.read_text(encoding="ascii").split():
            control.write_text("+memory", encoding="ascii")
        return "memory" in control.read_text(encoding="ascii").split()
    return False


def _killed(events: Path) -> int:
    """How often the kernel killed in a group; raises `ValueError` for one that does not tell."""
    for line in events.read_text(encoding="ascii").splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    raise ValueError(f"{events} does not count kills")


def _began(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[19]
    except OSError:
        return ""


def counting(groups: Cgroups | None) -> str:
    """For the doctor: who counts the memory of a run."""
    if groups is None:
        return "memory is added up from outside, for no control group is ours to make (docs/operating.md)"
    return "a control group holds the memory of each run"
