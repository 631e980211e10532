"""Replays a history on endpoints as they are or might be, and judges whether the simulation may give advice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot.simulation.models_file import read_models
from bot.simulation.progress import ProgressLine
from bot.simulation.runs import PolicyRun
from bot.simulation.scenario import BuiltScenario, ScenarioOptions, from_requests, without_model
from core.model.errors import Kind, Problem
from core.scheduler.weights import Weights
from core.simulator.calibration import TOLERANCE, Calibration
from core.simulator.policies import COUNTERSIGN, run_policy
from core.simulator.trace import Request


def replay_run(
    requests: Sequence[Request], options: ScenarioOptions, weights: Weights, label: str
) -> tuple[BuiltScenario, PolicyRun]:
    """The history on the endpoints of `options` under Countersign's own policy."""
    described = read_models(options.models) if options.models else {}
    scenario = from_requests("history", requests, options, described)
    with ProgressLine() as line:
        outcome = run_policy(
            COUNTERSIGN,
            scenario.cluster,
            scenario.requests,
            weights,
            lambda finished: line.update(f"{label}: {finished} of {len(requests)} requests"),
        )
    return scenario, PolicyRun(COUNTERSIGN, outcome, label=label)


def without_models(requests: Sequence[Request], removals: Iterable[str]) -> list[Request]:
    """The history without these models, see `without_model`."""
    left = list(requests)
    for removal in removals:
        left = without_model(left, removal)
    return left


def calibration_problem(calibration: Calibration) -> Problem | None:
    """Why the simulation may not give advice; None when it may."""
    worst = calibration.worst
    if worst is None:
        return Problem(
            Kind.FAILED,
            "too_few",
            "No lane has enough finished requests to compare the simulation with, so it gives no advice",
            "Wait until a lane has 20, or look at a longer time.",
        )
    if calibration.is_good:
        return None
    off = f"is off by {worst.error:.0%}" if worst.error < float("inf") else "takes time where nothing really did"
    return Problem(
        Kind.FAILED,
        "not_calibrated",
        f"The simulation of lane {worst.lane or '-'} {off}, more than {TOLERANCE:.0%}, so it gives no advice",
        "Describe the models with --models FILE and the endpoints of today as they are.",
    )
