"""Folders in memory, where the system has room for them: syncing to a disk is slow, and few tests are about that."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

MIB: Final = 1024 * 1024
_MEMORY: Final = Path("/dev/shm")


def folder_in_memory(room_mib: int) -> Path | None:
    """The folder whose files are in memory, if that much is free there."""
    if not _MEMORY.is_dir() or shutil.disk_usage(_MEMORY).free < room_mib * MIB:
        return None
    return _MEMORY
