"""Forecasts of requests: the rules beside each other, and the regression that is solved by hand."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.scheduler.arrival_forecast import compare, counts_of, fading, fit, naive, seasonal_mean, solve

NUMBERS = st.floats(-10, 10, allow_nan=False)


def test_arrivals_are_counted_in_full_bins():
    arrivals = [("a", 0.0), ("b", 5.0), ("a", 9.9), ("a", 10.0), ("b", 25.0)]
    assert counts_of(arrivals, 10.0) == {"a": [2.0, 1.0], "b": [1.0, 0.0]}
    assert counts_of([], 10.0) == {}


def test_the_simple_rules():
    assert naive([1, 5, 2]) == 2
    assert seasonal_mean([1, 5, 2, 7], season=2) == pytest.approx((2 + 1) / 2)
    assert seasonal_mean([1, 5], season=24) == 3
    assert fading([4.0, 0.0], fade=0.5) == pytest.approx(2.0 / 1.5)


@given(
    st.lists(st.lists(NUMBERS, min_size=3, max_size=3), min_size=3, max_size=3),
    st.lists(NUMBERS, min_size=3, max_size=3),
)
def test_a_solution_solves_its_equations(matrix, right):
    for index, row in enumerate(matrix):
        row[index] += 50.0  # regular by its diagonal
    solution = solve(matrix, right)
    for row, value in zip(matrix, right, strict=True):
        assert sum(c * x for c, x in zip(row, solution, strict=True)) == pytest.approx(value, abs=1e-6)


def test_singular_equations_are_refused():
    with pytest.raises(ValueError, match="singular"):
        solve([[1.0, 1.0], [1.0, 1.0]], [1.0, 2.0])


def test_ridge_learns_what_the_other_rules_cannot():
    """Every third bin is busy: the mean and the last bin say little, the lags say it all."""
    series = [[9.0 if (index + shift) % 3 == 0 else 0.0 for index in range(60)] for shift in range(3)]
    ridge = fit(series)
    assert ridge.forecast([0.0, 0.0, 9.0, 0.0, 0.0, 9.0, 0.0, 0.0]) == pytest.approx(9.0, abs=1.0)
    errors = compare({str(index): each for index, each in enumerate(series)}, 300.0, 1200.0)
    assert errors is not None
    assert errors.best == "ridge"
    assert errors.ridge < 0.2 * errors.naive


def test_a_forecast_is_not_below_zero_and_needs_enough_bins():
    rng = random.Random(3)
    ridge = fit([[rng.choice([0.0, 0.0, 40.0]) for _ in range(50)]])
    assert all(ridge.forecast([rng.choice([0.0, 40.0]) for _ in range(8)]) >= 0 for _ in range(50))
    assert compare({"a": [1.0] * 8}, 300.0, 1200.0) is None
