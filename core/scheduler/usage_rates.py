"""How often each family is asked for: the probability that one is needed again soon, from arrivals that fade."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(slots=True)
class UsageRates:
    """Counts arrivals of each family; an arrival fades to 1/e of its weight in `memory_s` seconds."""

    memory_s: float
    _counts: dict[str, tuple[float, float]] = field(default_factory=dict)

    def arrived(self, family: str, now_s: float) -> None:
        """Count an arrival."""
        self._counts[family] = (self._faded(family, now_s) + 1.0, now_s)

    def needed_within(self, family: str, horizon_s: float, now_s: float) -> float:
        """The probability, 0 to 1, that the family is asked for within `horizon_s` seconds.

        Arrivals are taken to be independent at the present rate (a Poisson process).
        """
        return 1.0 - math.exp(-self.per_second(family, now_s) * horizon_s)

    def per_second(self, family: str, now_s: float) -> float:
        """The present rate of arrivals, 1 / s."""
        return self._faded(family, now_s) / self.memory_s if self.memory_s > 0 else 0.0

    def _faded(self, family: str, now_s: float) -> float:
        count, at_s = self._counts.get(family, (0.0, now_s))
        return count * math.exp((at_s - now_s) / self.memory_s) if self.memory_s > 0 else 0.0
