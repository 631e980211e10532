"""The container sandbox: podman or docker runs each command in its own container of the lane's image.

An image is never pulled: if it is missing, the lane is refused. The image's user, entry point and network are not used.
Containers outlive the worker, so each is labelled with its owner, and the next run removes those whose owner is dead.
An image that starts with ``/`` names a folder with an unpacked root file system (podman only).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.model.change import show_path
from core.model.errors import PermanentError, TransientError
from lanes.sandbox.folders import locked_folder, remove_abandoned
from lanes.sandbox.interface import BoundedLog, OverlaySupport, SandboxResult, SandboxRun
from lanes.sandbox.mounts import HOME, WORK, allow_connections, give_to_run_user, prepare_mounts, sandbox_environment
from lanes.sandbox.processes import start_time
from lanes.sandbox.watch import LimitWatch

LABEL: Final = "countersign.asker"
_ENGINE_S: Final = 60.0
_SCRATCH_MIB: Final = 512
_CPU_SHARES: Final = 128
"""An eighth of the engines' default weight, so that under load the worker itself goes first."""
_PASSED_VARIABLES: Final = ("PATH", "XDG_RUNTIME_DIR", "DOCKER_HOST", "CONTAINER_HOST", "HOME")


@dataclass(frozen=True, slots=True)
class ContainerEngine:
    """How to call a container engine on this host.

    Attributes:
        kind: podman or docker.
        command: Its program, with the global options that must precede every command.
        run_options: Options of ``run`` that this engine needs.
        first_uid: The first of the user ids for runs; None unless we are root.
        uids: How many there are.
    """

    kind: str
    command: tuple[str, ...]
    run_options: tuple[str, ...] = ()
    first_uid: int | None = None
    uids: int = 1

    @property
    def remove_command(self) -> tuple[str, ...]:
        """The command that kills and removes a container; without a time podman would wait for a graceful stop."""
        return ("rm", "--force", "--volumes", *(("--time", "0") if self.kind == "podman" else ()))

    def new_uid(self) -> int:
        """A user id for one run."""
        return os.geteuid() if self.first_uid is None else self.first_uid + secrets.randbelow(self.uids)

    def options(self, run: SandboxRun, name: str, uid: int, binds: tuple[tuple[Path, str], ...]) -> list[str]:
        """The options of ``run`` up to the image; whatever is not opened here is closed."""
        limits, scratch = run.limits, f"rw,nosuid,nodev,exec,mode=1777,size={_SCRATCH_MIB}m"
        scratch += ",notmpcopyup" if self.kind == "podman" else ""  # otherwise the image's own modes apply
        options = ["run", "--name", name, "--label", f"{LABEL}={owner_id()}", "--pull", "never", "--log-driver", "none"]
        options += ["--network", "none", "--hostname", "sandbox", "--ipc", "private", "--read-only"]
        options += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--security-opt", "label=disable"]
        options += ["--user", f"{uid}:{uid if self.first_uid is not None else os.getegid()}", "--workdir", WORK]
        options += ["--no-healthcheck", "--cpu-shares", str(_CPU_SHARES)]
        options += ["--memory", f"{limits.memory_mib}m", "--memory-swap", f"{limits.memory_mib}m"]
        options += ["--pids-limit", str(limits.processes + len(run.forwards) + 4)]
        for limit, value in (
            ("nofile", 1024),
            ("core", 0),
            ("nproc", limits.processes),
            ("fsize", limits.disk_mib << 20),
            ("cpu", math.ceil(limits.total_cpu_s) + 5),
        ):
            options += ["--ulimit", f"{limit}={value}:{value}"]
        for at in ("/tmp", HOME):  # noqa: S108 - inside
            options += ["--tmpfs", f"{at}:{scratch}"]
        for variable, setting in sandbox_environment(run.environment).items():
            options += ["--env", f"{variable}={setting}"]
        for outside, inside in binds:
            options += ["--mount", f"type=bind,source={_mount_path(outside)},target={_mount_path(inside)},readonly"]
        options += ["--mount", f"type=bind,source={_mount_path(run.directory)},target={WORK}"]
        if self.kind == "podman":  # in case we are killed and no later run removes it
            options += ["--timeout", str(int(limits.wall_s) + 60)]
        return [*options, *self.run_options]

    def environment(self) -> dict[str, str]:
        """The environment of the engine's client: how it finds its engine, without keys and proxies."""
        return {name: os.environ[name] for name in _PASSED_VARIABLES if name in os.environ}


class ContainerSandbox:
    """The `Sandbox` that uses podman or docker; `lanes.sandbox.find_container_engine` creates it."""

    def __init__(self, engine: ContainerEngine) -> None:
        self.engine = engine
        self.kind = engine.kind
        self.overlay: OverlaySupport | None = None
        self.memory_accounting = f"{engine.kind} limits the memory of each run"

    async def run(self, run: SandboxRun) -> SandboxResult:
        """Run a command to its end; its container is always removed, even on cancellation.

        Raises:
            PermanentError: The lane names no image.
            TransientError: The container did not start, or could not be removed.
        """
        assert run.lower is None  # see `overlay`
        if not run.image:
            message = f"The lane runs in {self.kind} but names no image"
            raise PermanentError("no_image", message, "Set `image` under the lane's `isolation`.")
        await self.remove_abandoned()
        await asyncio.to_thread(remove_abandoned)
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(locked_folder())
            folder.chmod(0o711)
            allow_connections(run.forwards, self.engine.first_uid)
            mounts = await asyncio.to_thread(prepare_mounts, run, folder, image=True)
            uid = self.engine.new_uid()
            if self.engine.first_uid is not None:
                await asyncio.to_thread(give_to_run_user, run.directory, uid)
            name = f"countersign-{secrets.token_hex(8)}"
            options = self.engine.options(run, name, uid, mounts.binds)
            return await _Container(self.engine, name, run, folder).run(options, [*mounts.argv_prefix, *run.argv])

    async def remove_abandoned(self) -> None:
        """Remove the containers whose owner was a process of this machine and is dead."""
        form = "json" if self.kind == "podman" else "{{json .}}"
        output = await run_engine(self.engine, "ps", "--all", "--filter", f"label={LABEL}", "--format", form)
        for name, owner in _parse_containers(output):
            if not _is_alive(owner):
                await run_engine(self.engine, *self.engine.remove_command, name)


class _Container:
    """One container, from its start to its removal."""

    def __init__(self, engine: ContainerEngine, name: str, run: SandboxRun, folder: Path) -> None:
        self._engine, self._name, self._run, self._folder = engine, name, run, folder
        self._log = BoundedLog(run.limits.log_bytes)

    async def run(self, options: list[str], argv: list[str]) -> SandboxResult:
        """Start the container, follow it to its end, and remove it."""
        started = asyncio.get_running_loop().time()
        image = ["--rootfs", f"{self._run.image}:O"] if self._run.image.startswith("/") else [self._run.image]
        process = await asyncio.create_subprocess_exec(
            *self._engine.command,
            *options,
            "--entrypoint",
            json.dumps(argv[:1]) if self._engine.kind == "podman" else argv[0],
            *image,
            *argv[1:],
            env=self._engine.environment(),
            cwd=self._folder,  # podman's conmon writes a file "oom" into its working directory
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        limit_hit: str | None = None
        state: Mapping[str, object] = {}
        try:
            limit_hit = await self._follow(process)
            state = await self._state() if limit_hit is None else {}
        finally:
            await asyncio.shield(self._remove(process))
        if limit_hit is None and not state:
            lines = self._log.content().strip().splitlines() or [b"it gave no reason"]
            message = f"The container did not start: {show_path(lines[-1][:300])}"
            mend = f"Check that {self._run.image} is listed by `{self._engine.kind} image ls`."
            raise TransientError("sandbox_failed", message, mend, retry_after_s=60)
        limit_hit = limit_hit or ("memory" if state.get("OOMKilled") else None)
        wall_s = asyncio.get_running_loop().time() - started
        return SandboxResult(None if limit_hit else int(str(state["ExitCode"])), self._log.content(), limit_hit, wall_s)

    async def _follow(self, process: asyncio.subprocess.Process) -> str | None:
        """Read its output until it ends; returns the limit that it hit, if any."""
        reading = asyncio.create_task(self._read(process))
        watch = asyncio.create_task(LimitWatch(None, (self._run.directory,), self._run.limits).wait())
        try:
            tasks = {reading, watch}
            done, _ = await asyncio.wait(tasks, timeout=self._run.limits.wall_s, return_when=asyncio.FIRST_COMPLETED)
            if reading in done:
                reading.result()  # raises what `on_output` raised
                return None
            return watch.result() if watch in done else "wall"
        finally:
            for task in (reading, watch):
                task.cancel()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while chunk := await process.stdout.read(65536):
            self._log.add(chunk)
            if self._run.on_output is not None:
                self._run.on_output(chunk)
        await process.wait()

    async def _state(self) -> Mapping[str, object]:
        """The engine's record of how the container ended; empty when it never started."""
        output = await run_engine(
            self._engine, "inspect", "--type", "container", "--format", "{{json .State}}", self._name
        )
        with contextlib.suppress(ValueError):
            state = json.loads(output)
            if isinstance(state, dict) and state.get("Status") in ("exited", "stopped"):
                return state
        return {}

    async def _remove(self, process: asyncio.subprocess.Process) -> None:
        """Kill and remove the container with all its processes; the engine answers when that is done."""
        await run_engine(self._engine, *self._engine.remove_command, self._name)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        remaining = await run_engine(self._engine, "ps", "--all", "--quiet", "--filter", f"name=^{self._name}$")
        if remaining.strip():
            message = "A container could not be removed, so the result of the run was discarded"
            mend = f"Find it with `{self._engine.kind} ps --all`."
            raise TransientError("sandbox_stuck", message, mend, retry_after_s=60)


async def run_engine(engine: ContainerEngine, *args: str) -> bytes:
    """Run an engine command; returns its output, empty when it fails or takes too long."""
    process = await asyncio.create_subprocess_exec(
        *engine.command,
        *args,
        env=engine.environment(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_ENGINE_S):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return b""
    return output if process.returncode == 0 else b""


def owner_id() -> str:
    """This process as host, process id and start time, so that another worker can see whether it is alive."""
    return f"{socket.gethostname()}/{os.getpid()}/{start_time(os.getpid())}"


def _is_alive(owner: str) -> bool:
    """True unless the owner is a dead process of this host; an owner that cannot be checked counts as alive."""
    host, _, rest = owner.partition("/")
    pid, _, started = rest.partition("/")
    if host != socket.gethostname() or not pid.isdigit():
        return True
    return started == start_time(int(pid))


def _parse_containers(output: bytes) -> list[tuple[str, str]]:
    """Parse our containers as (name, owner): podman lists mappings, docker one line each with joined labels."""
    try:
        listed = json.loads(output or b"[]")
    except ValueError:
        listed = [json.loads(line) for line in output.splitlines()]
    containers = []
    for container in listed if isinstance(listed, list) else [listed]:
        names, labels = container["Names"], container["Labels"]
        if not isinstance(labels, dict):
            labels = dict(pair.partition("=")[::2] for pair in str(labels).split(","))
        containers.append((names[0] if isinstance(names, list) else str(names), str(labels.get(LABEL, ""))))
    return containers


def _mount_path(path: Path | str) -> str:
    """A path for the engines' ``--mount`` option, which cannot escape commas and quotes."""
    text = os.fspath(path)
    if any(sign in text for sign in ',"\n'):
        message = f"A container cannot mount {show_path(os.fsencode(text))}"
        raise PermanentError("programs_refused", message, "Use a path without commas, quotes and line breaks.")
    return text
