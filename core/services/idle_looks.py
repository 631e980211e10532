"""Idle looks: a loop that found nothing to do need not look again while nothing is committed."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from core.store.database import Database

LONGEST_S: Final = 3.0
"""After how long a loop looks in any case: some work becomes due by time alone, such as a delivery that is retried."""

T = TypeVar("T")


@dataclass(slots=True)
class IdleLooks:
    """Leaves out looks of one loop that cannot find anything new, for at most `longest_s`; on PostgreSQL none."""

    database: Database
    longest_s: float = LONGEST_S
    _version: tuple[int, int] | None = None
    _until_s: float = 0.0

    async def unless_idle(self, look: Callable[[], Awaitable[T]]) -> T | None:
        """What `look` found, a true value if there is something to do.

        None without a look if the last one found nothing to do, and nothing was committed since it began, but for what
        this process writes again and again (`Database.write_quietly`).
        """
        version = await self.database.committed()
        if version is not None and version == self._version and time.monotonic() < self._until_s:
            return None
        found = await look()
        self._version, self._until_s = (None if found else version), time.monotonic() + self.longest_s
        return found
