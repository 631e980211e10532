"""The `command` executor: runs a lane's own command in the sandbox on a copy of the files, and imports the result."""

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
_MIN_FREE_BYTES: Final = 16 * 1024 * 1024
_LIMITS: Final = {
    "wall": (
        "timed_out",
        "did not finish within {wall_s} s",
        "Raise `wall_s` in the lane's limits, or ask for a smaller change.",
    ),
    "memory": ("memory_limit", "used more than {memory_mib} MiB", "Raise `memory_mib` in the lane's limits."),
    "processes": (
        "process_limit",
        "started more than {processes} processes",
        "Raise `processes` in the lane's limits.",
    ),
    "cpu": (
        "cpu_limit",
        "used more CPU time than the lane allows",
        "Raise `wall_s` in the lane's limits, or ask for a smaller change.",
    ),
    "disk": ("disk_limit", "wrote more to disk than the lane allows", "Let the command write less."),
    "files": ("disk_limit", "created more files than the lane allows", "Let the command create fewer files."),
}


class CommandExecutor:
    """Runs the command of the lane's file, without a shell and without any text of the request."""

    name = "command"
    reads = False
    deterministic = False

    def __init__(self, scratch: Path, find_sandbox: Callable[[str], Sandbox | Problem]) -> None:
        self._workplaces = Workplaces(scratch)
        self._find_sandbox = find_sandbox

    def unavailable(self, lane: Lane) -> Problem | None:
        """Why the lane's sandbox is not available on this node; None when it is."""
        sandbox = self._find_sandbox(lane.isolation.kind)
        return sandbox if isinstance(sandbox, Problem) else None

    def needs(self, lane: Lane) -> frozenset[str]:
        """The capability of the lane's sandbox, and what the lane requires."""
        return frozenset({sandbox_capability(lane.isolation.kind), *lane.needs})

    async def produce(self, order: WorkOrder, repository: Repository) -> ExecutorResult:
        """The tree that the command leaves; raises `WorkError` with its log when the command fails."""
        sandbox = await asyncio.to_thread(self._find_sandbox, order.lane.isolation.kind)
        if isinstance(sandbox, Problem):
            raise TransientError(sandbox.code, sandbox.message, sandbox.mend, retry_after_s=600)
        async with self._workplaces.open(as_git(repository), order.start, sandbox) as workplace:
            run = SandboxRun(
                order.lane.command,
                workplace.directory,
                SandboxLimits.from_lane_limits(order.lane.limits),
                environment=dict(order.lane.environment),
                image=order.lane.isolation.image,
                lower=workplace.lower,
                on_output=lambda chunk: order.output.add(LOG, chunk),
            )
            result = await sandbox.run(run)
            if error := _run_error(result, order.lane, workplace.directory):
                raise error
            tree = await workplace.import_result()
        return ExecutorResult(tree, {LOG: result.log})


def _run_error(result: SandboxResult, lane: Lane, folder: Path) -> CountersignError | None:
    """The error when the command failed, None when it succeeded."""
    if result.exit_code == 0:
        return None
    if shutil.disk_usage(folder).free < _MIN_FREE_BYTES:
        mend = "Free space on the disk that holds the state folder."
        return TransientError("disk_full", "The disk is full", mend, retry_after_s=60)
    last_lines = _last_lines(result.log)
    if result.limit_hit is not None:
        code, template, mend = _LIMITS[result.limit_hit]
        limits = lane.limits
        exceeded = template.format(wall_s=limits.wall_s, memory_mib=limits.memory_mib, processes=limits.processes)
        return WorkError(
            code, f"The command of lane {lane.name} {exceeded}{last_lines}", mend, artifacts={LOG: result.log}
        )
    message = f"The command of lane {lane.name} ended with {result.exit_code}{last_lines}"
    if result.exit_code == 127:
        mend = "The sandbox has only the programs below /usr. Use one of those."
        return WorkError("command_failed", message, mend, artifacts={LOG: result.log})
    advice = advise(
        "Fix the command or the files it works on. Its log is in ",
        Suggestion(CommandName.TRANSCRIPT),
        ".",
        otherwise="Fix the command or the files it works on. Your operator can read its log.",
    )
    return WorkError("command_failed", message, advice, artifacts={LOG: result.log})


def _last_lines(log: bytes, count: int = 3) -> str:
    """The last lines of a log in one line, with unusual characters escaped; of a Python traceback only the error."""
    log = log.rpartition(b"Traceback (most recent call last):")[2]
    escaped = [show_path(line[-300:]) for line in log.split(b"\n") if line.strip() and not line.startswith(b"  ")]
    return f": {' / '.join(escaped[-count:])}" if escaped else ""
