"""A layer over files that nobody writes to: overlayfs, mounted where nobody else sees it, right before bwrap starts.

bwrap mounts overlays of its own only since 0.9, which Debian 12 does not have; so ``unshare`` and ``mount`` of
util-linux do, in a mount namespace that ends with the sandbox. Root mounts as root, another user in a user namespace
(Linux 5.11). All names are relative to the run's own folder, for a comma or colon in a path would end it for ``mount``.
Redirections are not followed: with ``off`` many kernels would still follow one that somebody wrote by hand.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lanes.sandbox.folders import own_folder

_PROBE_S: Final = 20
_MERGED, _ASIDE = "merged", "layer"
_OPTIONS: Final = "redirect_dir=nofollow,metacopy=off,index=off"
_SCRIPT: Final = 'cd "$1" && mount -t overlay overlay -o "$2" merged && shift 2 && exec /usr/bin/env -i "$@"'


def layering() -> tuple[str, ...]:
    """The words that mount a layer before another program starts, if that works here; none where it does not."""
    unshare = shutil.which("unshare", path="/usr/bin:/bin")
    if unshare is None or not Path("/bin/sh").exists():
        return ()
    user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    words = (unshare, *user, "--mount", "--propagation", "private", "--", "/bin/sh", "-c", _SCRIPT, "sh")
    return words if _works(words) else ()


def laid(words: Sequence[str], directory: Path, beneath: Path) -> tuple[list[str], Path]:
    """What to put before a program, and where it then sees `beneath` with the layer `directory` on top."""
    own = directory.parent
    for name in (_MERGED, _ASIDE):
        (own / name).mkdir(mode=0o755)
    own.chmod(0o711)  # bwrap goes there without root's right to pass every door
    lower = os.path.relpath(beneath, own)
    private = "" if os.geteuid() == 0 else ",userxattr"
    options = f"lowerdir={lower},upperdir={directory.name},workdir={_ASIDE},{_OPTIONS}{private}"
    return [*words, str(own), options], own / _MERGED


def _works(words: Sequence[str]) -> bool:
    """Mount one, write through it, and see what is left of that."""
    with own_folder() as own:
        files, beneath = own / "run" / "files", own / "beneath"
        files.mkdir(parents=True)
        beneath.mkdir()
        (beneath / "old").write_text("old", encoding="ascii")
        before, merged = laid(words, files, beneath)
        change = ["/bin/sh", "-c", 'rm "$0/old" && echo new > "$0/new"', str(merged)]
        try:
            done = subprocess.run(
                [*before, *change], env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, stdin=subprocess.DEVNULL,
                capture_output=True, timeout=_PROBE_S, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            return False
        kept = (beneath / "old").exists() and not (beneath / "new").exists()
        return done.returncode == 0 and kept and os.path.lexists(files / "old") and (files / "new").exists()
