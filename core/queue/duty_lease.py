"""A duty's lease, as one worker holds it: at most one worker of all has the duty."""

from __future__ import annotations

import time
from dataclasses import dataclass

from core.settings import SettingsSource
from core.store import leaders
from core.store.unit_of_work import RunsTransactions, Tx


@dataclass(slots=True)
class DutyLease:
    """The lease of `duty` for `worker`.

    It lasts as long as that of a worker, or `least_s` where that is longer, and is renewed when half of it is over;
    until then no row is read, because no other worker can take it. A leader that ends gives it up; when one was killed,
    another worker takes it once it has run out.
    """

    database: RunsTransactions
    settings: SettingsSource
    duty: str
    worker: str
    least_s: float = 0.0
    _ours_until_s: float = float("-inf")
    """Until when this worker has the duty for certain, by the monotonic clock."""

    async def is_ours(self) -> bool:
        """Whether this worker has the duty; it takes the lease when no worker has it."""
        asked_s = time.monotonic()
        if asked_s < self._ours_until_s:
            return True
        had_it, self._ours_until_s = self._ours_until_s > float("-inf"), float("-inf")
        lease_ms = round(max(self.settings().timing.lease_s, self.least_s) * 1000)
        if not had_it:
            leader, _ = await self.database.read(lambda tx: leaders.lease_of(tx, self.duty))
            if leader not in (None, self.worker):
                return False

        async def lead(tx: Tx) -> bool:
            return await leaders.lead(tx, self.duty, self.worker, lease_ms)

        if not await self.database.write_quietly(lead):
            return False
        self._ours_until_s = asked_s + lease_ms / 2000
        return True
