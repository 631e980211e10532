"""Forecasts of how often each family will be asked for: ridge regression on lags, beside the rules it has to beat.

Pure Python: the tables are small, and the live queue does not depend on a numerical library.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

LAGS: Final = 6
"""How many past bins the regression sees, beside the mean of all past ones."""
PENALTY: Final = 1.0
TRAINED_SHARE: Final = 0.6
"""The first share of the bins is trained on, the rest is held out."""

Counts = Mapping[str, Sequence[float]]
Rule = Callable[[Sequence[float]], float]
"""Forecasts the next bin of a series from the bins before."""


def counts_of(arrivals: Iterable[tuple[str, float]], bin_s: float) -> dict[str, list[float]]:
    """How often each family was asked for in each bin of `bin_s` seconds; the last bin, which is not full, is left out.

    `arrivals` are families with the seconds since the beginning, in order of time.
    """
    listed = list(arrivals)
    bins = int(listed[-1][1] / bin_s) if listed else 0
    counts = {family: [0.0] * bins for family, _ in listed}
    for family, at_s in listed:
        if (index := int(at_s / bin_s)) < bins:
            counts[family][index] += 1.0
    return counts


def naive(past: Sequence[float]) -> float:
    """As many as in the last bin."""
    return past[-1]


def seasonal_mean(past: Sequence[float], season: int) -> float:
    """The mean of the bins that are whole seasons ago; of all bins while no season is over."""
    same = past[-season::-season] if len(past) >= season else past
    return sum(same) / len(same)


def fading(past: Sequence[float], fade: float) -> float:
    """A mean in which each bin counts `fade` times as much as the one after it."""
    total = weights = 0.0
    weight = 1.0
    for count in reversed(past):
        total, weights = total + weight * count, weights + weight
        weight *= fade
    return total / weights


@dataclass(frozen=True, slots=True)
class Ridge:
    """A linear forecast from the last bins and the mean of all past ones; one for all families."""

    coefficients: tuple[float, ...]

    def forecast(self, past: Sequence[float]) -> float:
        """The forecast of the next bin, at least 0."""
        value = sum(c * x for c, x in zip(self.coefficients, _features(past), strict=True))
        return max(0.0, value)


def fit(series: Iterable[Sequence[float]], penalty: float = PENALTY) -> Ridge:
    """Fit on each bin that has `LAGS` before it; coefficients that do not help are drawn to 0 by the penalty."""
    size = LAGS + 2
    products = [[0.0] * size for _ in range(size)]
    targets = [0.0] * size
    for counts in series:
        for index in range(LAGS, len(counts)):
            row = _features(counts[:index])
            for i, left in enumerate(row):
                targets[i] += left * counts[index]
                for j, right in enumerate(row):
                    products[i][j] += left * right
    for i in range(size):
        products[i][i] += penalty
    return Ridge(tuple(solve(products, targets)))


def solve(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """Solve a system of linear equations by elimination with pivots; raises `ValueError` for a singular one."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    size = len(rows)
    for column in range(size):
        pivot = max(range(column, size), key=lambda index: abs(rows[index][column]))
        if abs(rows[pivot][column]) < 1e-12:
            raise ValueError("the equations are singular")
        rows[column], rows[pivot] = rows[pivot], rows[column]
        for index in range(column + 1, size):
            factor = rows[index][column] / rows[column][column]
            for other in range(column, size + 1):
                rows[index][other] -= factor * rows[column][other]
    solution = [0.0] * size
    for index in reversed(range(size)):
        known = sum(rows[index][other] * solution[other] for other in range(index + 1, size))
        solution[index] = (rows[index][size] - known) / rows[index][index]
    return solution


@dataclass(frozen=True, slots=True)
class ForecastErrors:
    """The mean absolute error of each rule, in requests a bin, on held-out bins; `bins` is the number of forecasts."""

    bin_s: float
    bins: int
    naive: float
    seasonal_mean: float
    fading: float
    ridge: float

    @property
    def best(self) -> str:
        """The name of the rule with the smallest error."""
        return min(("naive", "seasonal_mean", "fading", "ridge"), key=lambda name: float(getattr(self, name)))

    def to_json(self) -> dict[str, Any]:
        """The errors by names."""
        errors = {name: round(getattr(self, name), 4) for name in ("naive", "seasonal_mean", "fading", "ridge")}
        return {"bin_s": self.bin_s, "bins": self.bins, "best": self.best, "mean_absolute_error": errors}


def compare(counts: Counts, bin_s: float, fade_s: float) -> ForecastErrors | None:
    """Train on the first bins and compare the rules on the rest, each bin forecast from those before it.

    A season is a day, where the bins are an hour or less. None when there are too few bins.
    """
    bins = max((len(series) for series in counts.values()), default=0)
    split = int(bins * TRAINED_SHARE)
    if split <= LAGS or bins - split < 2:
        return None
    ridge = fit(series[:split] for series in counts.values())
    season, fade = max(1, round(86_400.0 / bin_s)), math.exp(-bin_s / fade_s)
    rules: dict[str, Rule] = {
        "naive": naive,
        "seasonal_mean": lambda past: seasonal_mean(past, season),
        "fading": lambda past: fading(past, fade),
        "ridge": ridge.forecast,
    }
    errors = {
        name: [abs(rule(series[:index]) - series[index]) for series in counts.values() for index in range(split, bins)]
        for name, rule in rules.items()
    }
    means = {name: sum(each) / len(each) for name, each in errors.items()}
    return ForecastErrors(bin_s, (bins - split) * len(counts), **means)


def _features(past: Sequence[float]) -> list[float]:
    """The last bins, the newest first, the mean of all, and 1."""
    return [*past[: -LAGS - 1 : -1], sum(past) / len(past), 1.0]
