"""What the programs of a running job wrote, in pieces as they are shown to those who look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PROGRESS: Final = "progress"
"""The name of the pieces that say how far the work is; the others are named like the file that is kept later."""


@dataclass(frozen=True, slots=True)
class OutputPiece:
    """Whole lines that one program wrote, with their secrets masked; `id` grows with every piece of any job."""

    id: int
    name: str
    text: str
    at_ms: int
