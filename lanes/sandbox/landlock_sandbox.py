"""The Landlock sandbox, for hosts that forbid user namespaces; used only when a lane's isolation asks for it.

It is weaker than bubblewrap and refuses what it cannot enforce. Without namespaces a run has no own loopback, so
there are no port forwards and no sockets at all. It hides file contents but not file names. A worker that runs as root
is refused. The run sees its folder at the folder's own path instead of ``/work``.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from core.model.change import show_path
from core.model.errors import Kind, PermanentError, Problem, TransientError
from lanes.sandbox.cgroup import Cgroup, CgroupParent, enter_run_cgroup, find_cgroup_parent, memory_accounting
from lanes.sandbox.folders import locked_folder, remove_abandoned
from lanes.sandbox.interface import BoundedLog, OverlaySupport, SandboxResult, SandboxRun
from lanes.sandbox.mounts import program_mounts, sandbox_environment, write_home
from lanes.sandbox.processes import limit_process, process_stuck_error
from lanes.sandbox.seccomp import syscall_filter
from lanes.sandbox.watch import LimitWatch

_LAUNCHER: Final = Path(__file__).with_name("landlock_launcher.py")
_SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC: Final = (
    "alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types", "magic", "passwd", "group",
    "nsswitch.conf", "ssl/certs", "ssl/openssl.cnf", "python3", "perl",
)  # fmt: skip
_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_PROBE_TIMEOUT_S: Final = 20
_KILL_TIMEOUT_S: Final = 30.0
_MEND: Final = "Use a lane with `isolation: bwrap`, or a worker on another host."


def find_landlock() -> LandlockSandbox | Problem:
    """The Landlock sandbox, or why it does not work here; takes about 0.1 s."""
    if sys.platform != "linux":
        return _problem(f"Landlock is part of Linux, and this host runs {sys.platform}")
    if os.geteuid() == 0:
        return _problem("Landlock cannot restrict root, so it needs a worker that runs as an ordinary user")
    if importlib.util.find_spec("landlock") is None:
        return _problem("The Python library `landlock` is not installed")
    if not syscall_filter(landlock=True):
        return _problem("There is no seccomp filter for this processor, so the network would be open")
    abi = _abi_version()
    if abi < 6:
        has = f"has version {abi}" if abi else "has no Landlock"
        needs = "The sandbox needs Landlock version 6 (Linux 6.12), which restricts signals and abstract sockets"
        return _problem(f"{needs}; this kernel {has}")
    with locked_folder() as folder:
        reason = asyncio.run(_probe(folder))
    return _problem(f"Landlock does not work here: {reason}") if reason else LandlockSandbox(find_cgroup_parent())


def _abi_version() -> int:
    """The kernel's Landlock ABI version, 0 for none."""
    code = "import sys; sys.path.append(sys.argv[1]); import landlock.plumbing as p; print(p.landlock_abi_version())"
    argv = [sys.executable, "-I", "-c", code, _library_folder()]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired, ValueError):
        return int(subprocess.run(argv, env={}, capture_output=True, timeout=_PROBE_TIMEOUT_S, check=False).stdout)
    return 0


def _library_folder() -> str:
    """The folder of the landlock library, for the launcher, which starts without a search path."""
    spec = importlib.util.find_spec("landlock")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parents[1])


async def _probe(folder: Path) -> str:
    try:
        result = await LandlockSandbox().run(SandboxRun(("true",), folder))
    except TransientError as error:
        return error.problem.message
    return "" if result.exit_code == 0 else show_path(result.log[-300:])


class LandlockSandbox:
    """The `Sandbox` that uses Landlock, a seccomp filter, and a launcher that kills everything it started."""

    kind = "landlock"
    overlay: OverlaySupport | None = None

    def __init__(self, groups: CgroupParent | None = None) -> None:
        self._groups = groups
        self.memory_accounting = memory_accounting(groups)

    async def run(self, run: SandboxRun) -> SandboxResult:
        """Run a command to its end; no process of it survives, even on cancellation.

        Raises:
            PermanentError: The run has port forwards: a port opened on the host's loopback is open to all of the host.
            TransientError: The sandbox did not start, or a process did not die.
        """
        assert run.lower is None  # see `overlay`
        if run.forwards:
            message = "The landlock sandbox has no own network, so it cannot forward connections to a model"
            raise PermanentError(
                "no_doors", message, "Use `isolation: bwrap`, `podman` or `docker` for lanes with a model."
            )
        await asyncio.to_thread(remove_abandoned)
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(locked_folder())
            write_home(run.home, folder / "home")
            (folder / "tmp").mkdir(mode=0o700)
            report_in, report_out = os.pipe()
            report = stack.enter_context(os.fdopen(report_in, "rb"))
            try:
                group = enter_run_cgroup(stack, self._groups, run.limits)
            except BaseException:
                os.close(report_out)
                raise
            return await self._launch(run, folder, report, report_out, group)

    async def _launch(
        self, run: SandboxRun, folder: Path, report: Any, report_out: int, group: Cgroup | None
    ) -> SandboxResult:
        loop = asyncio.get_running_loop()
        started, log = loop.time(), BoundedLog(run.limits.log_bytes)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                str(_LAUNCHER),
                _library_folder(),
                env={},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=(report_out,),
                start_new_session=True,
            )
        finally:
            os.close(report_out)  # exactly once: the number may be reused right afterwards
        limit_hit = None
        try:
            limit_process(process.pid, run.limits, None)  # the user is our own
            if group is not None:
                group.add(process.pid)
            assert process.stdin is not None
            process.stdin.write(json.dumps(_launcher_orders(run, folder, report_out)).encode())
            process.stdin.close()
            limit_hit = await _follow(process, run, folder, log, group)
            limit_hit = limit_hit or ("memory" if group is not None and group.ran_out_of_memory() else None)
        finally:
            await asyncio.shield(_terminate(process))
        report_values = _parse_report(await asyncio.to_thread(report.read))
        if limit_hit is None and "exit-code" not in report_values:
            reason = report_values.get("failed") or show_path(log.content()[-300:])
            raise TransientError("sandbox_failed", f"The sandbox did not start: {reason}", _MEND, retry_after_s=60)
        return SandboxResult(
            None if limit_hit else int(report_values["exit-code"]), log.content(), limit_hit, loop.time() - started
        )


def _launcher_orders(run: SandboxRun, folder: Path, report: int) -> dict[str, Any]:
    folders = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "PWD": str(run.directory)}
    etc = [f"/etc/{name}" for name in _ETC]
    return {
        "parent": os.getpid(),
        "argv": list(run.argv),
        "work": str(run.directory),
        "environment": sandbox_environment({**folders, **run.environment}),
        "reads": [p for p in (*_SYSTEM, *etc, *map(str, program_mounts(run.programs))) if Path(p).exists()],
        "writes": [str(run.directory), str(folder / "home"), str(folder / "tmp")],
        "devices": [p for p in _DEVICES if Path(p).exists()],
        "calls": syscall_filter(landlock=True).hex(),
        "report": report,
    }


async def _follow(
    process: asyncio.subprocess.Process, run: SandboxRun, folder: Path, log: BoundedLog, group: Cgroup | None
) -> str | None:
    """Read its output until it ends; returns the limit that it hit, if any."""
    tasks = [
        asyncio.create_task(_read(process, run, log)),
        asyncio.create_task(LimitWatch(process.pid, (run.directory, folder), run.limits, group=group).wait()),
        asyncio.create_task(process.wait()),
    ]
    reading, watch, ended = tasks
    try:
        pending = set(tasks)
        async with asyncio.timeout(run.limits.wall_s):
            while ended in pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                if reading in done:
                    reading.result()  # raises what `on_output` raised
                if watch in done:
                    return str(watch.result())
            await asyncio.wait({reading}, timeout=5)
        return None
    except TimeoutError:
        return "wall"
    finally:
        for task in tasks:
            task.cancel()


async def _read(process: asyncio.subprocess.Process, run: SandboxRun, log: BoundedLog) -> None:
    assert process.stdout is not None
    while chunk := await process.stdout.read(65536):
        log.add(chunk)
        if run.on_output is not None:
            run.on_output(chunk)


async def _terminate(process: asyncio.subprocess.Process) -> None:
    """Tell the launcher to end; it exits after all of its processes."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_KILL_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        raise process_stuck_error() from None


def _parse_report(report: bytes) -> dict[str, Any]:
    match = re.search(rb"\{.*\}", report)
    return dict(json.loads(match[0])) if match else {}


def _problem(message: str) -> Problem:
    return Problem(Kind.UNAVAILABLE, "no_sandbox", message, _MEND)
