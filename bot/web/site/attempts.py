"""Limits how often sign-ins are attempted, from one address and altogether."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

PER_ADDRESS: Final = 10
ALTOGETHER: Final = 100
WITHIN_S: Final = 60.0
_MAX_REMEMBERED: Final = 10_000


@dataclass(slots=True)
class AttemptLimits:
    """Counts attempts within the last `WITHIN_S` seconds of the monotonic `clock`.

    A token cannot be guessed; the limits keep attempts from filling the audit trail and the disk.
    """

    clock: Callable[[], float]
    _all: deque[float] = field(default_factory=deque)
    _by_address: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)

    def allow(self, address: str) -> bool:
        """Count an attempt from `address`; False if there were too many, and then it is not counted."""
        now_s = self.clock()
        mine = self._by_address.setdefault(address, deque())
        self._by_address.move_to_end(address)
        if len(self._by_address) > _MAX_REMEMBERED:
            self._by_address.popitem(last=False)
        for attempts in (mine, self._all):
            while attempts and attempts[0] <= now_s - WITHIN_S:
                attempts.popleft()
        if len(mine) >= PER_ADDRESS or len(self._all) >= ALTOGETHER:
            return False
        mine.append(now_s)
        self._all.append(now_s)
        return True
