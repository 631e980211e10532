"""Runs one bubblewrap process: sets its limits before the first instruction, supervises it, and kills all of it."""

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
from lanes.sandbox.cgroup import CgroupParent, enter_run_cgroup
from lanes.sandbox.folders import record_pipe
from lanes.sandbox.interface import BoundedLog, SandboxResult, SandboxRun
from lanes.sandbox.mounts import SCRATCH
from lanes.sandbox.processes import (
    SHARED_USER_PROCESSES,
    is_waiting_for_children,
    limit_process,
    process_stuck_error,
    wait_for_exit,
)
from lanes.sandbox.watch import LimitWatch

_START_TIMEOUT_S: Final = 30.0
_KILL_TIMEOUT_S: Final = 30.0
_POLL_S: Final = 0.002
# Two readers wait at one pipe. bwrap waits until its limits are set. The shell inside waits until bwrap's first process
# is tied to our lifetime. If we die first, neither starts the command, because nothing would supervise it.
_LIMITS_SET, _START = b"1", b"\n"
GATE_ARGV: Final = (
    "/bin/sh",
    "-c",
    'read -r go || exit 125; case $1 in -*) echo "$1: not found" >&2; exit 127; esac; exec "$@" </dev/null',
    "gate",
)
"""Argv prefix of a command that `BwrapProcess` starts: the command never starts if we die before the gate opens."""


class BwrapProcess:
    """One bwrap process, from its pipes to the exit of its last child."""

    def __init__(
        self, stack: contextlib.ExitStack, run: SandboxRun, folder: Path, groups: CgroupParent | None = None
    ) -> None:
        """Prepare a run.

        Args:
            stack: Owns the files and pipes of the run.
            run: The command and its limits.
            folder: The run's own folder, from `lanes.sandbox.folders`.
            groups: Where to create a control group for the run; None runs it without one.
        """
        self._stack, self._run, self._limits, self._folder = stack, run, run.limits, folder
        self._group = enter_run_cgroup(stack, groups, run.limits)
        self._log = BoundedLog(run.limits.log_bytes)
        self._statuses: dict[str, Any] = {}
        self._output_error: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(
        self, program: Sequence[str], options: Sequence[str], argv: Sequence[str], syscall_filter: bytes
    ) -> SandboxResult:
        """Run bwrap to its end.

        Args:
            program: bwrap, with whatever must run before it.
            options: bwrap's options.
            argv: The command inside, starting with `GATE_ARGV`.
            syscall_filter: The seccomp filter in BPF; empty for none.

        Raises:
            TransientError: bwrap did not start, or a process did not die.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        # a file, because a command line is visible inside the sandbox
        options_fd = self._unlinked_file(b"".join(os.fsencode(argument) + b"\0" for argument in options))
        status_in, status_out = os.pipe()
        gate_in, gate_out = os.pipe()
        record_pipe(self._folder, gate_in)
        status = await _pipe_reader(self._stack, status_in)
        fds = {"--args": options_fd, "--json-status-fd": status_out, "--block-fd": gate_in}
        if syscall_filter:
            fds["--seccomp"] = self._unlinked_file(syscall_filter)
        flags = [argument for name, fd in fds.items() for argument in (name, str(fd))]
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
        limit_hit = await self._supervise(process, status, gate_out)
        if self._output_error.done():
            self._output_error.result()  # raises what `on_output` raised
        code = self._statuses.get("exit-code")
        if code is None and limit_hit is None:
            raise self._start_error()
        return SandboxResult(
            None if limit_hit else int(code or 0), self._log.content(), limit_hit, loop.time() - started
        )

    def _unlinked_file(self, content: bytes) -> int:
        """A descriptor of an unlinked file that holds `content`, positioned at its start; closed with the run."""
        file = self._stack.enter_context(tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 - the stack closes it
        file.write(content)
        file.seek(0)
        return file.fileno()

    async def _supervise(
        self, process: asyncio.subprocess.Process, status: asyncio.StreamReader, gate: int
    ) -> str | None:
        """Supervise the process to its end; returns the limit that it hit, None if it ended by itself."""
        log = asyncio.create_task(self._read_log(process))
        statuses = asyncio.create_task(self._read_statuses(status))
        pidfd = -1
        tasks: list[asyncio.Task[Any]] = []
        try:
            pidfd = await self._open_gate(process, gate)
            pid, folders = self._statuses["child-pid"], (self._run.directory,)
            watch = asyncio.create_task(LimitWatch(pid, folders, self._limits, SCRATCH, self._group).wait())
            ended = asyncio.create_task(process.wait())
            tasks += [watch, ended]
            done, _ = await asyncio.wait(
                [*tasks, self._output_error], timeout=self._limits.wall_s, return_when=asyncio.FIRST_COMPLETED
            )
            if ended in done or self._output_error in done:
                return "memory" if self._group is not None and self._group.ran_out_of_memory() else None
            return watch.result() if watch in done else "wall"
        except _NotStartedError:
            return None
        finally:
            for task in tasks:  # on cancellation too: nothing else holds these tasks
                task.cancel()
            await asyncio.shield(self._terminate(process, pidfd, log, statuses))

    async def _open_gate(self, process: asyncio.subprocess.Process, gate: int) -> int:
        """Wait for the sandbox's first process, set its limits, and open the gate; returns its pidfd."""
        try:
            await self._wait_until(process, lambda: "child-pid" in self._statuses)
            pid = int(self._statuses["child-pid"])
            processes = self._limits.processes
            limit_process(
                pid, self._limits, processes if self._run.lower is None else max(processes, SHARED_USER_PROCESSES)
            )
            if self._group is not None:
                self._group.add(pid)
            os.write(gate, _LIMITS_SET)
            await self._wait_until(process, lambda: is_waiting_for_children(pid))
            pidfd = os.pidfd_open(pid)
            os.write(gate, _START)
        except OSError as error:
            raise _NotStartedError from error
        finally:
            os.close(gate)
        return pidfd

    @staticmethod
    async def _wait_until(process: asyncio.subprocess.Process, condition: Callable[[], bool]) -> None:
        """Poll until `condition` is true; raises `_NotStartedError` when `process` ends first or time runs out."""
        for _ in range(int(_START_TIMEOUT_S / _POLL_S)):
            if condition():
                return
            if process.returncode is not None:
                break
            await asyncio.sleep(_POLL_S)
        raise _NotStartedError

    async def _terminate(
        self, process: asyncio.subprocess.Process, pidfd: int, log: asyncio.Task[None], statuses: asyncio.Task[None]
    ) -> None:
        """Kill what is left, wait until the process namespace is empty, and read the remaining output."""
        if pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        exited = pidfd < 0 or await asyncio.to_thread(wait_for_exit, pidfd, _KILL_TIMEOUT_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.wait({log, statuses}, timeout=5)
        for task in (log, statuses):
            task.cancel()
        await process.wait()
        if pidfd >= 0:
            os.close(pidfd)
        if not exited:
            raise process_stuck_error()

    async def _read_log(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while chunk := await process.stdout.read(65536):
            self._log.add(chunk)
            if self._run.on_output is not None and not self._output_error.done():
                try:
                    self._run.on_output(chunk)
                except Exception as error:  # noqa: BLE001 - `run` raises it
                    self._output_error.set_exception(error)

    async def _read_statuses(self, status: asyncio.StreamReader) -> None:
        while line := await status.readline():
            with contextlib.suppress(ValueError):
                self._statuses.update(json.loads(line))

    def _start_error(self) -> TransientError:
        lines = self._log.content().strip().splitlines() or [b"it gave no reason"]
        message = f"The sandbox did not start: {show_path(lines[-1][:300])}"
        return TransientError("sandbox_failed", message, DOCTOR, retry_after_s=30)


class _NotStartedError(Exception):
    """bwrap ended, or made no progress, before it had a process to set limits on."""


async def _pipe_reader(stack: contextlib.ExitStack, fd: int) -> asyncio.StreamReader:
    """A stream that reads from the pipe `fd` and owns it."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    pipe = stack.enter_context(os.fdopen(fd, "rb", buffering=0))
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    stack.callback(transport.close)
    return reader
