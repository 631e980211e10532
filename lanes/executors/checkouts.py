"""Folders for one piece of work each: made, held by a lock, and gone afterwards, also when the program was killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

if sys.platform != "win32":  # where no sandbox runs either
    import fcntl

_PREFIX: Final = "work-"


class Checkouts:
    """Makes working folders below `root`; one that a killed program left behind is removed by the next."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """An empty folder of our own; removed with all it holds."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.sweep()
        own = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._root))
        held = (own / "held").open("wb")
        try:
            _lock(held)
            (own / "files").mkdir()
            yield own / "files"
        finally:
            remove(own)
            held.close()

    def sweep(self) -> None:
        """Remove the folders whose owner died: nobody holds their lock any more."""
        for left in self._root.glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError), (left / "held").open("rb") as held:
                if _lock(held):
                    remove(left)


def _lock(file: IO[bytes]) -> bool:
    """Take the lock on `file` if nobody has it; True if we have it now."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def remove(folder: Path) -> None:
    """Remove a folder whatever the modes of what is in it; a link is removed, never followed."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        _open_up(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _open_up(folder: Path) -> None:
    """Give ourselves the right to list and empty every folder below; nothing else runs here any more."""
    with contextlib.suppress(OSError):
        folder.chmod(0o700)
        with os.scandir(folder) as entries:
            below = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
        for path in below:
            _open_up(path)
