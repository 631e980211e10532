"""Every metric of a home: its name, what it says, and its labels; docs/metrics.md has the same table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PREFIX: Final = "countersign_"


@dataclass(frozen=True, slots=True)
class MetricDescription:
    """A metric without its prefix, what it says, and its labels; every one is a gauge."""

    name: str
    help: str
    labels: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """The name as it is scraped."""
        return f"{PREFIX}{self.name}"


CATALOGUE: Final = tuple(
    MetricDescription(*row)
    for row in (
        ("tasks", "Tasks by state.", ("state",)),
        ("jobs", "Jobs by state.", ("state",)),
        ("queue_claimable", "Jobs that a worker may claim now."),
        ("queue_oldest_seconds", "For how long the oldest of these jobs is ready."),
        ("queue_paused", "1 while the whole queue is paused."),
        ("workers", "Living workers."),
        ("endpoint_up", "1 while a model server answers.", ("endpoint",)),
        ("endpoint_residents", "Models that a model server has loaded.", ("endpoint",)),
        ("endpoint_running", "Requests that a model server works on, where it says so.", ("endpoint",)),
        ("gpu_memory_total_bytes", "Memory of a GPU.", ("node", "gpu")),
        ("gpu_memory_free_bytes", "Free memory of a GPU.", ("node", "gpu")),
        ("today_tasks", "What happened to tasks since midnight (UTC), by kind of event.", ("event",)),
        ("today_errors", "Tasks that failed since midnight, by code of the problem.", ("code",)),
        ("today_tokens", "Tokens that models used since midnight, by lane.", ("lane",)),
        ("today_spent_usd", "What models cost since midnight, where their price is known."),
        ("today_loads", "Loads of models since midnight.", ("endpoint",)),
        ("today_wait_seconds", "How long jobs waited for workers and models since midnight.", ("lane", "quantile")),
        ("today_run_seconds", "How long jobs ran since midnight.", ("lane", "quantile")),
        ("today_decision_seconds", "From a staged diff to a verdict, since midnight.", ("quantile",)),
        ("objective_met", "1 while an objective is met.", ("objective",)),
        ("objective_good_ratio", "The good share of what an objective counts.", ("objective",)),
        ("objective_burn_rate", "How fast an error budget is used: 1 uses all of it in its window.", ("objective",)),
        ("alerts", "Open alerts by kind.", ("kind",)),
        ("deliveries", "Deliveries to webhooks by state.", ("state",)),
    )
)
"""All of them, in the order of the documentation."""
