"""How many cards may be edited for forecasts alone: a few at once, and then a steady trickle."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

MOST_AT_ONCE: Final = 10
PER_MINUTE: Final = 15.0


@dataclass(slots=True)
class EditAllowance:
    """A token bucket of `MOST_AT_ONCE` edits, filled with `PER_MINUTE`: chats limit how often bots may edit."""

    clock: Callable[[], float] = time.monotonic
    _tokens: float = MOST_AT_ONCE
    _filled_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._filled_s = self.clock()

    def left(self) -> int:
        """How many edits are allowed now."""
        now_s = self.clock()
        self._tokens = min(float(MOST_AT_ONCE), self._tokens + (now_s - self._filled_s) * PER_MINUTE / 60)
        self._filled_s = now_s
        return int(self._tokens)

    def spend(self, edits: int) -> None:
        """Take edits from the allowance."""
        self._tokens -= edits
