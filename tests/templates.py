"""Folders that many tests begin with, made once a process for each content and copied from then on."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Hashable
from pathlib import Path

_where = tempfile.gettempdir()  # whatever folder a test lets others make their files in
_made: dict[Hashable, tempfile.TemporaryDirectory[str]] = {}


def copy_of(key: Hashable, folder: Path, make: Callable[[Path], None]) -> None:
    """Put a copy of each folder that `make` makes in an empty one into `folder`."""
    if key not in _made:
        _made[key] = tempfile.TemporaryDirectory(prefix="countersign-template-", dir=_where)
        make(Path(_made[key].name))
    for each in Path(_made[key].name).iterdir():
        shutil.copytree(each, folder / each.name, symlinks=True)


def remove() -> None:
    """Remove what was made, at the end of all tests."""
    for made in _made.values():
        made.cleanup()
    _made.clear()
