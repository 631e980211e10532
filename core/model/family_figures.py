"""What is learned of a model family on an endpoint: how long its loads take, and how wrong their estimates are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

SMALLEST_RATIO: Final = 0.25
LARGEST_RATIO: Final = 4.0
"""Observations beyond these are mistakes of the measurement rather than of the estimate."""
KEPT_TIMES: Final = 32
UNSEEN_MARGIN: Final = 1.3
"""What an estimate that no load has corrected is taken to be too low by."""
_LEAST_WEIGHT: Final = 0.2
"""The weight of the newest observation, once there are more than five."""


class TimingKind(StrEnum):
    """What is timed: a load from disk, a wake from RAM, an unload."""

    LOAD = "load"
    WAKE = "wake"
    UNLOAD = "unload"


@dataclass(frozen=True, slots=True)
class FamilyTimings:
    """The times of one kind in seconds: an average that recent ones dominate, and the newest, oldest first."""

    count: int = 0
    average_s: float = 0.0
    recent: tuple[float, ...] = ()

    def after(self, seconds: float) -> FamilyTimings:
        """The timings after one more; raises `ValueError` for one that is not a duration."""
        if not math.isfinite(seconds) or seconds < 0:
            raise ValueError(f"{seconds} is not a duration")
        weight = _weight(self.count)
        average_s = self.average_s + weight * (seconds - self.average_s)
        return FamilyTimings(self.count + 1, average_s, (*self.recent, seconds)[-KEPT_TIMES:])

    def quantile(self, share: float) -> float | None:
        """The time that `share` of the newest ones do not exceed; None before the first."""
        if not self.recent:
            return None
        ordered = sorted(self.recent)
        return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]

    def to_json(self) -> dict[str, Any]:
        """The timings as the ``--json`` documents show them."""
        return {
            "count": self.count,
            "average_s": round(self.average_s, 3),
            "p50_s": self.quantile(0.5),
            "p90_s": self.quantile(0.9),
        }


@dataclass(frozen=True, slots=True)
class MemoryCorrection:
    """By how much the estimates of a family on an endpoint are wrong: an average that recent loads dominate."""

    factor: float = 1.0
    count: int = 0

    def after(self, estimate_bytes: int, observed_bytes: int) -> MemoryCorrection:
        """The correction after a load of `estimate_bytes` was seen to take `observed_bytes`."""
        if estimate_bytes <= 0 or observed_bytes <= 0:
            return self
        ratio = min(max(observed_bytes / estimate_bytes, SMALLEST_RATIO), LARGEST_RATIO)
        return MemoryCorrection(self.factor + _weight(self.count) * (ratio - self.factor), self.count + 1)

    def apply(self, estimate_bytes: int) -> int:
        """The estimate as far as it is corrected."""
        return round(estimate_bytes * self.factor)

    def place(self, estimate_bytes: int, available_bytes: int) -> int:
        """The memory to keep free for a load: with a margin until one was seen, but not more than there is."""
        needed = self.apply(estimate_bytes)
        return needed if self.count else max(needed, min(round(needed * UNSEEN_MARGIN), available_bytes))


def _weight(count: int) -> float:
    return max(1 / (count + 1), _LEAST_WEIGHT)
