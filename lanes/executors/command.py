"""The `command` executor: runs a lane's own command in the sandbox, on a copy of the files, and takes the result."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from core.model.advice import CommandName, Suggestion, advise
from core.model.change import show_path
from core.model.errors import CountersignError, Problem, TransientError, WorkError
from core.model.lane import Lane
from core.ports.executor import ExecutorResult, WorkOrder
from core.ports.repository import Repository
from lanes.executors.workplace import Workplaces
from lanes.repository import as_git
from lanes.sandbox import Sandbox, SandboxLimits, SandboxResult, SandboxRun, sandbox_capability

LOG: Final = "command.log"
_FULL_BYTES: Final = 16 * 1024 * 1024
_LIMITS: Final = {
    "wall": ("timed_out", "was not done after {wall_s} s", "Raise `wall_s` in the lane's limits, or ask for less."),
    "memory": ("memory_limit", "used more than {memory_mib} MiB", "Raise `memory_mib` in the lane's limits."),
    "processes": (
        "process_limit",
        "started more than {processes} processes",
        "Raise `processes` in the lane's limits.",
    ),
    "cpu": (
        "cpu_limit",
        "used more CPU time than a lane may",
        "Raise `wall_s` in the lane's limits, or ask for less.",
    ),
    "disk": ("disk_limit", "wrote more than a lane may", "Let the command write less."),
    "files": ("disk_limit", "made more files than a lane may", "Let the command write less."),
}


class CommandExecutor:
    """Runs what the lane's file says, never a shell and never a word of the request."""

    name = "command"
    reads = False
    deterministic = False

    def __init__(self, scratch: Path, find: Callable[[str], Sandbox | Problem]) -> None:
        self._places = Workplaces(scratch)
        self._find = find

    def unavailable(self, lane: Lane) -> Problem | None:
        """Why no command can run here."""
        found = self._find(lane.isolation.kind)
        return found if isinstance(found, Problem) else None

    def needs(self, lane: Lane) -> frozenset[str]:
        """A sandbox, and what the lane asks for."""
        return frozenset({sandbox_capability(lane.isolation.kind), *lane.needs})

    async def produce(self, order: WorkOrder, repository: Repository) -> ExecutorResult:
        """The tree that the command leaves; raises `WorkError` with its log when it fails."""
        sandbox = await asyncio.to_thread(self._find, order.lane.isolation.kind)
        if isinstance(sandbox, Problem):
            raise TransientError(sandbox.code, sandbox.message, sandbox.mend, retry_after_s=600)
        async with self._places.showing(as_git(repository), order.start, sandbox) as place:
            run = SandboxRun(
                order.lane.command,
                place.directory,
                SandboxLimits.from_lane_limits(order.lane.limits),
                environment=dict(order.lane.environment),
                image=order.lane.isolation.image,
                lower=place.beneath,
            )
            ran = await sandbox.run(run)
            if problem := _problem(ran, order.lane, place.directory):
                raise problem
            tree = await place.take()
        return ExecutorResult(tree, {LOG: ran.log})


def _problem(ran: SandboxResult, lane: Lane, folder: Path) -> CountersignError | None:
    """What to tell when the command did not do its work."""
    if ran.exit_code == 0:
        return None
    if shutil.disk_usage(folder).free < _FULL_BYTES:
        mend = "Make room on the disk that holds the state folder."
        return TransientError("disk_full", "The disk is full", mend, retry_after_s=60)
    said = _last_lines(ran.log)
    if ran.limit_hit is not None:
        code, what, mend = _LIMITS[ran.limit_hit]
        limits = lane.limits
        told = what.format(wall_s=limits.wall_s, memory_mib=limits.memory_mib, processes=limits.processes)
        return WorkError(code, f"The command of lane {lane.name} {told}{said}", mend, artifacts={LOG: ran.log})
    message = f"The command of lane {lane.name} ended with {ran.exit_code}{said}"
    if ran.exit_code == 127:
        mend = "The sandbox has the programs of /usr only; name one of them."
        return WorkError("command_failed", message, mend, artifacts={LOG: ran.log})
    look = advise(
        "Mend the command, or what it works on; its log is in ",
        Suggestion(CommandName.TRANSCRIPT),
        ".",
        otherwise="Mend the command, or what it works on; whoever runs Countersign can read its log.",
    )
    return WorkError("command_failed", message, look, artifacts={LOG: ran.log})


def _last_lines(log: bytes, lines: int = 3) -> str:
    """The end of a log in one line, with every odd character visible; of a Python traceback only what went wrong."""
    log = log.rpartition(b"Traceback (most recent call last):")[2]
    kept = [show_path(line[-300:]) for line in log.split(b"\n") if line.strip() and not line.startswith(b"  ")]
    return f": {' / '.join(kept[-lines:])}" if kept else ""
