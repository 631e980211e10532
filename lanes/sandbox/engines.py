"""Which container engines really work here: podman is asked by starting a container, docker by asking its daemon."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from pathlib import Path
from typing import Final

from core.model.errors import Kind, Problem
from lanes.sandbox.container import ContainerEngine, ContainerSandbox
from lanes.sandbox.folders import own_folder
from lanes.sandbox.probe_error import complaint
from lanes.sandbox.result import SandboxLimits, SandboxRun

_ASK_S: Final = 30
_UIDS: Final = (2_000_000_000, 1_000_000)
# podman's own extras: no mounts for systemd, no proxies of ours, no scratch but what we mount, no files of its making
_PODMAN: Final = (
    "--systemd=false",
    "--http-proxy=false",
    "--read-only-tmpfs=false",
    "--image-volume",
    "ignore",
    "--no-hosts",
)
# where the default runtime and systemd are not there, as in a container
_WAYS: Final = {
    "podman": ((), ("--runtime=runc", "--cgroup-manager=cgroupfs"), ("--runtime=crun", "--cgroup-manager=cgroupfs")),
    "docker": ((),),
}
_INSTALL: Final = {"podman": "`apt install podman`", "docker": "`apt install docker.io`"}


def find_engine(kind: str) -> ContainerSandbox | Problem:
    """The sandbox of this kind that starts here, or why there is none; takes about a second."""
    if sys.platform != "linux":
        return _problem(f"Containers of lanes are Linux containers, and this host is {sys.platform}", kind)
    program = shutil.which(kind)
    if program is None:
        return _problem(f"The lane's isolation is {kind}, and {kind} is not installed", kind)
    told = ""
    ways = [(way, first) for way in _WAYS[kind] for first in (("--init",), ())]
    for way, first in ways:
        engine = _engine(kind, (program, *way), first)
        told = _started(engine) if kind == "podman" else _asked(engine)
        if not told:
            return ContainerSandbox(engine)
    return _problem(f"{kind} is installed but does not work here: {told}", kind)


def _engine(kind: str, words: tuple[str, ...], first: tuple[str, ...]) -> ContainerEngine:
    """With `first`, a small first process; a command that is the first itself is deaf to signals it does not expect."""
    extra = (*first, *(_PODMAN if kind == "podman" else ()))
    if os.geteuid() == 0:
        return ContainerEngine(kind, words, extra, *_UIDS)
    return ContainerEngine(kind, words, (*extra, "--userns", "keep-id") if kind == "podman" else extra)


def _asked(engine: ContainerEngine) -> str:
    """Ask a daemon for its version: without an image there is nothing to start; what it complained of, or nothing."""
    return complaint([*engine.words, "info", "--format", "{{.ServerVersion}}"], engine.environment(), _ASK_S)


def _started(engine: ContainerEngine) -> str:
    """Start a container from a root that holds the host's programs alone; what was complained of, or nothing."""
    with own_folder() as own:
        root, work = own / "root", own / "work"
        own.chmod(0o755)
        for folder in ("usr", "etc", "proc", "sys", "dev", "tmp", "run", "work"):
            (root / folder).mkdir(parents=True)
        for link in ("bin", "sbin", "lib", "lib64"):
            (root / link).symlink_to(f"usr/{link}")
        work.mkdir()
        run = SandboxRun(("true",), work, SandboxLimits(memory_mib=64, processes=16))
        options = engine.options(
            run, f"countersign-probe-{secrets.token_hex(8)}", engine.user(), ((Path("/usr"), "/usr"),)
        )
        argv = [*engine.words, *options, "--rm", "--entrypoint", '["/usr/bin/true"]', "--rootfs", str(root)]
        return complaint(argv, engine.environment(), _ASK_S)


def _problem(message: str, kind: str) -> Problem:
    mend = f"Install and start it (Debian and Ubuntu: {_INSTALL[kind]}), or set `isolation: bwrap` in the lane."
    return Problem(Kind.UNAVAILABLE, "no_sandbox", message, mend)
