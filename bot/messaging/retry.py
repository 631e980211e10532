"""How long a delivery waits before it is tried again."""

from __future__ import annotations

import random
from typing import Final

MAX_ATTEMPTS: Final = 30
"""How often a message that a platform refuses is tried: about a day."""


def backoff_s(attempt: int) -> float:
    """The wait after try number `attempt` failed because a platform was unavailable: seconds, growing to 5 minutes."""
    return min(300.0, 1.5 ** min(attempt - 1, 20)) * (0.75 + random.random() / 2)  # noqa: S311 - jitter


def refused_wait_s(attempt: int) -> float:
    """The wait after try number `attempt` was refused, which somebody may mend: a minute, growing to an hour."""
    return min(3600.0, 60.0 * 2.0 ** min(attempt - 1, 6))
