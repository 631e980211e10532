"""How often each family is asked for, and for how much work, from arrivals that fade."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(slots=True)
class UsageRates:
    """Counts arrivals of each family; an arrival fades to 1/e of its weight in `memory_s` seconds."""

    memory_s: float
    _arrivals: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    """The arrivals and their work, as far as they have not faded, at a time."""

    def arrived(self, family: str, work_s: float, now_s: float) -> None:
        """Count an arrival with its expected work."""
        count, work = self._faded(family, now_s)
        self._arrivals[family] = (count + 1.0, work + work_s, now_s)

    def needed_within(self, family: str, horizon_s: float, now_s: float) -> float:
        """The probability, 0 to 1, that the family is asked for within `horizon_s` seconds.

        Arrivals are taken to be independent at the present rate (a Poisson process).
        """
        return 1.0 - math.exp(-self.per_second(family, now_s) * horizon_s)

    def per_second(self, family: str, now_s: float) -> float:
        """The present rate of arrivals, 1 / s."""
        return self._faded(family, now_s)[0] / self.memory_s if self.memory_s > 0 else 0.0

    def work_per_second(self, family: str, now_s: float) -> float:
        """The seconds of expected work that arrive a second at present."""
        return self._faded(family, now_s)[1] / self.memory_s if self.memory_s > 0 else 0.0

    def _faded(self, family: str, now_s: float) -> tuple[float, float]:
        arrivals = self._arrivals.get(family)
        if arrivals is None or self.memory_s <= 0:
            return 0.0, 0.0
        count, work_s, at_s = arrivals
        left = math.exp((at_s - now_s) / self.memory_s)
        return count * left, work_s * left
