"""Advice: given only where simulation and history agree, and new weights only where they are better held out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.simulation.replays import calibration_problem
from bot.simulation.scenario import ScenarioOptions
from bot.simulation.tuning_plan import plan_tuning
from core.scheduler.weights import Weights
from core.simulator.calibration import compare
from core.simulator.policies import run_policy
from core.simulator.search import BOUND, cma_search, random_search
from core.simulator.tuning import TUNED, Scenario, Tuning, WeightsCandidate, tune, weights_at
from tests.unit.simulator.worlds import cluster, request

pytestmark = pytest.mark.queue

REQUESTS = [
    replace(request(number * 15.0, "ab"[number % 2], 5), lane=("code", "docs")[number % 2]) for number in range(60)
]


def observed(stretch: float):
    """The requests with what "really" happened: each took `stretch` times as long as it is simulated to take."""
    outcome = run_policy("countersign", cluster(), REQUESTS)
    return [
        replace(each, finish_s=each.arrival_s + stretch * (finish_s - each.arrival_s))
        for each, finish_s in zip(REQUESTS, outcome.finish_s, strict=True)
    ]


@pytest.mark.parametrize(("stretch", "is_good"), [(1.0, True), (1.1, True), (0.9, True), (1.3, False), (0.7, False)])
def test_a_simulation_is_calibrated_when_no_lane_is_off_by_more_than_15_percent(stretch, is_good):
    calibration = compare(run_policy("countersign", cluster(), observed(stretch)))
    assert [lane.lane for lane in calibration.lanes] == ["code", "docs"]
    assert calibration.is_good == is_good
    problem = calibration_problem(calibration)
    assert (problem is None) == is_good
    if problem is not None:
        off = abs(1 / stretch - 1)
        assert f"is off by {off:.0%}, more than 15%, so it gives no advice" in problem.message


def test_a_lane_with_few_requests_is_not_judged():
    some = observed(3.0)[:10]
    calibration = compare(run_policy("countersign", cluster(), some))
    assert (calibration.lanes, calibration.too_few) == ((), ("code", "docs"))
    assert not calibration.is_good
    problem = calibration_problem(calibration)
    assert problem is not None
    assert "gives no advice" in problem.message


def test_weights_at_the_middle_of_the_search_are_the_old_ones():
    old = Weights(chat=5.0, hysteresis=0.0)
    assert weights_at([0.0] * len(TUNED), old) == replace(old, hysteresis=Weights().hysteresis)


def test_random_search_keeps_the_best_of_exactly_as_many_points_as_it_may_score():
    scored: list[float] = []

    def score(point):
        scored.append(sum(value * value for value in point))
        assert all(abs(value) <= BOUND for value in point)
        return scored[-1]

    result = random_search(score, 4, 30, seed=1)
    assert (result.evaluations, result.score) == (30, min(scored))
    assert random_search(score, 4, 30, seed=1) == result


def test_cma_es_finds_a_minimum_that_random_search_with_as_many_evaluations_does_not():
    pytest.importorskip("cma", reason="needs the library cma: make env")

    def score(point):
        return sum((value - 1.0) ** 2 for value in point)

    found = cma_search(score, 6, 300, seed=3)
    assert found.evaluations <= 300
    assert found.score < 0.05 < random_search(score, 6, found.evaluations, seed=3).score
    assert cma_search(score, 6, 300, seed=3) == found


def test_both_searches_get_the_same_number_of_evaluations_on_the_same_requests():
    pytest.importorskip("cma", reason="needs the library cma: make env")
    calls: list[None] = []
    scenario, other = Scenario("one", cluster(), REQUESTS[:30]), Scenario("other", cluster(), REQUESTS[30:])
    result = tune([scenario], [other], Weights(), 20, 0, lambda: calls.append(None))
    assert result.evaluations == 20
    assert len(calls) == 40
    assert (result.old.training, result.old.held_out) == (1.0, 1.0)
    again = tune([scenario], [other], Weights(), 20, 0)
    assert again == result


@pytest.mark.parametrize(
    ("random", "tuned", "chosen"),
    [
        ((0.9, 0.9), (0.8, 0.9), "tuned"),
        ((0.7, 0.9), (0.8, 0.8), "random"),
        ((0.9, 0.7), (0.8, 0.99), "old"),
        ((0.9, 1.1), (0.8, 1.1), "old"),
    ],
)
def test_the_best_in_training_replaces_the_old_ones_only_if_it_is_better_held_out(random, tuned, chosen):
    candidates = {
        "old": WeightsCandidate(Weights(), 1.0, 1.0),
        "random": WeightsCandidate(Weights(chat=3), *random),
        "tuned": WeightsCandidate(Weights(chat=4), *tuned),
    }
    result = Tuning(**candidates, evaluations=10)
    assert result.best == candidates[chosen]
    assert result.is_better == (chosen != "old")


def test_what_is_held_out_is_not_trained_on(tmp_path):
    trace = tmp_path / "t.csv"
    rows = "".join(f"{second},m{second},1,{second}\n" for second in range(100))
    trace.write_text("arrival_s,model,prompt_tokens,output_tokens\n" + rows)
    options = ScenarioOptions(requests=50)
    plan = plan_tuning([trace], [], ["eight"], options, 2)
    assert [len(plan.training), len(plan.held_out)] == [4, 4]
    seen, unseen = (
        {
            (scenario.name.split(",")[0], each.model, each.output_tokens)
            for scenario in part
            for each in scenario.requests
        }
        for part in (plan.training, plan.held_out)
    )
    assert not {row for row in seen & unseen if row[0] == "t.csv"}
    assert not {scenario.name for scenario in plan.training} & {scenario.name for scenario in plan.held_out}
