"""When canaries are sent to an endpoint, and what they showed: one watch for each endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from core.model.endpoint_snapshot import ResidentModel
from core.model.inventory import Residency
from lanes.inventory.canary import CanaryResult, CanaryVerdict, send_canary
from lanes.models.endpoint import Endpoint

_MAX_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class CanaryPace:
    """A canary is sent `every_s` after a sign of life, and its answer of one token may take `limit_s`.

    With one round of looking before and one after, a dead runner is found within 30 s. After failures the next ones
    wait longer, up to `longest_backoff_s`.
    """

    every_s: float = 6.0
    limit_s: float = 14.0
    longest_backoff_s: float = 300.0


@dataclass(slots=True)
class CanaryWatch:
    """Sends canaries to the resident models of one endpoint.

    `wedged` says in one sentence what did not answer; empty while nothing is known to be wrong. A canary is also left
    out when a resident's expiry has moved, because then the server answered a request. A model that never answered may
    still be loading, so its first canary may take as long as the first token of an answer.
    """

    endpoint: Endpoint
    pace: CanaryPace = field(default_factory=CanaryPace)
    wedged: str = ""
    _due_s: float | None = None
    _failures: int = 0
    _answered: set[str] = field(default_factory=set)
    _expiries: dict[str, datetime | None] = field(default_factory=dict)
    _round: asyncio.Task[list[CanaryResult]] | None = None

    def trust(self, residents: Sequence[ResidentModel]) -> None:
        """Count these as having answered before: another process watched them."""
        self._answered |= {resident.family.key for resident in residents}

    def update(self, residents: Sequence[ResidentModel], now: datetime, now_s: float, *, may_send: bool) -> None:
        """Take the results of the canaries that ended, and send the next ones when they are due and `may_send`."""
        self._collect(now_s)
        if not residents:
            self.wedged, self._failures = "", 0  # what did not answer is gone
        awake = [resident for resident in residents if resident.level is Residency.AWAKE]
        if self._note_expiries(awake) and not self.wedged:
            self._due_s = now_s + self.pace.every_s
        if self._due_s is None:
            self._due_s = now_s + self.pace.every_s
        if awake and may_send and self._round is None and now_s >= self._due_s:
            self._round = asyncio.create_task(self._send(awake[:_MAX_AT_ONCE], now))

    def close(self) -> None:
        """Give up the canaries that are under way."""
        if self._round is not None:
            self._round.cancel()
            self._round = None

    def _collect(self, now_s: float) -> None:
        if self._round is None or not self._round.done():
            return
        results, self._round = self._round.result(), None
        dead = [result.reason for result in results if result.verdict is CanaryVerdict.DEAD]
        if dead:
            self.wedged, self._failures = dead[0], self._failures + 1
            self._due_s = now_s + min(self.pace.every_s * 2 ** min(self._failures - 1, 10), self.pace.longest_backoff_s)
            return
        if any(result.verdict is CanaryVerdict.ALIVE for result in results):
            self.wedged, self._failures = "", 0
        self._due_s = now_s + self.pace.every_s

    def _note_expiries(self, residents: Sequence[ResidentModel]) -> bool:
        """Remember until when models stay; True when one of them was used since the last look."""
        expiries = {resident.name: resident.expires_at for resident in residents}
        was_used = any(
            name in self._expiries and expiry is not None and _moved(self._expiries[name], expiry)
            for name, expiry in expiries.items()
        )
        self._expiries = expiries
        return was_used

    async def _send(self, residents: Sequence[ResidentModel], now: datetime) -> list[CanaryResult]:
        return list(await asyncio.gather(*(self._send_one(resident, now) for resident in residents)))

    async def _send_one(self, resident: ResidentModel, now: datetime) -> CanaryResult:
        key, limit_s = resident.family.key, self.pace.limit_s
        if resident.is_busy:  # it waits behind an answer, which may take as long as answers may
            limit_s = max(limit_s, self.endpoint.total_s)
        elif key not in self._answered:
            limit_s = max(limit_s, self.endpoint.first_token_s)
        result = await send_canary(self.endpoint, resident, limit_s, now)
        if result.verdict is CanaryVerdict.ALIVE:
            self._answered.add(key)
        return result


def _moved(before: datetime | None, after: datetime) -> bool:
    """Whether an expiry moved by more than the clocks of two canaries differ."""
    return before is None or (after - before).total_seconds() > 3
