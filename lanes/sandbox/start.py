"""One start of bubblewrap: limits before its first instruction, a watch while it runs, and the death of all of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import tempfile
from collections.abc import Sequence
from typing import Any, Final

from core.change import show_path
from core.errors import TransientError
from lanes.sandbox.ran import BoundedLog, Ran, Run
from lanes.sandbox.watch import Watch, limit_process, wait_dead

_START_S: Final = 30.0
_DEATH_S: Final = 30.0
_SHARING: Final = 4
"""Runs on a layer share a user where root starts them: the watch counts for each, the kernel for all."""


class Start:
    """One start of bwrap, from its pipes to the death of its last process."""

    def __init__(self, stack: contextlib.ExitStack, run: Run) -> None:
        self._stack, self._run, self._confines = stack, run, run.confines
        self._log = BoundedLog(run.confines.log_bytes)
        self._statuses: dict[str, Any] = {}
        self._deaf: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def go(self, program: Sequence[str], options: Sequence[str], argv: Sequence[str], calls: bytes) -> Ran:
        """Start, watch, and end it; `calls` is the filter of system calls, if any."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        # a file, not the command line, which is seen inside
        words = self._file(b"".join(os.fsencode(word) + b"\0" for word in options))
        status_in, status_out = os.pipe()
        gate_in, gate_out = os.pipe()
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
                stdin=asyncio.subprocess.DEVNULL,
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
            if b"bwrap: execvp " not in self._log.content():
                raise self._not_started()
            code = 127  # what a shell says of a program that is not there
        return Ran(None if hit else int(code or 0), self._log.content(), hit, loop.time() - began)

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
            watch = asyncio.create_task(Watch(self._statuses["child-pid"], self._run.directory, self._confines).hit())
            ended = asyncio.create_task(process.wait())
            beside += [watch, ended]
            done, _ = await asyncio.wait(
                [*beside, self._deaf], timeout=self._confines.wall_s, return_when=asyncio.FIRST_COMPLETED
            )
            if ended in done or self._deaf in done:
                return None
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
            for _ in range(int(_START_S / 0.002)):
                if "child-pid" in self._statuses:
                    break
                if process.returncode is not None:
                    raise _NotStartedError
                await asyncio.sleep(0.002)
            else:
                raise _NotStartedError
            pid = int(self._statuses["child-pid"])
            try:
                pidfd = os.pidfd_open(pid)
                limit_process(pid, self._confines, sharing=_SHARING if self._run.beneath else 1)
            except OSError as error:
                raise _NotStartedError from error
            os.write(gate, b"1")
            return pidfd
        finally:
            os.close(gate)

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
        return TransientError("sandbox_failed", message, "Run `countersign doctor`.", retry_after_s=30)


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
