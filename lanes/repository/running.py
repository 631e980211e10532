"""A running git process with its pipes, timeout and cleanup."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import threading
from subprocess import Popen, TimeoutExpired
from typing import IO, Any, Final

_STDERR_BYTES: Final = 64 * 1024
_CHUNK_BYTES: Final = 1024 * 1024


class GitError(Exception):
    """git ended with an unexpected status; `err` is its standard error, in English."""

    def __init__(self, verb: str, code: int, err: str) -> None:
        super().__init__(f"git {verb} ended with {code}: {err.strip()[-2000:]}")
        self.verb, self.code, self.err = verb, code, err


class GitTimeoutError(GitError):
    """git did not end within its timeout and was killed."""


class GitFloodError(GitError):
    """git wrote more output than the caller's limit."""


class Running:
    """A git process with open pipes and a running timeout; a thread reads its standard error."""

    def __init__(self, verb: str, wrapper: Any, timeout_s: float) -> None:
        # `wrapper` is GitPython's and kills the process when it is collected; because its wait() raises for any
        # status but 0, this class uses the plain process inside it
        self._verb, self._wrapper, self._timeout_s = verb, wrapper, timeout_s
        self._process: Popen[bytes] = wrapper.proc
        self._timed_out = False
        self._err = bytearray()
        self._timer = threading.Timer(timeout_s, self._expire)
        self._timer.daemon = True
        self._drain = threading.Thread(target=self._read_err, daemon=True)
        self._timer.start()
        self._drain.start()

    @property
    def stdin(self) -> IO[bytes]:
        """The standard input of the process."""
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """The standard output of the process."""
        assert self._process.stdout is not None
        return self._process.stdout

    def feed(self, content: bytes) -> threading.Thread:
        """Write `content` to the process from a new thread, so that neither pipe can block the other."""
        thread = threading.Thread(target=self._write, args=(content,), daemon=True)
        thread.start()
        return thread

    def read(self, limit_bytes: int, limit_records: int | None = None) -> bytes:
        """All output of the process; raises `GitFloodError` beyond `limit_bytes`, or beyond `limit_records` NULs."""
        out, records = io.BytesIO(), 0
        while chunk := self.stdout.read(_CHUNK_BYTES):
            out.write(chunk)
            if out.tell() > limit_bytes:
                raise GitFloodError(self._verb, -1, f"more than {limit_bytes} bytes of output")
            if limit_records is not None and (records := records + chunk.count(0)) > limit_records:
                raise GitFloodError(self._verb, -1, f"more than {limit_records} entries")
        return out.getvalue()

    def finish(self) -> tuple[int, str]:
        """Wait for the end; the status and the standard error. Raises `GitTimeoutError`."""
        code = self._process.wait()
        self._drain.join(5)
        self._timer.cancel()
        if self._timed_out:
            raise GitTimeoutError(self._verb, code, f"not done after {self._timeout_s:g} s")
        return code, bytes(self._err).decode("utf-8", "replace")

    def close(self) -> None:
        """Kill the process group if it still runs, and close the pipes."""
        self._timer.cancel()
        if self._process.poll() is None:
            self._kill()
            with contextlib.suppress(TimeoutExpired):
                self._process.wait(timeout=5)
        self._drain.join(5)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _expire(self) -> None:
        if self._process.poll() is None:
            self._timed_out = True
            self._kill()

    def _kill(self) -> None:
        if os.name == "posix":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self._process.kill()

    def _write(self, content: bytes) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.stdin.write(content)
        with contextlib.suppress(OSError, ValueError):
            self.stdin.close()

    def _read_err(self) -> None:
        assert self._process.stderr is not None
        with contextlib.suppress(OSError, ValueError):
            while chunk := self._process.stderr.read(8192):
                self._err += chunk[: max(0, _STDERR_BYTES - len(self._err))]
