"""Control groups, by which the kernel counts and bounds all the memory of one run, on hosts where we may create them.

What processes report of themselves leaves out memory that the kernel holds for them: socket and pipe queues, files in
memory, unmapped shared memory and page tables. A control group counts all of it. Root can create one on hosts with
the memory controller of cgroup v1. With v2, systemd must have delegated it (``Delegate=memory`` with
``DelegateSubgroup=``), or our own group must allow children. See cgroups(7) and the kernel's
Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst.
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

from core.model.errors import TransientError
from lanes.sandbox.interface import SandboxLimits
from lanes.sandbox.processes import start_time

_NAME: Final = re.compile(r"countersign-(\d+)-(\d+)-[0-9a-f]+")
_SLACK_BYTES: Final = 32 * 1024 * 1024
"""Allowance for what runs in addition to the command: bwrap, the relay of its forwards, the landlock launcher."""
_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class CgroupFiles:
    """The file names of one cgroup version: memory limit, swap limit with the value to write, and the kill counter.

    `swap_value` is None where the swap limit includes memory, so that it gets the memory limit.
    """

    memory_limit: str
    swap_limit: str
    swap_value: str | None
    events: str


# v1 can also limit TCP buffers, but setting that delays each start by 10 ms, so `LimitWatch` counts them
_V1: Final = CgroupFiles("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", None, "memory.oom_control")
_V2: Final = CgroupFiles("memory.max", "memory.swap.max", "0", "memory.events")


@dataclass(frozen=True, slots=True)
class Cgroup:
    """The control group of one run."""

    path: Path
    files: CgroupFiles

    def add(self, pid: int) -> None:
        """Move a process into the group; its future children belong to it too. Raises `OSError`."""
        (self.path / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def ran_out_of_memory(self) -> bool:
        """True if the kernel killed a process in the group because memory ran out."""
        with contextlib.suppress(OSError):
            return _oom_kills(self.path / self.files.events) > 0
        return False


@dataclass(frozen=True, slots=True)
class CgroupParent:
    """Creates groups below `parent`; `pending_removal` are groups of finished runs that could not be removed yet."""

    parent: Path
    files: CgroupFiles
    pending_removal: list[Path] = field(default_factory=list, compare=False)

    @contextlib.contextmanager
    def create(self, memory_mib: int) -> Iterator[Cgroup]:
        """A group for a run with `memory_mib` of memory, removed on exit if it is empty. Raises `OSError`."""
        path = self.parent / f"countersign-{os.getpid()}-{start_time(os.getpid())}-{secrets.token_hex(6)}"
        path.mkdir()
        try:
            limit = str(memory_mib * _MIB + _SLACK_BYTES)
            (path / self.files.memory_limit).write_text(limit, encoding="ascii")
            if (path / self.files.swap_limit).exists():
                (path / self.files.swap_limit).write_text(self.files.swap_value or limit, encoding="ascii")
            yield Cgroup(path, self.files)
        finally:
            self.pending_removal.append(path)
            self.remove_abandoned()

    def remove_abandoned(self) -> None:
        """Remove the groups of finished runs and dead workers; a group that still has processes is kept for later."""
        for path in self.pending_removal.copy():
            with contextlib.suppress(OSError):
                path.rmdir()
            if not path.exists():
                with contextlib.suppress(ValueError):  # another thread removed it already
                    self.pending_removal.remove(path)
        with contextlib.suppress(OSError):
            for path in self.parent.glob("countersign-*"):
                match = _NAME.fullmatch(path.name)
                if match and start_time(int(match[1])) != match[2]:
                    with contextlib.suppress(OSError):
                        path.rmdir()


def find_cgroup_parent() -> CgroupParent | None:
    """Where we may create control groups, None if nowhere; decided by creating one."""
    for parent, files in _candidates():
        if files is _V2 and not _has_memory_controller(parent):
            continue
        groups = CgroupParent(parent, files)
        with contextlib.suppress(OSError, ValueError):
            _probe(groups)
            return groups
    return None


def _probe(groups: CgroupParent) -> None:
    """Move a process into a new group; raises `OSError` or `ValueError` when that does not work."""
    with groups.create(64) as group, subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, env={}) as process:
        try:
            _oom_kills(group.path / group.files.events)
            group.add(process.pid)
        finally:
            process.kill()


def _candidates(proc: Path = Path("/proc/self")) -> Iterator[tuple[Path, CgroupFiles]]:
    """The groups we belong to; with v2 also the parent group when systemd delegated it to us."""
    with contextlib.suppress(OSError):
        mounts = (proc / "mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        for line in (proc / "cgroup").read_text(encoding="utf-8", errors="replace").splitlines():
            number, controllers, at = line.split(":", 2)
            files = _V2 if number == "0" and not controllers else _V1
            if files is _V1 and "memory" not in controllers.split(","):
                continue
            for root, mount_point in _mount_points(mounts, files):
                if at == root or at.startswith(root.rstrip("/") + "/"):
                    path = mount_point / at[len(root.rstrip("/")) :].strip("/")
                    yield path, files
                    if files is _V2 and _is_delegated(path.parent):
                        yield path.parent, files


def _mount_points(mounts: list[str], files: CgroupFiles) -> Iterator[tuple[str, Path]]:
    """The (root, mount point) pairs of the cgroup hierarchy, from proc_pid_mountinfo(5)."""
    for line in mounts:
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if (kind == "cgroup2") if files is _V2 else (kind == "cgroup" and "memory" in options.split(",")):
            _, _, _, root, at, *_ = before.split(" ")
            yield root, Path(at)


def _is_delegated(path: Path) -> bool:
    """True if systemd set its delegation attribute on the group; see systemd.resource-control(5), Delegate=."""
    for namespace in ("user", "trusted"):
        with contextlib.suppress(OSError):
            return os.getxattr(path, f"{namespace}.delegate") == b"1"
    return False


def _has_memory_controller(parent: Path) -> bool:
    """True if child groups have the memory controller; enables it if needed."""
    control = parent / "cgroup.subtree_control"
    with contextlib.suppress(OSError):
        if "memory" not in control.read_text(encoding="ascii").split():
            control.write_text("+memory", encoding="ascii")
        return "memory" in control.read_text(encoding="ascii").split()
    return False


def _oom_kills(events: Path) -> int:
    """How many processes the kernel killed in a group; raises `ValueError` when the file does not say."""
    for line in events.read_text(encoding="ascii").splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    raise ValueError(f"{events} does not count kills")


def enter_run_cgroup(stack: contextlib.ExitStack, groups: CgroupParent | None, limits: SandboxLimits) -> Cgroup | None:
    """A control group for one run, removed when `stack` closes; None without `groups`.

    Raises:
        TransientError: The group cannot be created, although one could be when the worker started.
    """
    if groups is None:
        return None
    try:
        return stack.enter_context(groups.create(limits.memory_mib))
    except OSError as error:
        message = f"Cannot create a control group for the run: {error}"
        raise TransientError("sandbox_failed", message, "Restart the worker.", retry_after_s=30) from error


def memory_accounting(groups: CgroupParent | None) -> str:
    """A sentence for the doctor that says who accounts for a run's memory."""
    if groups is None:
        return "memory is sampled from outside: this host lets us create no control group (docs/operating.md)"
    return "a control group limits the memory of each run"
