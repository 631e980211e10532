"""Packs taken in: git checks every object first, and what a killed git left half written goes."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Final

from lanes.repository.command import FSCK, MIB, GitCommand
from lanes.repository.running import GitError

_PACK_BYTES: Final = 1024 * MIB
_QUIET_S: Final = 1000.0
"""Longer than any git is let live: what nobody has written to for that long, nobody will finish."""


def unpack_into(git: GitCommand, pack: bytes) -> None:
    """Add a thin pack's objects to the git directory of `git`, or none of them; an empty pack adds nothing."""
    if len(pack) >= 12 and pack[:4] == b"PACK" and int.from_bytes(pack[8:12], "big") == 0:
        return
    strict = ",".join(f"{fault}={verdict}" for fault, verdict in FSCK.items())
    options = ("--stdin", "--fix-thin", f"--strict={strict}", f"--max-input-size={_PACK_BYTES}")
    try:
        git.run("index-pack", *options, stdin=pack)
    except GitError:
        sweep(git.git_dir)
        raise


def sweep(git_dir: Path) -> None:
    """Remove the drafts of packs that were refused or whose git was killed; git itself leaves them for months."""
    for draft in (git_dir / "objects" / "pack").glob("tmp_*"):
        with contextlib.suppress(FileNotFoundError):  # another process sweeps, too
            if time.time() - draft.stat().st_mtime > _QUIET_S:
                draft.unlink()
