"""Landlock as the sandbox, for hosts that let nobody make namespaces, where a lane's isolation says so.

It is weaker than bubblewrap and says so by refusing: without namespaces there is no loopback of the run's own, so there
are no doors and no sockets at all; it hides no file names, only contents; and a worker that is root is refused. The
run sees its folder at the folder's own path, and not as ``/work``.
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
from lanes.sandbox.calls import call_filter
from lanes.sandbox.cgroup import Cgroup, Cgroups, counting, find_groups
from lanes.sandbox.folders import own_folder, sweep
from lanes.sandbox.launch import grouped
from lanes.sandbox.mounts import environment, furnish, programs
from lanes.sandbox.processes import limit_process
from lanes.sandbox.result import BoundedLog, LayeredFiles, SandboxResult, SandboxRun
from lanes.sandbox.watch import LimitWatch

_LAUNCHER: Final = Path(__file__).with_name("confine.py")
_SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC: Final = (
    "alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types", "magic", "passwd", "group",
    "nsswitch.conf", "ssl/certs", "ssl/openssl.cnf", "python3", "perl",
)  # fmt: skip
_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_PROBE_S: Final = 20
_DEATH_S: Final = 30.0
_MEND: Final = "Use a lane with `isolation: bwrap`, or a worker on another host."


def find_landlock() -> LandlockSandbox | Problem:
    """The sandbox if this kernel can hold a run in it, or why not; takes about 0.1 s."""
    if sys.platform != "linux":
        return _problem(f"Landlock is a part of Linux, and this host is {sys.platform}")
    if os.geteuid() == 0:
        return _problem("Landlock cannot take from root what root may do, so it is for workers of an ordinary user")
    if importlib.util.find_spec("landlock") is None:
        return _problem("The library `landlock` is not part of this installation")
    if not call_filter(landlock=True):
        return _problem("For this kind of machine there is no filter of system calls, so the network would be open")
    abi = _abi()
    if abi < 6:
        has = f"has its version {abi}" if abi else "has none"
        needs = "Landlock keeps signals and abstract sockets of others apart from its version 6 on (Linux 6.12)"
        return _problem(f"{needs}; this kernel {has}")
    with own_folder() as folder:
        told = asyncio.run(_probe(folder))
    return _problem(f"Landlock does not work here: {told}") if told else LandlockSandbox(find_groups())


def _abi() -> int:
    """The version of Landlock that the kernel has, 0 for none."""
    code = "import sys; sys.path.append(sys.argv[1]); import landlock.plumbing as p; print(p.landlock_abi_version())"
    argv = [sys.executable, "-I", "-c", code, _libraries()]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired, ValueError):
        return int(subprocess.run(argv, env={}, capture_output=True, timeout=_PROBE_S, check=False).stdout)
    return 0


def _libraries() -> str:
    """The folder that holds the library, for a launcher that looks nowhere by itself."""
    spec = importlib.util.find_spec("landlock")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parents[1])


async def _probe(folder: Path) -> str:
    try:
        ran = await LandlockSandbox().run(SandboxRun(("true",), folder))
    except TransientError as error:
        return error.problem.message
    return "" if ran.exit_code == 0 else show_path(ran.log[-300:])


class LandlockSandbox:
    """`Sandbox` by Landlock, a filter of system calls, and a launcher that kills all it started."""

    kind = "landlock"
    layers: LayeredFiles | None = None

    def __init__(self, groups: Cgroups | None = None) -> None:
        self._groups = groups
        self.counts = counting(groups)

    async def run(self, run: SandboxRun) -> SandboxResult:
        """Run it; whatever happens, cancelling included, nothing of it lives on.

        Raises `PermanentError` for a run with doors: what is opened to the host's loopback is open to all of it.
        """
        assert run.beneath is None  # see `layers`
        if run.doors:
            message = "In the sandbox landlock there is no network of a run's own, so no way to a model"
            raise PermanentError(
                "no_doors", message, "Use `isolation: bwrap`, podman or docker for lanes with a model."
            )
        await asyncio.to_thread(sweep)
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(own_folder())
            furnish(run.home, folder / "home")
            (folder / "tmp").mkdir(mode=0o700)
            report_in, report_out = os.pipe()
            report = stack.enter_context(os.fdopen(report_in, "rb"))
            try:
                group = grouped(stack, self._groups, run.confines)
            except BaseException:
                os.close(report_out)
                raise
            return await self._start(run, folder, report, report_out, group)

    async def _start(
        self, run: SandboxRun, folder: Path, report: Any, report_out: int, group: Cgroup | None
    ) -> SandboxResult:
        loop = asyncio.get_running_loop()
        began, log = loop.time(), BoundedLog(run.confines.log_bytes)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                str(_LAUNCHER),
                _libraries(),
                env={},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=(report_out,),
                start_new_session=True,
            )
        finally:
            os.close(report_out)  # once: its number may be another file's right afterwards
        hit = None
        try:
            limit_process(process.pid, run.confines, None)  # the user is our own
            if group is not None:
                group.add(process.pid)
            assert process.stdin is not None
            process.stdin.write(json.dumps(_orders(run, folder, report_out)).encode())
            process.stdin.close()
            hit = await _follow(process, run, folder, log, group)
            hit = hit or ("memory" if group is not None and group.was_full() else None)
        finally:
            await asyncio.shield(_dead(process))
        told = _told(await asyncio.to_thread(report.read))
        if hit is None and "exit-code" not in told:
            why = told.get("failed") or show_path(log.content()[-300:])
            raise TransientError("sandbox_failed", f"The sandbox did not start: {why}", _MEND, retry_after_s=60)
        return SandboxResult(None if hit else int(told["exit-code"]), log.content(), hit, loop.time() - began)


def _orders(run: SandboxRun, folder: Path, report: int) -> dict[str, Any]:
    own = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "PWD": str(run.directory)}
    etc = [f"/etc/{name}" for name in _ETC]
    return {
        "asker": os.getpid(),
        "argv": list(run.argv),
        "work": str(run.directory),
        "environment": environment({**own, **run.environment}),
        "reads": [p for p in (*_SYSTEM, *etc, *map(str, programs(run.programs))) if Path(p).exists()],
        "writes": [str(run.directory), str(folder / "home"), str(folder / "tmp")],
        "devices": [p for p in _DEVICES if Path(p).exists()],
        "calls": call_filter(landlock=True).hex(),
        "report": report,
    }


async def _follow(
    process: asyncio.subprocess.Process, run: SandboxRun, own: Path, log: BoundedLog, group: Cgroup | None
) -> str | None:
    """Its output until its end, or the bound that it hit."""
    tasks = [
        asyncio.create_task(_read(process, run, log)),
        asyncio.create_task(LimitWatch(process.pid, (run.directory, own), run.confines, group=group).hit()),
        asyncio.create_task(process.wait()),
    ]
    reading, watch, ended = tasks
    try:
        waits = set(tasks)
        async with asyncio.timeout(run.confines.wall_s):
            while ended in waits:
                done, waits = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                if reading in done:
                    reading.result()  # raises what `heard` raised
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
        if run.heard is not None:
            run.heard(chunk)


async def _dead(process: asyncio.subprocess.Process) -> None:
    """Tell the launcher to end; it ends when all of its processes have."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_DEATH_S):
            await process.wait()
    except TimeoutError:
        message = "A process in the sandbox does not die; nothing of its work is taken over"
        raise TransientError("sandbox_stuck", message, "Look for processes in state D.", retry_after_s=60) from None


def _told(report: bytes) -> dict[str, Any]:
    found = re.search(rb"\{.*\}", report)
    return dict(json.loads(found[0])) if found else {}


def _problem(message: str) -> Problem:
    return Problem(Kind.UNAVAILABLE, "no_sandbox", message, _MEND)
