"""Secrets: from the environment, or from a file that only its owner reads; never from a configuration's text."""

from __future__ import annotations

import os
from pathlib import Path

from core.model.errors import UsageError


def secret(name: str, file: str | None, root: Path) -> str | None:
    """The secret in the variable `name`, else in `file` (relative to `root`), else None.

    Raises `UsageError` for a file that cannot be read, and for an empty secret: it would let everybody in.
    """
    said = os.environ.get(name)
    if said is None and file is not None:
        path = root / Path(file).expanduser()
        try:
            said = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise UsageError("no_secret", f"{path} cannot be read: {why}", f"Mend it, or set {name}.") from error
    if said is None:
        return None
    if not said.strip():
        raise UsageError("empty_secret", f"{name} is empty", "Set it, or take it away.")
    return said.strip()
