"""The operator's baseline: fingerprints of secrets that may stay in changes, in a file of the home.

The file is never read from a repository, because a change could then excuse its own secrets.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from core.model.errors import ConfigError

_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")


class SecretBaseline:
    """The fingerprints in `path`, one to a line; text after ``#`` says why. The file is read at each use."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def accepts(self, fingerprint: str) -> bool:
        """True if the operator lists this fingerprint; raises `ConfigError` for a file that cannot be understood."""
        try:
            lines = self._path.read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return False
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(self._path, None, "", f"cannot be read: {error}", "Correct or remove it.") from error
        return fingerprint in {_fingerprint(self._path, n, line) for n, line in enumerate(lines, 1)}


def _fingerprint(path: Path, number: int, line: str) -> str:
    """The fingerprint on a line; empty if it has only a comment."""
    word = line.partition("#")[0].strip()
    if word and not _FINGERPRINT.fullmatch(word):
        mend = "Write the fingerprint that `countersign secrets FILE` prints: 64 hex digits."
        raise ConfigError(path, number, "", f"{word[:20]!r} is not a fingerprint", mend)
    return word
