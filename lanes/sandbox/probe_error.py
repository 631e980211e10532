"""What a program says when it is tried out: whether a sandbox is here is decided by starting one."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from core.model.change import show_path


def complaint(
    argv: Sequence[str], environment: Mapping[str, str], timeout_s: float, pass_fds: tuple[int, ...] = ()
) -> str:
    """Run it to its end; the last line of what it complained of, or nothing when it went well."""
    try:
        ran = subprocess.run(
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
    if ran.returncode == 0:
        return ""
    lines = (ran.stderr or ran.stdout).strip().splitlines() or [b"no word why"]
    return show_path(lines[-1][:300])
