"""Containers as the sandbox: podman or docker, a container for each run, from the lane's own image.

The image is never fetched here: it is there, or the lane is refused. Nothing of the image's user, entry point or
network is used. Engines outlive us, so each container carries who asked for it, and the next run removes those whose
asker is dead. ``/`` at the start of an image's name means a folder with an unpacked root (podman only).
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
from lanes.sandbox.folders import own_folder, sweep
from lanes.sandbox.mounts import HOME, WORK, environment, give_files, let_connect, shown
from lanes.sandbox.result import BoundedLog, LayeredFiles, SandboxResult, SandboxRun
from lanes.sandbox.watch import LimitWatch

LABEL: Final = "countersign.asker"
_ENGINE_S: Final = 60.0
_SCRATCH_MIB: Final = 512
_CPU_SHARES: Final = 128
"""An eighth of what engines give by default, where all want more than there is: who asked for it goes first."""
_KEPT: Final = ("PATH", "XDG_RUNTIME_DIR", "DOCKER_HOST", "CONTAINER_HOST", "HOME")


@dataclass(frozen=True, slots=True)
class ContainerEngine:
    """How the engine is called here: `words` is its program with what must come before every command.

    `extra` are options of ``run`` that this engine needs. With `first_uid`, by root: each run gets its own user id.
    """

    kind: str
    words: tuple[str, ...]
    extra: tuple[str, ...] = ()
    first_uid: int | None = None
    uids: int = 1

    @property
    def remove(self) -> tuple[str, ...]:
        """The command that kills and removes; podman would first ask politely, and wait."""
        return ("rm", "--force", "--volumes", *(("--time", "0") if self.kind == "podman" else ()))

    def user(self) -> int:
        """The user id of one run."""
        return os.geteuid() if self.first_uid is None else self.first_uid + secrets.randbelow(self.uids)

    def options(self, run: SandboxRun, name: str, uid: int, binds: tuple[tuple[Path, str], ...]) -> list[str]:
        """The options of ``run``, up to the image: everything is closed that is not opened here."""
        confines, scratch = run.confines, f"rw,nosuid,nodev,exec,mode=1777,size={_SCRATCH_MIB}m"
        scratch += ",notmpcopyup" if self.kind == "podman" else ""  # or the image's own modes win
        words = ["run", "--name", name, "--label", f"{LABEL}={asker()}", "--pull", "never", "--log-driver", "none"]
        words += ["--network", "none", "--hostname", "sandbox", "--ipc", "private", "--read-only"]
        words += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--security-opt", "label=disable"]
        words += ["--user", f"{uid}:{uid if self.first_uid is not None else os.getegid()}", "--workdir", WORK]
        words += ["--no-healthcheck", "--cpu-shares", str(_CPU_SHARES)]
        words += ["--memory", f"{confines.memory_mib}m", "--memory-swap", f"{confines.memory_mib}m"]
        words += ["--pids-limit", str(confines.processes + len(run.doors) + 4)]
        for limit, value in (
            ("nofile", 1024),
            ("core", 0),
            ("nproc", confines.processes),
            ("fsize", confines.disk_mib << 20),
            ("cpu", math.ceil(confines.most_cpu_s) + 5),
        ):
            words += ["--ulimit", f"{limit}={value}:{value}"]
        for at in ("/tmp", HOME):  # noqa: S108 - inside
            words += ["--tmpfs", f"{at}:{scratch}"]
        for variable, given in environment(run.environment).items():
            words += ["--env", f"{variable}={given}"]
        for outside, inside in binds:
            words += ["--mount", f"type=bind,source={_plain(outside)},target={_plain(inside)},readonly"]
        words += ["--mount", f"type=bind,source={_plain(run.directory)},target={WORK}"]
        if self.kind == "podman":  # should we be killed, and nobody come to sweep
            words += ["--timeout", str(int(confines.wall_s) + 60)]
        return [*words, *self.extra]

    def environment(self) -> dict[str, str]:
        """What the engine's client gets of ours: how it finds its engine, no keys and no proxies."""
        return {name: os.environ[name] for name in _KEPT if name in os.environ}


class ContainerSandbox:
    """`Sandbox` by podman or docker; see `lanes.sandbox.engines`."""

    def __init__(self, engine: ContainerEngine) -> None:
        self.engine = engine
        self.kind = engine.kind
        self.layers: LayeredFiles | None = None
        self.counts = f"{engine.kind} holds the memory of each run"

    async def run(self, run: SandboxRun) -> SandboxResult:
        """Run it; whatever happens, cancelling included, its container is removed.

        Raises `PermanentError` for a lane without an image.
        """
        assert run.beneath is None  # see `layers`
        if not run.image:
            message = f"A lane that runs in {self.kind} names no image"
            raise PermanentError("no_image", message, "Set `image` in the lane's isolation.")
        await self.sweep()
        await asyncio.to_thread(sweep)
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(own_folder())
            folder.chmod(0o711)
            let_connect(run.doors, self.engine.first_uid)
            beside = await asyncio.to_thread(shown, run, folder, image=True)
            uid = self.engine.user()
            if self.engine.first_uid is not None:
                await asyncio.to_thread(give_files, run.directory, uid)
            name = f"countersign-{secrets.token_hex(8)}"
            options = self.engine.options(run, name, uid, beside.binds)
            return await _Container(self.engine, name, run, folder).go(options, [*beside.before, *run.argv])

    async def sweep(self) -> None:
        """Remove the containers whose asker, on this machine, is dead."""
        form = "json" if self.kind == "podman" else "{{json .}}"
        told = await call(self.engine, "ps", "--all", "--filter", f"label={LABEL}", "--format", form)
        for name, asked in _listed(told):
            if not _lives(asked):
                await call(self.engine, *self.engine.remove, name)


class _Container:
    """One container, from its start to its removal."""

    def __init__(self, engine: ContainerEngine, name: str, run: SandboxRun, folder: Path) -> None:
        self._engine, self._name, self._run, self._folder = engine, name, run, folder
        self._log = BoundedLog(run.confines.log_bytes)

    async def go(self, options: list[str], argv: list[str]) -> SandboxResult:
        """Start it, follow it, and remove it."""
        began = asyncio.get_running_loop().time()
        image = ["--rootfs", f"{self._run.image}:O"] if self._run.image.startswith("/") else [self._run.image]
        process = await asyncio.create_subprocess_exec(
            *self._engine.words,
            *options,
            "--entrypoint",
            json.dumps(argv[:1]) if self._engine.kind == "podman" else argv[0],
            *image,
            *argv[1:],
            env=self._engine.environment(),
            cwd=self._folder,  # podman's conmon leaves a file "oom" where it was started
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        hit: str | None = None
        state: Mapping[str, object] = {}
        try:
            hit = await self._follow(process)
            state = await self._state() if hit is None else {}
        finally:
            await asyncio.shield(self._remove(process))
        if hit is None and not state:
            lines = self._log.content().strip().splitlines() or [b"no word why"]
            message = f"The container did not start: {show_path(lines[-1][:300])}"
            mend = f"See that {self._run.image} is there: `{self._engine.kind} image ls`."
            raise TransientError("sandbox_failed", message, mend, retry_after_s=60)
        hit = hit or ("memory" if state.get("OOMKilled") else None)
        wall_s = asyncio.get_running_loop().time() - began
        return SandboxResult(None if hit else int(str(state["ExitCode"])), self._log.content(), hit, wall_s)

    async def _follow(self, process: asyncio.subprocess.Process) -> str | None:
        """Its output until it ends, or the bound that it hit."""
        reading = asyncio.create_task(self._read(process))
        watch = asyncio.create_task(LimitWatch(None, (self._run.directory,), self._run.confines).hit())
        try:
            waits = {reading, watch}
            done, _ = await asyncio.wait(waits, timeout=self._run.confines.wall_s, return_when=asyncio.FIRST_COMPLETED)
            if reading in done:
                reading.result()  # raises what `heard` raised
                return None
            return watch.result() if watch in done else "wall"
        finally:
            for task in (reading, watch):
                task.cancel()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while chunk := await process.stdout.read(65536):
            self._log.add(chunk)
            if self._run.heard is not None:
                self._run.heard(chunk)
        await process.wait()

    async def _state(self) -> Mapping[str, object]:
        """How the container ended, by the engine; empty when it never began."""
        told = await call(self._engine, "inspect", "--type", "container", "--format", "{{json .State}}", self._name)
        with contextlib.suppress(ValueError):
            state = json.loads(told)
            if isinstance(state, dict) and state.get("Status") in ("exited", "stopped"):
                return state
        return {}

    async def _remove(self, process: asyncio.subprocess.Process) -> None:
        """Kill and remove it with all its processes; the engine answers when that is done."""
        await call(self._engine, *self._engine.remove, self._name)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        left = await call(self._engine, "ps", "--all", "--quiet", "--filter", f"name=^{self._name}$")
        if left.strip():
            message = "A container does not go away; nothing of its work is taken over"
            mend = f"Look for it with `{self._engine.kind} ps --all`."
            raise TransientError("sandbox_stuck", message, mend, retry_after_s=60)


async def call(engine: ContainerEngine, *words: str) -> bytes:
    """What the engine says to a command; nothing when it fails or takes too long."""
    process = await asyncio.create_subprocess_exec(
        *engine.words,
        *words,
        env=engine.environment(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_ENGINE_S):
            told, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return b""
    return told if process.returncode == 0 else b""


def asker() -> str:
    """Who we are, so that another can see whether we live: the host's name, our process and when it began."""
    return f"{socket.gethostname()}/{os.getpid()}/{_began(os.getpid())}"


def _lives(told: str) -> bool:
    """True unless the asker is a process of this host that is gone; what we cannot judge lives."""
    host, _, rest = told.partition("/")
    pid, _, began = rest.partition("/")
    if host != socket.gethostname() or not pid.isdigit():
        return True
    return began == _began(int(pid))


def _began(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _listed(told: bytes) -> list[tuple[str, str]]:
    """Our containers as (name, asker): podman gives one list with mappings, docker a line each with joined labels."""
    try:
        whole = json.loads(told or b"[]")
    except ValueError:
        whole = [json.loads(line) for line in told.splitlines()]
    found = []
    for container in whole if isinstance(whole, list) else [whole]:
        names, labels = container["Names"], container["Labels"]
        if not isinstance(labels, dict):
            labels = dict(pair.partition("=")[::2] for pair in str(labels).split(","))
        found.append((names[0] if isinstance(names, list) else str(names), str(labels.get(LABEL, ""))))
    return found


def _plain(path: Path | str) -> str:
    """A path as the engines' mount option takes it, which knows no way to write a comma or a quote."""
    text = os.fspath(path)
    if any(sign in text for sign in ',"\n'):
        message = f"A container cannot be shown {show_path(os.fsencode(text))}"
        raise PermanentError("programs_refused", message, "Use a path without commas, quotes and line breaks.")
    return text
