"""Tuning: searches weights of the policy that serve training scenarios better, and checks them on others.

Every candidate is simulated on the same requests (common random numbers), so that only the weights differ.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from core.scheduler.scheduler import Scheduler
from core.scheduler.weights import Weights
from core.simulator.cluster import Cluster
from core.simulator.report import Report, geometric_mean, report
from core.simulator.search import Point, SearchResult, cma_library, cma_search, random_search
from core.simulator.simulation import simulate
from core.simulator.trace import Request

TUNED: Final = (
    "chat", "load_age", "hysteresis", "horizon_s", "memory_s", "promise_backlog", "promise_s", "promise_work",
    "turns", "replicate",
)  # fmt: skip
"""The weights that are searched. `bulk` stays, because only the ratio of the classes matters."""
FIGURES: Final = ("mean_s", "chat_p95_s", "p99_s")
"""The figures that are to be low."""
WORTH_IT: Final = 0.98
"""New weights replace the old ones when their held-out score is below this share of theirs."""
_PENALTY: Final = 5.0
"""What a lower share of kept promises and met deadlines, or a higher one of starved requests, costs."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Requests on a cluster, by a name for people."""

    name: str
    cluster: Cluster
    requests: Sequence[Request]


@dataclass(frozen=True, slots=True)
class WeightsCandidate:
    """Weights with their scores: 1 is as good as the old weights, and lower is better."""

    weights: Weights
    training: float
    held_out: float

    def to_json(self) -> dict[str, Any]:
        """The candidate by names."""
        weights = {name: round(value, 6) for name, value in asdict(self.weights).items()}
        return {"training": round(self.training, 4), "held_out": round(self.held_out, 4), "weights": weights}


@dataclass(frozen=True, slots=True)
class Tuning:
    """The old weights, and the best that random search and CMA-ES found with the same number of evaluations."""

    old: WeightsCandidate
    random: WeightsCandidate
    tuned: WeightsCandidate
    evaluations: int

    @property
    def best(self) -> WeightsCandidate:
        """The weights to use: those that trained best if they are worth it on what they were not trained on."""
        return self._found if self.is_better else self.old

    @property
    def is_better(self) -> bool:
        """Whether what was found should replace the old weights."""
        return self._found.held_out < WORTH_IT * self.old.held_out

    @property
    def _found(self) -> WeightsCandidate:
        return min(self.tuned, self.random, key=lambda each: each.training)

    def to_json(self) -> dict[str, Any]:
        """The tuning by names; `weights` are those to use."""
        return {
            "weights": self.best.to_json()["weights"],
            "is_better": self.is_better,
            "evaluations": self.evaluations,
            "scores": {name: getattr(self, name).to_json() for name in ("old", "random", "tuned")},
        }


def tune(
    training: Sequence[Scenario],
    held_out: Sequence[Scenario],
    old: Weights,
    evaluations: int,
    seed: int,
    progress: Callable[[], None] = lambda: None,
) -> Tuning:
    """Search weights on `training` and score what is found on `held_out`; `progress` is called after each evaluation.

    Raises `UsageError` when the library `cma` is not installed.
    """
    cma_library()  # before anything is simulated
    score_training, score_held_out = _Scores(training, old), _Scores(held_out, old)

    def score(point: Point) -> float:
        value = score_training.of(weights_at(point, old))
        progress()
        return value

    tuned = cma_search(score, len(TUNED), evaluations, seed)
    best_random = random_search(score, len(TUNED), tuned.evaluations, seed)
    return Tuning(
        WeightsCandidate(old, 1.0, 1.0),
        _candidate(best_random, old, score_held_out),
        _candidate(tuned, old, score_held_out),
        tuned.evaluations,
    )


def weights_at(point: Point, old: Weights) -> Weights:
    """The weights at a point of the search: each is its old value times e to the power of the coordinate."""
    default = Weights()
    changes = {
        name: (getattr(old, name) or getattr(default, name)) * math.exp(value)
        for name, value in zip(TUNED, point, strict=True)
    }
    return replace(old, **changes)


def _candidate(result: SearchResult, old: Weights, held_out: _Scores) -> WeightsCandidate:
    weights = weights_at(result.point, old)
    return WeightsCandidate(weights, result.score, held_out.of(weights))


class _Scores:
    """Scores weights on scenarios against the old weights, which are simulated once."""

    def __init__(self, scenarios: Sequence[Scenario], old: Weights) -> None:
        self._scenarios = scenarios
        self._old = [_run(scenario, old) for scenario in scenarios]

    def of(self, weights: Weights) -> float:
        """The geometric mean over scenarios and figures of the ratio to the old weights, with the penalties."""
        ratios: list[float] = []
        penalty = 0.0
        for scenario, old in zip(self._scenarios, self._old, strict=True):
            new = _run(scenario, weights)
            ratios += [_ratio(getattr(new, name), getattr(old, name)) for name in FIGURES]
            penalty += max(0.0, old.promises_kept - new.promises_kept) + max(0.0, old.deadlines_met - new.deadlines_met)
            penalty += max(0.0, new.starved - old.starved)
        return geometric_mean(ratios) + _PENALTY * penalty / len(self._scenarios)


def _ratio(new: float, old: float) -> float:
    return (new + 1e-6) / (old + 1e-6)


def _run(scenario: Scenario, weights: Weights) -> Report:
    families = [each.family for each in scenario.cluster.models]
    return report(simulate(scenario.cluster, scenario.requests, Scheduler(families, weights)))
