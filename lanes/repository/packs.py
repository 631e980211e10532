"""Imports packs, whose objects git checks first, and removes pack files that killed processes left incomplete."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Final

from lanes.repository.command import FSCK, MIB, GitCommand
from lanes.repository.running import GitError

_PACK_BYTES: Final = 1024 * MIB
_ABANDONED_AFTER_S: Final = 1000.0
"""Longer than the timeout of any git process here."""


def unpack_into(git: GitCommand, pack: bytes) -> None:
    """Add the objects of a thin pack to the git directory of `git`, all or none; an empty pack adds nothing."""
    if len(pack) >= 12 and pack[:4] == b"PACK" and int.from_bytes(pack[8:12], "big") == 0:
        return
    strict = ",".join(f"{fault}={verdict}" for fault, verdict in FSCK.items())
    options = ("--stdin", "--fix-thin", f"--strict={strict}", f"--max-input-size={_PACK_BYTES}")
    try:
        git.run("index-pack", *options, stdin=pack)
    except GitError:
        remove_abandoned_packs(git.git_dir)
        raise


def remove_abandoned_packs(git_dir: Path) -> None:
    """Remove temporary files of refused packs and of killed processes, which git itself keeps for months."""
    for draft in (git_dir / "objects" / "pack").glob("tmp_*"):
        with contextlib.suppress(FileNotFoundError):  # another process has removed it
            if time.time() - draft.stat().st_mtime > _ABANDONED_AFTER_S:
                draft.unlink()
