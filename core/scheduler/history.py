"""What work is expected to take, from what similar work took."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, field

from core.scheduler.demand import Work

_KEPT = 400
_PRIOR = Work(10.0, 20.0)
_TRUST = 8.0
"""How many observations of its own a kind needs to count as much as the common quantiles."""


@dataclass(slots=True)
class _Window:
    """The last observations, in order of time and in order of size."""

    recent: deque[float] = field(default_factory=deque)
    ordered: list[float] = field(default_factory=list)

    def add(self, seconds: float) -> None:
        self.recent.append(seconds)
        insort(self.ordered, seconds)
        if len(self.recent) > _KEPT:
            del self.ordered[bisect_left(self.ordered, self.recent.popleft())]

    def quantile(self, share: float) -> float:
        return self.ordered[min(len(self.ordered) - 1, int(share * len(self.ordered)))]


@dataclass(slots=True)
class WorkHistory:
    """Expected work by kind, such as (lane, model, executor); `prior` is expected while nothing is known."""

    prior: Work = _PRIOR
    _kinds: dict[tuple[str, ...], _Window] = field(default_factory=dict)
    _common: _Window = field(default_factory=_Window)

    def observe(self, kind: tuple[str, ...], seconds: float) -> None:
        """Add what a finished piece of work took."""
        self._kinds.setdefault(kind, _Window()).add(seconds)
        self._common.add(seconds)

    def expected(self, kind: tuple[str, ...]) -> Work:
        """The expected work: the kind's own quantiles, shrunk to those of all work while it has few observations.

        They are rounded to a tenth of their size, so that work of one kind is compared as equal.
        """
        if not self._common.ordered:
            return self.prior
        window = self._kinds.get(kind)
        number = len(window.ordered) if window is not None else 0
        own = number / (number + _TRUST)
        values = [
            own * (window.quantile(share) if window is not None else 0.0) + (1 - own) * self._common.quantile(share)
            for share in (0.5, 0.8)
        ]
        return Work(*(float(f"{value:.1e}") for value in values))
