"""bubblewrap as the sandbox: started from an empty environment, killed with everything in it.

bwrap 0.8 shows its own environment to the sandbox in ``/proc/1/environ`` even with ``--clearenv``
(containers/bubblewrap#725), so it gets none. As root, the command runs as a user of its own, dropped by ``setpriv``
inside: root in a user namespace still is root to ``/proc/sys``, where a core_pattern starts programs on the host, and
to limits on processes. Measured with bwrap 0.8 on Linux 6.18; a root without ``setpriv`` is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from core.change import show_path
from core.errors import TransientError
from lanes.sandbox.ran import BoundedLog, Confines, Ran
from lanes.sandbox.watch import Watch, limit_process, wait_dead

_START_S: Final = 30.0
_DEATH_S: Final = 30.0
_MIB: Final = 1024 * 1024

# What of the host's /etc programs need to run; nothing that names its people, networks or keys.
_ETC: Final = (
    "alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types", "magic",
    "ssl/certs", "ssl/openssl.cnf", "python3", "perl", "java-17-openjdk", "java-21-openjdk",
)  # fmt: skip
_ETC_FILES: Final = {
    "passwd": "root:x:0:0:root:/:/bin/false\nlane:x:{uid}:{uid}:lane:/home/lane:/bin/sh\n",
    "group": "root:x:0:\nlane:x:{uid}:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
_LOCAL_ETC: Final = Path("/usr/local/etc")
_INSIDE_UID: Final = 65534


@dataclass(frozen=True, slots=True)
class Bwrap:
    """How bwrap is called here. With `setpriv`, by root: each run gets its own user id from the given range."""

    program: str
    known: frozenset[str]
    setpriv: str | None = None
    first_uid: int = _INSIDE_UID
    uids: int = 1

    def hand_over(self, directory: Path) -> int:
        """Give the files of `directory` to the user of one run; that user's id inside."""
        if self.setpriv is None:
            return _INSIDE_UID
        uid = self.first_uid + secrets.randbelow(self.uids)
        os.chown(directory, uid, uid, follow_symlinks=False)
        directory.chmod(0o755)  # bwrap itself goes there without root's right to pass every door
        for folder, folders, files, at in os.fwalk(directory, follow_symlinks=False):
            del folder
            for name in (*folders, *files):
                os.chown(name, uid, uid, dir_fd=at, follow_symlinks=False)
        return uid

    def write_etc(self, folder: Path, uid: int = _INSIDE_UID) -> Path:
        """A small ``/etc`` below `folder`."""
        folder.chmod(0o711)  # bwrap may look in as another user; nothing of this is secret
        etc = folder / "etc"
        etc.mkdir(mode=0o755)
        for name, text in _ETC_FILES.items():
            (etc / name).write_text(text.format(uid=uid), encoding="ascii")
            (etc / name).chmod(0o644)
        return etc

    def options(self, work: Path, etc: Path, environment: Mapping[str, str], tmp_mib: int) -> list[str]:
        """bwrap's options: what is seen, what is not, and the environment inside."""
        words = [*self._spaces(), "--clearenv"]
        for name, value in environment.items():
            words += ["--setenv", name, value]
        words += ["--ro-bind", "/usr", "/usr", *self._system(), "--proc", "/proc", "--dev", "/dev"]
        for path in ("/etc", "/etc/ssl", "/home"):
            words += ["--perms", "0755", "--dir", path]
        for path, mode in (("/dev/shm", "1777"), ("/tmp", "1777"), ("/home/lane", "1777")):  # noqa: S108 - inside
            size = ["--size", str(tmp_mib * _MIB)] if "--size" in self.known else []
            words += ["--perms", mode, *size, "--tmpfs", path]
        for name in _ETC:
            words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
        for name in _ETC_FILES:
            words += ["--ro-bind", str(etc / name), f"/etc/{name}"]
        words += ["--dir", "/work"]
        # /proc too: a file there that only its mode protects belongs to whoever root is outside
        closed = ["/proc", "/dev", "/", *(["/usr/local/etc"] if _LOCAL_ETC.is_dir() else [])]
        words += [word for path in closed for word in ("--remount-ro", path)]
        return [*words, "--bind", str(work), "/work", "--chdir", "/work"]

    def inner(self, argv: Sequence[str], uid: int) -> list[str]:
        """`argv` as the run's own user, without any right to become another."""
        if self.setpriv is None:
            return list(argv)
        drop = ["--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--no-new-privs"]
        return [self.setpriv, *drop, "--inh-caps=-all", "--bounding-set=-all", "--", *argv]

    def _spaces(self) -> list[str]:
        shared = ["--die-with-parent", "--new-session", "--hostname", "sandbox", "--cap-drop", "ALL"]
        if self.setpriv is not None:
            spaces = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
            kept = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")  # for setpriv, which leaves none of them
            return [*spaces, *shared, *(word for cap in kept for word in ("--cap-add", cap))]
        nested = ["--disable-userns"] if "--disable-userns" in self.known else []
        ids = ["--uid", str(_INSIDE_UID), "--gid", str(_INSIDE_UID)]
        return ["--unshare-all", "--unshare-user", *nested, *ids, *shared]

    @staticmethod
    def _system() -> list[str]:
        """The old top-level folders, as the host has them: links into /usr, or folders of their own."""
        words: list[str] = []
        for name in ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"):
            path = Path(name)
            if path.is_symlink():
                words += ["--symlink", str(path.readlink()), name]
            elif path.is_dir():
                words += ["--ro-bind", name, name]
        if _LOCAL_ETC.is_dir():
            words += ["--tmpfs", "/usr/local/etc"]
        return words


class BwrapSandbox:
    """`Sandbox` by bubblewrap; see `find_sandbox`."""

    def __init__(self, bwrap: Bwrap) -> None:
        self.bwrap = bwrap

    async def run(
        self, argv: Sequence[str], directory: Path, environment: Mapping[str, str], confines: Confines
    ) -> Ran:
        """Run `argv` in `directory`; whatever happens, cancelling included, nothing of it lives on."""
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="countersign-run-")))
            uid = await asyncio.to_thread(self.bwrap.hand_over, directory)
            etc = self.bwrap.write_etc(folder, uid)
            seen = _environment(environment)
            options = self.bwrap.options(directory, etc, seen, min(confines.memory_mib, 512))
            run = _Run(stack, confines, directory)
            return await run.go(self.bwrap.program, options, self.bwrap.inner(argv, uid))


class _Run:
    """One start of bwrap, from its pipes to the death of its last process."""

    def __init__(self, stack: contextlib.ExitStack, confines: Confines, directory: Path) -> None:
        self._stack, self._confines, self._directory = stack, confines, directory
        self._log = BoundedLog(confines.log_bytes)
        self._statuses: dict[str, Any] = {}

    async def go(self, program: str, options: Sequence[str], argv: Sequence[str]) -> Ran:
        """Start, watch, and end it."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        # a file, not the command line, which is seen inside
        words = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
        words.write(b"".join(os.fsencode(word) + b"\0" for word in options))
        words.seek(0)
        status_in, status_out = os.pipe()
        gate_in, gate_out = os.pipe()
        status = await _reader(self._stack, status_in)
        fds = {"--args": words.fileno(), "--json-status-fd": status_out, "--block-fd": gate_in}
        flags = [word for name, fd in fds.items() for word in (name, str(fd))]
        try:
            process = await asyncio.create_subprocess_exec(
                program,
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
        code = self._statuses.get("exit-code")
        if code is None and hit is None:
            if b"bwrap: execvp " not in self._log.content():
                raise self._not_started()
            code = 127  # what a shell says of a program that is not there
        return Ran(None if hit else int(code or 0), self._log.content(), hit, loop.time() - began)

    async def _attend(self, process: asyncio.subprocess.Process, status: asyncio.StreamReader, gate: int) -> str | None:
        """Follow the process to its end; the bound that it hit, if any."""
        log = asyncio.create_task(self._read_log(process))
        statuses = asyncio.create_task(self._read_statuses(status))
        pidfd, beside = -1, []
        try:
            pidfd = await self._open_gate(process, gate)
            watch = asyncio.create_task(Watch(self._statuses["child-pid"], self._directory, self._confines).hit())
            ended = asyncio.create_task(process.wait())
            beside = [watch, ended]
            done, _ = await asyncio.wait(beside, timeout=self._confines.wall_s, return_when=asyncio.FIRST_COMPLETED)
            if ended in done:
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
                limit_process(pid, self._confines)
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


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    own = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/home/lane", "USER": "lane", "TMPDIR": "/tmp"}  # noqa: S108 - inside
    return own | {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"} | dict(given)
