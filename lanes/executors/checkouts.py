"""Folders for one piece of work each, below one root; one that a killed program left behind goes with the next."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lanes.sandbox.folders import locked_folder, remove_abandoned

_PREFIX: Final = "work-"


class Checkouts:
    """Makes working folders below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def sweep(self) -> None:
        """Remove what the dead left, which may be much."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_abandoned(self._root, _PREFIX)

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """An empty folder of our own; removed with all it holds."""
        self.sweep()
        with locked_folder(self._root, _PREFIX) as own:
            (own / "files").mkdir()
            yield own / "files"
