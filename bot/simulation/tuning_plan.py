"""Which scenarios weights are tuned on, and which others they are checked on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bot.simulation.models_file import read_models
from bot.simulation.scenario import BuiltScenario, ScenarioOptions, build_scenario, from_requests
from core.model.errors import UsageError
from core.simulator.trace import Request, read_trace
from core.simulator.tuning import Scenario

_HELD_OUT_SEED: Final = 1_000_003
"""Added to a seed for what is held out, far from the seeds that anyone trains on."""
_TRAINING_SHARE: Final = 0.6
_FEWEST: Final = 20


@dataclass(frozen=True, slots=True)
class TuningPlan:
    """Scenarios to train on, and scenarios that are held out; no request is in both."""

    training: tuple[Scenario, ...]
    held_out: tuple[Scenario, ...]


def plan_tuning(
    traces: Sequence[Path],
    held_out: Sequence[Path],
    workloads: Sequence[str],
    options: ScenarioOptions,
    seeds: int,
) -> TuningPlan:
    """Plan a tuning on traces and workloads, each with `seeds` seeds and at most `options.requests` requests.

    Without `held_out`, the last part of each trace is held out; of workloads, other seeds are.
    """
    training: list[Scenario] = []
    checks: list[Scenario] = []
    for seed in range(options.seed, options.seed + seeds):
        for workload in workloads:
            for scenarios, chosen in ((training, seed), (checks, seed + _HELD_OUT_SEED)):
                built = build_scenario(replace(options, workload=workload, seed=chosen))
                scenarios.append(_scenario(built, chosen))
        for path in traces:
            requests = read_trace(path)
            cut = len(requests) if held_out else round(_TRAINING_SHARE * len(requests))
            training.append(_part(path.name, requests[:cut], options, seed))
            if not held_out:
                checks.append(_part(path.name, requests[cut:], options, seed + _HELD_OUT_SEED))
        checks += [_part(path.name, read_trace(path), options, seed + _HELD_OUT_SEED) for path in held_out]
    return TuningPlan(tuple(training), tuple(checks))


def _part(name: str, requests: Sequence[Request], options: ScenarioOptions, seed: int) -> Scenario:
    """The beginning of some requests of a trace."""
    if len(requests) < _FEWEST:
        raise UsageError(
            "too_few", f"{name} has too few requests to tune on", f"Tune on at least {_FEWEST} on each side."
        )
    chosen = [each.moved(-requests[0].arrival_s) for each in requests[: options.requests]]
    described = read_models(options.models) if options.models else {}
    return _scenario(from_requests(name, chosen, replace(options, seed=seed), described), seed)


def _scenario(built: BuiltScenario, seed: int) -> Scenario:
    return Scenario(f"{built.name}, seed {seed}", built.cluster, built.requests)
