"""Calibration: how far a simulation is from what really happened, so that advice is given only where they agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from core.model.errors import UsageError
from core.simulator.simulation import Outcome
from core.simulator.windows import quantile

TOLERANCE: Final = 0.15
"""How far a simulated p50 or p95 may be from the real one."""
FEWEST: Final = 20
"""A lane with fewer finished requests has no p95 to speak of, and is not compared."""


@dataclass(frozen=True, slots=True)
class LaneComparison:
    """The times from arrival to the end of one lane's requests in seconds: what happened, and what was simulated."""

    lane: str
    requests: int
    real_p50_s: float
    simulated_p50_s: float
    real_p95_s: float
    simulated_p95_s: float

    @property
    def error(self) -> float:
        """The greater of the two relative errors; infinite where only the simulation took any time."""
        return max(
            _error(self.simulated_p50_s, self.real_p50_s),
            _error(self.simulated_p95_s, self.real_p95_s),
        )

    def to_json(self) -> dict[str, Any]:
        """The comparison by names; `error` is None where it is infinite."""
        figures = {name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(self).items()}
        error = self.error
        return {**figures, "error": round(error, 4) if error < float("inf") else None}


@dataclass(frozen=True, slots=True)
class Calibration:
    """The lanes that could be compared, and those that had too few requests."""

    lanes: tuple[LaneComparison, ...]
    too_few: tuple[str, ...]

    @property
    def worst(self) -> LaneComparison | None:
        """The lane with the greatest error."""
        return max(self.lanes, key=lambda lane: lane.error, default=None)

    @property
    def is_good(self) -> bool:
        """Whether at least one lane was compared and none is off by more than `TOLERANCE`."""
        return self.worst is not None and self.worst.error <= TOLERANCE

    def to_json(self) -> dict[str, Any]:
        """The comparison by names."""
        lanes = [lane.to_json() for lane in self.lanes]
        return {"calibrated": self.is_good, "lanes": lanes, "too_few": list(self.too_few)}


def compare(outcome: Outcome) -> Calibration:
    """Compare a simulation of an observed trace with the trace's own times.

    Raises `UsageError` when the trace does not say when its requests finished.
    """
    real: dict[str, list[float]] = defaultdict(list)
    simulated: dict[str, list[float]] = defaultdict(list)
    for request, finish_s in zip(outcome.requests, outcome.finish_s, strict=True):
        if request.finish_s is not None:
            real[request.lane].append(request.finish_s - request.arrival_s)
            simulated[request.lane].append(finish_s - request.arrival_s)
    if not real:
        raise UsageError(
            "not_observed",
            "The trace does not say when its requests finished, so there is nothing to compare with",
            "Export one with `countersign sim observe`.",
        )
    enough = [lane for lane in sorted(real) if len(real[lane]) >= FEWEST]
    lanes = tuple(_comparison(lane, real[lane], simulated[lane]) for lane in enough)
    return Calibration(lanes, tuple(lane for lane in sorted(real) if lane not in enough))


def _comparison(lane: str, real: Sequence[float], simulated: Sequence[float]) -> LaneComparison:
    return LaneComparison(
        lane,
        len(real),
        real_p50_s=quantile(real, 0.5),
        simulated_p50_s=quantile(simulated, 0.5),
        real_p95_s=quantile(real, 0.95),
        simulated_p95_s=quantile(simulated, 0.95),
    )


def _error(simulated_s: float, real_s: float) -> float:
    if real_s <= 0:
        return 0.0 if simulated_s <= 0 else float("inf")
    return abs(simulated_s - real_s) / real_s
