"""Finds out whether bubblewrap works on this host by starting it."""

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
from lanes.sandbox.cgroup import find_cgroup_parent
from lanes.sandbox.folders import locked_folder
from lanes.sandbox.overlay import find_overlay_argv
from lanes.sandbox.seccomp import syscall_filter
from lanes.sandbox.try_program import probe_error

_PROBE_S = 20
_MEND = "Install it (Debian and Ubuntu: `apt install bubblewrap`), or choose a lane that runs no command."
_BLOCKED = (
    "Allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, or an AppArmor profile for bwrap), "
    "or choose a lane that runs no command."
)
# Ids of per-run users, far from those of real users; the second range is for containers that map few ids.
_UID_RANGES = ((2_000_000_000, 1_000_000), (61_000, 2_000))


def find_bwrap() -> BwrapSandbox | Problem:
    """The strongest configuration of bubblewrap that starts here, or why none does; takes about 0.1 s."""
    if sys.platform != "linux":
        message = f"Lanes run commands in Linux namespaces, and this host runs {sys.platform}"
        return _problem(message, "Run a worker on Linux, or choose a lane that runs no command.")
    program = shutil.which("bwrap", path=os.environ.get("PATH", os.defpath) + ":/usr/bin:/bin")
    if program is None:
        return _problem("Lanes run commands in a sandbox, and bubblewrap is not installed", _MEND)
    reason = "started by root, it needs setpriv (Debian package util-linux)"
    for candidate in _candidates(program):
        reason = _probe(candidate)
        if not reason:
            return BwrapSandbox(replace(candidate, overlay_argv=find_overlay_argv(), cgroups=find_cgroup_parent()))
    mend = _BLOCKED if os.geteuid() != 0 else f"Run the worker as an ordinary user. {_BLOCKED}"
    return _problem(f"bubblewrap is installed but cannot start here: {reason}", mend)


def _candidates(program: str) -> list[Bwrap]:
    """Configurations to try, best first; root inside a user namespace is never one of them."""
    options, calls = known_options(program), syscall_filter()
    if os.geteuid() != 0:
        return [Bwrap(program, options, syscall_filter=calls)]
    setpriv = next((p for p in ("/usr/bin/setpriv", "/bin/setpriv") if Path(p).exists()), None)
    return [Bwrap(program, options, setpriv, *uids, calls) for uids in _UID_RANGES] if setpriv else []


def known_options(program: str) -> frozenset[str]:
    """The options that this bwrap lists in its help."""
    try:
        completed = subprocess.run(
            [program, "--help"], env={}, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return frozenset()
    return frozenset(re.findall(r"--[a-z0-9-]+", (completed.stdout + completed.stderr).decode("utf-8", "replace")))


def _probe(candidate: Bwrap) -> str:
    """Start it on an empty folder; returns the error, empty when it started."""
    with locked_folder() as folder:
        try:
            uid = candidate.give_to_run_user(folder)
            etc = candidate.write_etc(folder)
            options = candidate.options(folder, etc, {}, 16)
            with tempfile.TemporaryFile(buffering=0) as filter_file:
                filter_file.write(candidate.syscall_filter)
                filter_file.seek(0)
                filter_options = ["--seccomp", str(filter_file.fileno())] if candidate.syscall_filter else []
                argv = [candidate.program, *filter_options, *options, "--", *candidate.as_run_user(["true"], uid)]
                return probe_error(argv, {}, _PROBE_S, (filter_file.fileno(),))
        except OSError as error:
            return show_path(str(error).encode("utf-8", "replace"))


def _problem(message: str, mend: str) -> Problem:
    return Problem(Kind.UNAVAILABLE, "no_sandbox", message, mend)
