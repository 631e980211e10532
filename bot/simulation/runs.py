"""Runs policies on a scenario, and the JSON document of what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final

from bot.simulation.scenario import BuiltScenario, ScenarioOptions
from core.model.errors import UsageError
from core.scheduler.weights import Weights
from core.simulator.policies import COUNTERSIGN, POLICIES, run_policy
from core.simulator.report import Report, report
from core.simulator.simulation import Outcome
from core.simulator.windows import Window, counts_of, windows

USUAL: Final = (COUNTERSIGN, "ollama", "llama-swap", "zero-swap-fifo")
"""The policies that are compared when none is named."""
ALL: Final = "all"


@dataclass(frozen=True)
class PolicyRun:
    """A policy's run of a scenario; `label` is what it is called where runs of one policy are compared."""

    policy: str
    outcome: Outcome
    number_of_windows: int | None = None
    label: str = ""

    @property
    def name(self) -> str:
        """What people see it called."""
        return self.label or self.policy

    @property
    def is_bound(self) -> bool:
        """Whether it is a bound that no real policy reaches."""
        return self.policy.startswith("zero-swap-")

    @cached_property
    def report(self) -> Report:
        """The figures of the whole run."""
        return report(self.outcome)

    @cached_property
    def windows(self) -> tuple[Window, ...]:
        """The run's windows."""
        return windows(self.outcome, self.number_of_windows)

    def to_json(self) -> dict[str, Any]:
        """The run in `results` of ``sim run --json``."""
        label = {"label": self.label} if self.label else {}
        return {
            "policy": self.policy,
            **label,
            "about": POLICIES[self.policy],
            **self.report.to_json(),
            "window_states": counts_of(self.windows),
            "windows": [each.to_json() for each in self.windows],
        }


def chosen_policies(named: Sequence[str]) -> tuple[str, ...]:
    """The policies that these names mean, each once; raises `UsageError` for one that does not exist."""
    if unknown := [name for name in named if name != ALL and name not in POLICIES]:
        raise UsageError("no_policy", f"There is no policy {unknown[0]!r}", f"Known: {', '.join(POLICIES)}; or {ALL}.")
    names = [each for name in named for each in (POLICIES if name == ALL else (name,))]
    return tuple(dict.fromkeys(names)) or USUAL


def run_policies(
    scenario: BuiltScenario,
    policies: Sequence[str],
    weights: Weights,
    number_of_windows: int | None,
    progress: Callable[[str, int], None],
) -> list[PolicyRun]:
    """Run each policy; `progress` is called with its name and how many requests it has finished."""
    runs: list[PolicyRun] = []
    for policy in policies:
        progress(policy, 0)

        def finished(number: int, policy: str = policy) -> None:
            progress(policy, number)

        outcome = run_policy(policy, scenario.cluster, scenario.requests, weights, finished)
        runs.append(PolicyRun(policy, outcome, number_of_windows))
    return runs


def document_of(
    scenario: BuiltScenario, options: ScenarioOptions, weights: Weights, runs: Sequence[PolicyRun]
) -> dict[str, Any]:
    """The document of ``sim run --json``."""
    return {**describe(scenario, options), "weights": asdict(weights), "results": [each.to_json() for each in runs]}


def describe(scenario: BuiltScenario, options: ScenarioOptions) -> dict[str, Any]:
    """What was simulated, as JSON: `load` is the share of the endpoints' time that the work fills without any load."""
    cluster = scenario.cluster
    span_s = scenario.requests[-1].arrival_s
    work_s = sum(map(cluster.work_s, scenario.requests))
    return {
        "trace": scenario.name,
        "requests": len(scenario.requests),
        "span_s": round(span_s, 3),
        "load": round(work_s / (span_s * len(cluster.endpoints)), 4) if span_s else None,
        "seed": options.seed,
        "contention": options.contention,
        "nodes": [
            {"name": each.name, "memory_gb": each.memory_mib / 1024, "ram_gb": each.ram_mib / 1024}
            for each in cluster.endpoints
        ],
        "models": [
            {
                "name": each.name,
                "size_gb": round(each.size_mib / 1024, 3),
                "load_s": round(each.load_s, 3),
                "assumed": each.name in scenario.assumed,
            }
            for each in cluster.models
        ],
        "notes": list(scenario.notes),
    }
