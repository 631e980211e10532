"""Tries a program out: a sandbox counts as available when it starts, not when its file exists."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from core.model.change import show_path


def probe_error(
    argv: Sequence[str], environment: Mapping[str, str], timeout_s: float, pass_fds: tuple[int, ...] = ()
) -> str:
    """Run `argv` to its end; returns the last line of its error output, empty when it succeeded."""
    try:
        completed = subprocess.run(
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
            pass_fds=pass_fds,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return show_path(str(error).encode("utf-8", "replace"))
    if completed.returncode == 0:
        return ""
    lines = (completed.stderr or completed.stdout).strip().splitlines() or [b"it gave no reason"]
    return show_path(lines[-1][:300])
