"""Figures of the past by day: counts, sums, and times in bins from which quantiles are read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

DAY_MS: Final = 24 * 3600 * 1000
_PER_OCTAVE: Final = 4
_LEAST_S: Final = 0.05
QUANTILE_ERROR: Final = 0.09
"""How far a quantile may be from the true one, because times are counted in bins: half a bin."""


class Measure(StrEnum):
    """What a figure counts, and what its name, count and total are."""

    COUNTED = "counted"
    """That a day was counted: count is the newest event then, total the time in UTC milliseconds."""
    EVENT = "event"
    """By kind of event: how many."""
    ERROR = "error"
    """By code of the problem: tasks that failed."""
    WAIT = "wait"
    """By lane or kind of job: seconds from when it could run to its work, waits for models included; in bins."""
    SURFACE_WAIT = "surface_wait"
    """By the surface of the request: the same waits; in bins."""
    RUN = "run"
    """By lane or kind of job: seconds of its work; in bins."""
    MODEL_RUN = "model_run"
    """By model: seconds of the work that asked it most; in bins."""
    LANE_SPENT = "lane_spent"
    """By lane: tokens as the count, dollars as the total."""
    MODEL_SPENT = "model_spent"
    """By model: tokens as the count, dollars as the total."""
    LOAD = "load"
    """By endpoint: loads of models, and the seconds of those that were timed."""
    WORKFLOW = "workflow"
    """By lane: runs of its workflow, and the seconds from their first step to the end of their last."""
    STEP = "step"
    """By lane and step, as ``lane/step``: seconds that it added to a run that it decided; in bins."""
    DECISION = "decision"
    """By person: seconds from the staged diff to their verdict; in bins."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of one day; `bins` are counts of times by their bin, empty where its measure has none.

    `repository` is that of the tasks which it counts; empty for what belongs to none.
    """

    measure: Measure
    name: str
    count: int
    total: float
    bins: Mapping[int, int] = field(default_factory=dict)
    repository: str = ""


def bin_of(seconds: float) -> int:
    """The bin of a time: four for each doubling."""
    return round(_PER_OCTAVE * math.log2(max(seconds, _LEAST_S)))


def quantile(bins: Mapping[int, int], share: float) -> float | None:
    """The time in seconds that a share of those in the bins does not exceed; None without any."""
    rank = share * sum(bins.values())
    below = 0
    for each in sorted(bins):
        below += bins[each]
        if below >= rank and below:
            value: float = 2 ** (each / _PER_OCTAVE)
            return value if value > _LEAST_S * 1.1 else 0.0
    return None
