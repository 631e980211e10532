"""The policies that can be simulated, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from core.model.errors import UsageError
from core.scheduler.scheduler import Scheduler
from core.scheduler.weights import Weights
from core.simulator.bounds import zero_swap
from core.simulator.cluster import Cluster
from core.simulator.ollama import Ollama, OllamaServers
from core.simulator.simulation import TICK_S, Outcome, SimulatedPolicy, simulate
from core.simulator.swapping import Swapping
from core.simulator.trace import Request

COUNTERSIGN: Final = "countersign"
POLICIES: Final = {
    COUNTERSIGN: "Countersign's scheduler",
    "ollama": "an Ollama server on each endpoint, requests sent where the fewest are unfinished",
    "ollama-one": "one Ollama server over all endpoints' GPUs",
    "llama-swap": "llama-swap: one model on each endpoint, a ready model first",
    "lru": "llama.cpp's router: a ready model first, least recently used is evicted, by memory",
    "fifo": "first come, first served, least recently used is evicted",
    "shortest": "shortest expected work first, least recently used is evicted",
    "zero-swap-fifo": "bound: every model resident everywhere at no cost, first come, first served",
    "zero-swap-shortest": "bound: every model resident everywhere at no cost, shortest first",
}
"""Each policy with what it stands for."""


def run_policy(
    name: str,
    cluster: Cluster,
    requests: Sequence[Request],
    weights: Weights | None = None,
    progress: Callable[[int], None] | None = None,
) -> Outcome:
    """Simulate a policy by its name; `weights` are those of Countersign's own.

    Raises:
        UsageError: There is no policy of this name.
        PhysicsError: The policy decided the impossible.
    """
    if name.startswith("zero-swap-") and name in POLICIES:
        return zero_swap(cluster, requests, shortest_first=name == "zero-swap-shortest")
    tick_s = TICK_S if name == COUNTERSIGN else 0.0  # the rivals' own servers only look when something happens
    return simulate(cluster, requests, _policy(name, cluster, weights), progress, tick_s)


def _policy(name: str, cluster: Cluster, weights: Weights | None) -> SimulatedPolicy:
    families = {each.name: each.family for each in cluster.models}
    match name:
        case "countersign":
            return Scheduler(families.values(), weights)
        case "ollama":
            return OllamaServers(families)
        case "ollama-one":
            return Ollama(families)
        case "llama-swap":
            return Swapping(families, ready_first=True, max_models=1, swaps_when_idle=True)
        case "lru":
            return Swapping(families, ready_first=True)
        case "fifo":
            return Swapping(families)
        case "shortest":
            return Swapping(families, order=lambda demand: (demand.work.p50_s, demand.arrived_s))
    raise UsageError("no_policy", f"There is no policy {name!r}", f"Known: {', '.join(POLICIES)}.")
