"""Durations: draws how long work and loads take in one run of a forecast, from the quantiles that are expected."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Final

from core.scheduler.demand import Work

_NORMAL: Final = NormalDist()
_Z80: Final = _NORMAL.inv_cdf(0.8)
_COMMON_SIGMA: Final = 0.3
"""By how much all work of a run may be longer or shorter than expected: the quantiles are estimates themselves."""
_LEAST_SIGMA: Final = 0.1
_LOAD_SIGMA: Final = 0.15


@dataclass(slots=True)
class Durations:
    """Draws how long work takes in one run: log-normal between the quantiles, and longer or shorter as a whole."""

    random: random.Random
    _common: float = field(init=False)

    def __post_init__(self) -> None:
        self._common = math.exp(self.random.gauss(0.0, _COMMON_SIGMA))

    def whole_s(self, work: Work) -> float:
        """How long work takes that begins."""
        return self._at(work, self.random.gauss(0.0, 1.0))

    def rest_s(self, work: Work, elapsed_s: float) -> float:
        """How long work still takes that has gone on for `elapsed_s`."""
        if elapsed_s <= 0 or work.p50_s <= 0:
            return self.whole_s(work)
        passed = _NORMAL.cdf(math.log(elapsed_s / (work.p50_s * self._common)) / _sigma(work))
        share = passed + (1.0 - passed) * self.random.uniform(0.001, 0.999)
        if share >= 0.9999:  # far beyond what was ever seen: it may go on for as long again
            return elapsed_s * self.random.uniform(0.05, 1.0)
        return max(0.0, self._at(work, _NORMAL.inv_cdf(share)) - elapsed_s)

    def load_s(self, seconds: float) -> float:
        """How long a load takes that is expected to take `seconds`."""
        return seconds * math.exp(self.random.gauss(0.0, _LOAD_SIGMA))

    def _at(self, work: Work, z: float) -> float:
        return work.p50_s * self._common * math.exp(_sigma(work) * z)


def _sigma(work: Work) -> float:
    if work.p50_s <= 0 or work.p80_s <= work.p50_s:
        return _LEAST_SIGMA
    return max(_LEAST_SIGMA, math.log(work.p80_s / work.p50_s) / _Z80)
