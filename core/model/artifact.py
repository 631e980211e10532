"""An artifact: a file kept with a revision of a task, named by the hash of its bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file of a revision: its name, the sha256 of its bytes, and its size."""

    name: str
    sha256: str
    size_bytes: int
    revision: int

    def to_json(self) -> dict[str, Any]:
        """The row of ``artifacts`` in the task document."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "size_bytes": self.size_bytes,
            "revision": self.revision,
        }
