"""Two searches over numbers that start at 0: CMA-ES, and random search as what it must beat."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from core.model.errors import UsageError

SPREAD: Final = 0.5
"""The standard deviation with which both searches begin, in each direction."""
BOUND: Final = 3.0
"""How far from 0 both searches may go, in each direction."""

Point = Sequence[float]
Score = Callable[[Point], float]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The best point that a search met, its score (lower is better), and how many points were scored."""

    point: tuple[float, ...]
    score: float
    evaluations: int


def cma_search(score: Score, dimensions: int, evaluations: int, seed: int) -> SearchResult:
    """CMA-ES (Hansen, https://arxiv.org/abs/1604.00772): as many generations as `evaluations` allow, at least one.

    Raises `UsageError` when the library is not installed.
    """
    cma = cma_library()
    options = {"seed": seed + 1, "bounds": [-BOUND, BOUND], "verbose": -9, "verb_log": 0}  # a seed of 0 is the clock
    strategy = cma.CMAEvolutionStrategy([0.0] * dimensions, SPREAD, options)
    best = SearchResult((), float("inf"), 0)
    while best.evaluations == 0 or best.evaluations + strategy.popsize <= evaluations:
        points = [tuple(map(float, point)) for point in strategy.ask()]
        scores = [score(point) for point in points]
        strategy.tell(points, scores)
        best = _better(best, points, scores)
    return best


def random_search(score: Score, dimensions: int, evaluations: int, seed: int) -> SearchResult:
    """Score `evaluations` points from the distribution with which CMA-ES begins."""
    rng = random.Random(seed)
    points = [
        tuple(max(-BOUND, min(BOUND, rng.gauss(0.0, SPREAD))) for _ in range(dimensions)) for _ in range(evaluations)
    ]
    return _better(SearchResult((), float("inf"), 0), points, [score(point) for point in points])


def _better(best: SearchResult, points: Sequence[tuple[float, ...]], scores: Sequence[float]) -> SearchResult:
    lowest = min(range(len(points)), key=scores.__getitem__)
    evaluations = best.evaluations + len(points)
    if scores[lowest] < best.score:
        return SearchResult(points[lowest], scores[lowest], evaluations)
    return SearchResult(best.point, best.score, evaluations)


def cma_library() -> Any:
    """The library `cma`, imported only when it is needed; raises `UsageError` when it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns that it cannot plot
            import cma  # noqa: PLC0415 (an optional extra)
    except ImportError:
        raise UsageError(
            "no_cma",
            "Tuning needs the library cma, which is not installed",
            "Run `python -m pip install 'cma>=4'` with the Python that runs countersign; nothing else needs it.",
        ) from None
    return cma
