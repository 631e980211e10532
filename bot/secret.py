"""Secrets come from the environment or from a file that only its owner reads, never from configuration text."""

from __future__ import annotations

import os
from pathlib import Path

from core.model.errors import UsageError


def secret(name: str, file: str | None, root: Path) -> str | None:
    """Read the secret from the variable `name`, else from `file` (relative to `root`), else return None.

    Raises `UsageError` for a file that cannot be read, and for an empty secret, which would let anyone in.
    """
    value = os.environ.get(name)
    if value is None and file is not None:
        path = root / Path(file).expanduser()
        try:
            value = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise UsageError(
                "no_secret", f"{path} cannot be read: {reason}", f"Fix the file, or set {name}."
            ) from error
    if value is None:
        return None
    if not value.strip():
        raise UsageError("empty_secret", f"{name} is empty", "Give it a value, or unset it.")
    return value.strip()
