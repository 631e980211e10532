"""The bench of policy runs, compares one answer with one answer, and finds the index far faster than the naive one."""

from __future__ import annotations

import json

import pytest

from tests.bench import policy

pytestmark = pytest.mark.law


def test_the_bench_writes_its_figures_and_the_index_beats_the_naive_evaluation(tmp_path):
    out = tmp_path / "bench" / "policy.json"
    policy.main(["--rounds", "3", "--out", str(out)])
    figures = json.loads(out.read_text())
    assert isinstance(figures.pop("failed"), list)
    assert {"bound_ratio", "naive_ratio", "decision_us"} <= set(figures)
    assert all(isinstance(value, int | float) for value in figures.values()), "flat"
    assert figures["naive_ratio"] <= policy.LIMITS["naive_ratio"]


def test_a_missed_goal_is_named():
    assert policy.missed({"bound_ratio": 0.9, "naive_ratio": 0.01}) == []
    assert policy.missed({"bound_ratio": 1.1, "naive_ratio": 0.01}) == ["bound_ratio is 1.1, over 1.0"]
