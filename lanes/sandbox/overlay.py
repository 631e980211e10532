"""Mounts an overlayfs layer over read-only files in a private mount namespace, right before bwrap starts.

bwrap can mount overlays only since 0.9, and Debian 12 has an older one, so util-linux's ``unshare`` and ``mount`` do it
in a mount namespace that ends with the sandbox. Root mounts as root, other users in a user namespace (Linux 5.11). All
paths are relative to the run's own folder, because a comma or colon would end a path for ``mount``. Redirects are not
followed: with ``off`` many kernels would still follow one that was crafted by hand.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lanes.sandbox.folders import locked_folder

_PROBE_S: Final = 20
_MERGED, _WORKDIR = "merged", "layer"
_OPTIONS: Final = "redirect_dir=nofollow,metacopy=off,index=off"
_SCRIPT: Final = 'cd "$1" && mount -t overlay overlay -o "$2" merged && shift 2 && exec /usr/bin/env -i "$@"'


def find_overlay_argv() -> tuple[str, ...]:
    """The argv prefix that mounts a layer before another program starts; empty where overlays do not work."""
    unshare = shutil.which("unshare", path="/usr/bin:/bin")
    if unshare is None or not Path("/bin/sh").exists():
        return ()
    user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    argv = (unshare, *user, "--mount", "--propagation", "private", "--", "/bin/sh", "-c", _SCRIPT, "sh")
    return argv if _probe(argv) else ()


def overlay_prefix(overlay_argv: Sequence[str], directory: Path, lower: Path) -> tuple[list[str], Path]:
    """The argv prefix for one run, and the path where it sees `lower` with the layer `directory` on top."""
    folder = directory.parent
    for name in (_MERGED, _WORKDIR):
        (folder / name).mkdir(mode=0o755)
    folder.chmod(0o711)  # bwrap has dropped root's right to enter closed folders
    lower_path = os.path.relpath(lower, folder)
    private = "" if os.geteuid() == 0 else ",userxattr"
    options = f"lowerdir={lower_path},upperdir={directory.name},workdir={_WORKDIR},{_OPTIONS}{private}"
    return [*overlay_argv, str(folder), options], folder / _MERGED


def _probe(overlay_argv: Sequence[str]) -> bool:
    """True if a layer can be mounted, written to and read back, without changing the lower files."""
    with locked_folder() as folder:
        files, lower = folder / "run" / "files", folder / "lower"
        files.mkdir(parents=True)
        lower.mkdir()
        (lower / "old").write_text("old", encoding="ascii")
        argv_prefix, merged = overlay_prefix(overlay_argv, files, lower)
        change = ["/bin/sh", "-c", 'rm "$0/old" && echo new > "$0/new"', str(merged)]
        try:
            completed = subprocess.run(
                [*argv_prefix, *change], env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, stdin=subprocess.DEVNULL,
                capture_output=True, timeout=_PROBE_S, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            return False
        lower_unchanged = (lower / "old").exists() and not (lower / "new").exists()
        return (
            completed.returncode == 0
            and lower_unchanged
            and os.path.lexists(files / "old")
            and (files / "new").exists()
        )
