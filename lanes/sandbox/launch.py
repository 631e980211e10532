"""One start of bubblewrap: limits before its first instruction, a watch while it runs, and the death of all of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from core.model.advice import DOCTOR
from core.model.change import show_path
from core.model.errors import TransientError
from lanes.sandbox.cgroup import Cgroup, Cgroups
from lanes.sandbox.folders import tie
from lanes.sandbox.mounts import SCRATCH
from lanes.sandbox.processes import SHARING, limit_process, wait_dead, waits_for_children
from lanes.sandbox.result import BoundedLog, SandboxLimits, SandboxResult, SandboxRun
from lanes.sandbox.watch import LimitWatch

_START_S: Final = 30.0
_DEATH_S: Final = 30.0
_STEP_S: Final = 0.002
# Two wait at one pipe. bwrap waits for its limits, and goes on when we are dead. The shell inside waits until bwrap's
# first process is one that dies with us, and does not go on when we are dead: nobody would watch over its command.
_LIMITED, _GO = b"1", b"\n"
GATED: Final = (
    "/bin/sh",
    "-c",
    'read -r go || exit 125; case $1 in -*) echo "$1: not found" >&2; exit 127; esac; exec "$@" </dev/null',
    "gate",
)
"""The words before a command that `LaunchPlan` lets go: it never starts once who asked for it was killed."""


class LaunchPlan:
    """One start of bwrap, from its pipes to the death of its last process."""

    def __init__(
        self, stack: contextlib.ExitStack, run: SandboxRun, folder: Path, groups: Cgroups | None = None
    ) -> None:
        """`folder` is the run's own; with `groups` it gets a control group of its own, too."""
        self._stack, self._run, self._confines, self._folder = stack, run, run.confines, folder
        self._group = grouped(stack, groups, run.confines)
        self._log = BoundedLog(run.confines.log_bytes)
        self._statuses: dict[str, Any] = {}
        self._deaf: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def go(
        self, program: Sequence[str], options: Sequence[str], argv: Sequence[str], calls: bytes
    ) -> SandboxResult:
        """Start, watch, and end it; `argv` begins the command with `GATED`, `calls` is the filter of system calls."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        # a file, not the command line, which is seen inside
        words = self._file(b"".join(os.fsencode(word) + b"\0" for word in options))
        status_in, status_out = os.pipe()
        gate_in, gate_out = os.pipe()
        tie(self._folder, gate_in)
        status = await _reader(self._stack, status_in)
        fds = {"--args": words, "--json-status-fd": status_out, "--block-fd": gate_in}
        if calls:
            fds["--seccomp"] = self._file(calls)
        flags = [word for name, fd in fds.items() for word in (name, str(fd))]
        try:
            process = await asyncio.create_subprocess_exec(
                *program,
                *flags,
                "--",
                *argv,
                env={},
                stdin=gate_in,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=tuple(fds.values()),
                start_new_session=True,
            )
        except BaseException:
            os.close(gate_out)
            raise
        finally:
            os.close(status_out)
            os.close(gate_in)
        hit = await self._attend(process, status, gate_out)
        if self._deaf.done():
            self._deaf.result()  # raises what `heard` raised
        code = self._statuses.get("exit-code")
        if code is None and hit is None:
            raise self._not_started()
        return SandboxResult(None if hit else int(code or 0), self._log.content(), hit, loop.time() - began)

    def _file(self, content: bytes) -> int:
        """A file without a name, at its beginning; closed with the run."""
        file = self._stack.enter_context(tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 - the stack closes it
        file.write(content)
        file.seek(0)
        return file.fileno()

    async def _attend(self, process: asyncio.subprocess.Process, status: asyncio.StreamReader, gate: int) -> str | None:
        """Follow the process to its end; the bound that it hit, if any."""
        log = asyncio.create_task(self._read_log(process))
        statuses = asyncio.create_task(self._read_statuses(status))
        pidfd = -1
        beside: list[asyncio.Task[Any]] = []
        try:
            pidfd = await self._open_gate(process, gate)
            pid, folders = self._statuses["child-pid"], (self._run.directory,)
            watch = asyncio.create_task(LimitWatch(pid, folders, self._confines, SCRATCH, self._group).hit())
            ended = asyncio.create_task(process.wait())
            beside += [watch, ended]
            done, _ = await asyncio.wait(
                [*beside, self._deaf], timeout=self._confines.wall_s, return_when=asyncio.FIRST_COMPLETED
            )
            if ended in done or self._deaf in done:
                return "memory" if self._group is not None and self._group.was_full() else None
            return watch.result() if watch in done else "wall"
        except _NotStartedError:
            return None
        finally:
            for task in beside:  # also when we are cancelled: nobody else knows of them
                task.cancel()
            await asyncio.shield(self._end(process, pidfd, log, statuses))

    async def _open_gate(self, process: asyncio.subprocess.Process, gate: int) -> int:
        """Wait for the sandbox's first process, put its limits on, and let it go."""
        try:
            await self._until(process, lambda: "child-pid" in self._statuses)
            pid = int(self._statuses["child-pid"])
            processes = self._confines.processes
            limit_process(pid, self._confines, processes if self._run.beneath is None else max(processes, SHARING))
            if self._group is not None:
                self._group.add(pid)
            os.write(gate, _LIMITED)
            await self._until(process, lambda: waits_for_children(pid))
            pidfd = os.pidfd_open(pid)
            os.write(gate, _GO)
        except OSError as error:
            raise _NotStartedError from error
        finally:
            os.close(gate)
        return pidfd

    @staticmethod
    async def _until(process: asyncio.subprocess.Process, there: Callable[[], bool]) -> None:
        """Wait until it is so, as long as `process` lives."""
        for _ in range(int(_START_S / _STEP_S)):
            if there():
                return
            if process.returncode is not None:
                break
            await asyncio.sleep(_STEP_S)
        raise _NotStartedError

    async def _end(
        self, process: asyncio.subprocess.Process, pidfd: int, log: asyncio.Task[None], statuses: asyncio.Task[None]
    ) -> None:
        """Kill what is left, wait until the process namespace is empty, and read what was still said."""
        if pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        dead = pidfd < 0 or await asyncio.to_thread(wait_dead, pidfd, _DEATH_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.wait({log, statuses}, timeout=5)
        for task in (log, statuses):
            task.cancel()
        await process.wait()
        if pidfd >= 0:
            os.close(pidfd)
        if not dead:
            message = "A process in the sandbox does not die; nothing of its work is taken over"
            raise TransientError("sandbox_stuck", message, "Look for processes in state D.", retry_after_s=60)

    async def _read_log(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while chunk := await process.stdout.read(65536):
            self._log.add(chunk)
            if self._run.heard is not None and not self._deaf.done():
                try:
                    self._run.heard(chunk)
                except Exception as error:  # noqa: BLE001 - raised where the run is followed
                    self._deaf.set_exception(error)

    async def _read_statuses(self, status: asyncio.StreamReader) -> None:
        while line := await status.readline():
            with contextlib.suppress(ValueError):
                self._statuses.update(json.loads(line))

    def _not_started(self) -> TransientError:
        lines = self._log.content().strip().splitlines() or [b"no word why"]
        message = f"The sandbox did not start: {show_path(lines[-1][:300])}"
        return TransientError("sandbox_failed", message, DOCTOR, retry_after_s=30)


def grouped(stack: contextlib.ExitStack, groups: Cgroups | None, confines: SandboxLimits) -> Cgroup | None:
    """A control group until `stack` is closed; raises `TransientError` where there was one before and is none now."""
    if groups is None:
        return None
    try:
        return stack.enter_context(groups.group(confines.memory_mib))
    except OSError as error:
        message = f"A control group for the run cannot be made: {error}"
        raise TransientError("sandbox_failed", message, "Restart the worker.", retry_after_s=30) from error


class _NotStartedError(Exception):
    """bwrap ended, or stood still, before it had a process to confine."""


async def _reader(stack: contextlib.ExitStack, fd: int) -> asyncio.StreamReader:
    """A stream that reads the pipe `fd` and owns it."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    pipe = stack.enter_context(os.fdopen(fd, "rb", buffering=0))
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    stack.callback(transport.close)
    return reader
