"""Which sandbox this host has: decided by starting it, not by finding its file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from core.model.change import show_path
from core.model.errors import Kind, Problem
from lanes.sandbox.bwrap import Bwrap, BwrapSandbox
from lanes.sandbox.calls import call_filter
from lanes.sandbox.cgroup import find_groups
from lanes.sandbox.folders import own_folder
from lanes.sandbox.overlay import layering
from lanes.sandbox.probe_error import complaint

_PROBE_S = 20
_MEND = "Install it (Debian and Ubuntu: `apt install bubblewrap`), or choose a lane that runs no command."
_BLOCKED = (
    "Allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, or an AppArmor profile for bwrap), "
    "or choose a lane that runs no command."
)
# Per-run users far from real ones; the second range is for containers that map few ids.
_UID_RANGES = ((2_000_000_000, 1_000_000), (61_000, 2_000))


def find_sandbox() -> BwrapSandbox | Problem:
    """The strongest sandbox that really starts here, or why there is none; takes about 0.1 s."""
    if sys.platform != "linux":
        message = f"Commands of lanes run in Linux namespaces, and this host is {sys.platform}"
        return _problem(message, "Run a worker on Linux, or choose a lane that runs no command.")
    program = shutil.which("bwrap", path=os.environ.get("PATH", os.defpath) + ":/usr/bin:/bin")
    if program is None:
        return _problem("Commands of lanes run in a sandbox, and bubblewrap is not installed", _MEND)
    told = "as root it needs setpriv (Debian package util-linux)"
    for candidate in _candidates(program):
        told = _probe(candidate)
        if not told:
            return BwrapSandbox(replace(candidate, layering=layering(), groups=find_groups()))
    mend = _BLOCKED if os.geteuid() != 0 else f"Run the worker as an ordinary user. {_BLOCKED}"
    return _problem(f"bubblewrap is installed but cannot start here: {told}", mend)


def _candidates(program: str) -> list[Bwrap]:
    """Ways to start it, the best first; root in a user namespace is none of them."""
    options, calls = known_options(program), call_filter()
    if os.geteuid() != 0:
        return [Bwrap(program, options, calls=calls)]
    setpriv = next((p for p in ("/usr/bin/setpriv", "/bin/setpriv") if Path(p).exists()), None)
    return [Bwrap(program, options, setpriv, *span, calls) for span in _UID_RANGES] if setpriv else []


def known_options(program: str) -> frozenset[str]:
    """The options that this bwrap has, by its own help."""
    try:
        told = subprocess.run(
            [program, "--help"], env={}, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return frozenset()
    return frozenset(re.findall(r"--[a-z0-9-]+", (told.stdout + told.stderr).decode("utf-8", "replace")))


def _probe(candidate: Bwrap) -> str:
    """Start it on an empty folder; what it complained of, or nothing."""
    with own_folder() as folder:
        try:
            uid = candidate.hand_over(folder)
            etc = candidate.write_etc(folder)
            options = candidate.options(folder, etc, {}, 16)
            with tempfile.TemporaryFile(buffering=0) as calls:
                calls.write(candidate.calls)
                calls.seek(0)
                filtered = ["--seccomp", str(calls.fileno())] if candidate.calls else []
                argv = [candidate.program, *filtered, *options, "--", *candidate.inner(["true"], uid)]
                return complaint(argv, {}, _PROBE_S, (calls.fileno(),))
        except OSError as error:
            return show_path(str(error).encode("utf-8", "replace"))


def _problem(message: str, mend: str) -> Problem:
    return Problem(Kind.UNAVAILABLE, "no_sandbox", message, mend)
