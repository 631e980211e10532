"""Finds out which container engines work here: podman must start a container, docker's daemon must answer."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from pathlib import Path
from typing import Final

from core.model.errors import Kind, Problem
from lanes.sandbox.container import ContainerEngine, ContainerSandbox
from lanes.sandbox.folders import locked_folder
from lanes.sandbox.interface import SandboxLimits, SandboxRun
from lanes.sandbox.try_program import probe_error

_PROBE_TIMEOUT_S: Final = 30
_UIDS: Final = (2_000_000_000, 1_000_000)
# what podman adds by default: systemd mounts, our proxies, its own scratch mounts, a generated /etc/hosts
_PODMAN: Final = (
    "--systemd=false",
    "--http-proxy=false",
    "--read-only-tmpfs=false",
    "--image-volume",
    "ignore",
    "--no-hosts",
)
# the later ones work where the default runtime or systemd is missing, such as inside a container
_GLOBAL_OPTIONS: Final = {
    "podman": ((), ("--runtime=runc", "--cgroup-manager=cgroupfs"), ("--runtime=crun", "--cgroup-manager=cgroupfs")),
    "docker": ((),),
}
_INSTALL: Final = {"podman": "`apt install podman`", "docker": "`apt install docker.io`"}


def find_container_engine(kind: str) -> ContainerSandbox | Problem:
    """The container sandbox of this kind, or why it does not work here; takes about a second."""
    if sys.platform != "linux":
        return _problem(f"Lanes use Linux containers, and this host runs {sys.platform}", kind)
    program = shutil.which(kind)
    if program is None:
        return _problem(f"The lane's isolation is {kind}, and {kind} is not installed", kind)
    reason = ""
    variants = [(options, init) for options in _GLOBAL_OPTIONS[kind] for init in (("--init",), ())]
    for options, init in variants:
        engine = _engine(kind, (program, *options), init)
        reason = _probe_container(engine) if kind == "podman" else _probe_daemon(engine)
        if not reason:
            return ContainerSandbox(engine)
    return _problem(f"{kind} is installed but does not work here: {reason}", kind)


def _engine(kind: str, command: tuple[str, ...], init: tuple[str, ...]) -> ContainerEngine:
    """An engine with `init` as its init options; a command run as process 1 would ignore unhandled signals."""
    extra = (*init, *(_PODMAN if kind == "podman" else ()))
    if os.geteuid() == 0:
        return ContainerEngine(kind, command, extra, *_UIDS)
    return ContainerEngine(kind, command, (*extra, "--userns", "keep-id") if kind == "podman" else extra)


def _probe_daemon(engine: ContainerEngine) -> str:
    """Ask the daemon for its version, since there may be no image to start; returns the error, if any."""
    return probe_error(
        [*engine.command, "info", "--format", "{{.ServerVersion}}"], engine.environment(), _PROBE_TIMEOUT_S
    )


def _probe_container(engine: ContainerEngine) -> str:
    """Start a container whose root holds only the host's programs; returns the error, if any."""
    with locked_folder() as folder:
        root, work = folder / "root", folder / "work"
        folder.chmod(0o755)
        for name in ("usr", "etc", "proc", "sys", "dev", "tmp", "run", "work"):
            (root / name).mkdir(parents=True)
        for link in ("bin", "sbin", "lib", "lib64"):
            (root / link).symlink_to(f"usr/{link}")
        work.mkdir()
        run = SandboxRun(("true",), work, SandboxLimits(memory_mib=64, processes=16))
        options = engine.options(
            run, f"countersign-probe-{secrets.token_hex(8)}", engine.new_uid(), ((Path("/usr"), "/usr"),)
        )
        argv = [*engine.command, *options, "--rm", "--entrypoint", '["/usr/bin/true"]', "--rootfs", str(root)]
        return probe_error(argv, engine.environment(), _PROBE_TIMEOUT_S)


def _problem(message: str, kind: str) -> Problem:
    mend = f"Install and start it (Debian and Ubuntu: {_INSTALL[kind]}), or set `isolation: bwrap` in the lane."
    return Problem(Kind.UNAVAILABLE, "no_sandbox", message, mend)
