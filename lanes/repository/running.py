"""One git process: its pipes, its deadline, its end."""

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
    """git ended with a status that the caller did not expect; `err` is what it said, in English."""

    def __init__(self, verb: str, code: int, err: str) -> None:
        super().__init__(f"git {verb} ended with {code}: {err.strip()[-2000:]}")
        self.verb, self.code, self.err = verb, code, err


class GitTimeoutError(GitError):
    """git did not end in time and was killed."""


class GitFloodError(GitError):
    """git said more than the caller wanted to hold."""


class Running:
    """A git process with open pipes; its deadline runs, and its standard error is drained aside."""

    def __init__(self, verb: str, held: Any, timeout_s: float) -> None:
        # `held` is GitPython's wrapper, which kills the process when it is collected; its own wait() raises on any
        # status but 0, so the plain process inside is what we work with
        self._verb, self._held, self._timeout_s = verb, held, timeout_s
        self._process: Popen[bytes] = held.proc
        self._late = False
        self._err = bytearray()
        self._timer = threading.Timer(timeout_s, self._expire)
        self._timer.daemon = True
        self._drain = threading.Thread(target=self._read_err, daemon=True)
        self._timer.start()
        self._drain.start()

    @property
    def stdin(self) -> IO[bytes]:
        """Where the process reads."""
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """Where the process writes."""
        assert self._process.stdout is not None
        return self._process.stdout

    def feed(self, content: bytes) -> threading.Thread:
        """Write `content` to the process from a thread of its own, so that neither pipe can block the other."""
        thread = threading.Thread(target=self._write, args=(content,), daemon=True)
        thread.start()
        return thread

    def read(self, limit_bytes: int, limit_records: int | None = None) -> bytes:
        """All the process writes; raises `GitFloodError` beyond `limit_bytes`, or beyond `limit_records` NULs."""
        out, records = io.BytesIO(), 0
        while chunk := self.stdout.read(_CHUNK_BYTES):
            out.write(chunk)
            if out.tell() > limit_bytes:
                raise GitFloodError(self._verb, -1, f"more than {limit_bytes} bytes of output")
            if limit_records is not None and (records := records + chunk.count(0)) > limit_records:
                raise GitFloodError(self._verb, -1, f"more than {limit_records} entries")
        return out.getvalue()

    def finish(self) -> tuple[int, str]:
        """Wait for the end; the status and what was said on standard error; raises `GitTimeoutError`."""
        code = self._process.wait()
        self._drain.join(5)
        self._timer.cancel()
        if self._late:
            raise GitTimeoutError(self._verb, code, f"not done after {self._timeout_s:g} s")
        return code, bytes(self._err).decode("utf-8", "replace")

    def close(self) -> None:
        """Kill what still runs, with all it started, and let go of the pipes."""
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
            self._late = True
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
