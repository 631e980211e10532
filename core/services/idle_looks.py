"""Idle looks: a loop that found nothing to do need not look again while nothing is committed."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from core.store.database import Database

FIRST_S: Final = 3.0
"""How long after a commit a loop looks again in any case: some work becomes due by time alone, such as a retry."""
LONGEST_S: Final = 15.0
"""After how long it looks at the latest; the wait doubles from look to look."""

T = TypeVar("T")


@dataclass(slots=True)
class IdleLooks:
    """Leaves out looks of one loop that cannot find anything new; on PostgreSQL none.

    The first wait lasts `first_s`, each further one twice as long as the one before, at most `longest_s`. So what
    becomes due by time alone is found late by at most as long as it was put off, and by at most `longest_s`.
    """

    database: Database
    longest_s: float = LONGEST_S
    first_s: float = FIRST_S
    _version: tuple[int, int] | None = None
    _wait_s: float = 0.0
    _until_s: float = 0.0
    _within_s: float = float("inf")

    async def unless_idle(self, look: Callable[[], Awaitable[T]]) -> T | None:
        """What `look` found, a true value if there is something to do.

        None without a look if the last one found nothing to do, and nothing was committed since it began, but for what
        this process writes again and again (`Database.write_quietly`).
        """
        version = await self.database.committed()
        is_same = version is not None and version == self._version
        if is_same and time.monotonic() < self._until_s:
            return None
        self._within_s = float("inf")
        found = await look()
        if found:
            self._version = None
        elif version is not None:  # else what is known of the last look whose version is known still holds
            self._wait_s = min(self.longest_s, 2 * self._wait_s if is_same else self.first_s)
            self._version, self._until_s = version, time.monotonic() + min(self._wait_s, self._within_s)
        return found

    def look_within(self, seconds: float) -> None:
        """Look again after at most so long; a look calls this that knows when something becomes due."""
        self._within_s = min(self._within_s, max(0.0, seconds))
