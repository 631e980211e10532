"""Temporary folders inside a store, for git's index files."""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path
from typing import Final

from lanes.filetree.removal import remove_tree
from lanes.repository.store import Store

_ABANDONED_AFTER_S: Final = 24 * 3600.0
"""No process works in a scratch folder for longer than this."""


class ScratchFolder:
    """A folder inside the store for a temporary index; removed when the context ends."""

    def __init__(self, store: Store) -> None:
        store.ensure()
        parent = store.path / "scratch"
        parent.mkdir(exist_ok=True)
        remove_abandoned_scratch(parent)
        self._folder = Path(tempfile.mkdtemp(prefix="work-", dir=parent))

    def __enter__(self) -> Path:
        return self._folder

    def __exit__(self, *_: object) -> None:
        remove_tree(self._folder)


def remove_abandoned_scratch(parent: Path) -> None:
    """Remove the scratch folders of killed processes."""
    for folder in parent.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process has removed it
            if time.time() - folder.lstat().st_mtime > _ABANDONED_AFTER_S:
                remove_tree(folder)
