"""Files that the simulator's commands write: they are checked before the work, and replaced as a whole after it."""

from __future__ import annotations

import os
from pathlib import Path

from core.model.errors import UsageError


def check_target(path: Path | None) -> None:
    """Raise `UsageError` when `path` cannot be written, before anything is simulated."""
    if path is not None and (path.is_dir() or not os.access(path.parent, os.W_OK)):
        raise UsageError("no_folder", f"{path} cannot be written", "Name a file in a folder that you may write to.")


def write_text(path: Path, text: str) -> None:
    """Write a whole file, or nothing."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
