"""The families of workloads that are simulated by name, so that figures can be compared between versions."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from core.simulator.cluster import Cluster, parse_nodes
from core.simulator.generate import bursty_clients, generate, scaled_to_load, with_models
from core.simulator.model_figures import model_of_size
from core.simulator.trace import Request


@dataclass(frozen=True, slots=True)
class Workload:
    """A cluster with the requests that it gets."""

    cluster: Cluster
    requests: list[Request]


EIGHT_SIZES_GB = (5.0, 6.0, 9.0, 10.0, 15.0, 17.0, 20.0, 32.0)
"""Models of 7 to 70 billion weights with 4 to 8 bits and the cache of some thousand tokens, as people use them."""


SKEW = 1.5
"""How uneven the eight models are used: the exponent of Zipf's law."""


def eight_models(nodes: str = "2x48GB", contention: float = 0.0) -> Cluster:
    """Eight models on endpoints that hold about a third of them each."""
    models = tuple(model_of_size(f"m{index}", size) for index, size in enumerate(EIGHT_SIZES_GB))
    return Cluster(models, parse_nodes(nodes), contention)


def many_models(number: int, seed: int, nodes: str = "2x48GB", contention: float = 0.0) -> Cluster:
    """Many models, most of them small."""
    rng = random.Random(seed)
    sizes = [min(40.0, max(1.0, rng.lognormvariate(2.0, 0.7))) for _ in range(number)]
    models = tuple(model_of_size(f"m{index:02}", size) for index, size in enumerate(sizes))
    return Cluster(models, parse_nodes(nodes), contention)


def arrivals_of(trace: Sequence[Request], seed: int, load: float, cluster: Cluster | None = None) -> Workload:
    """The arrivals and lengths of a trace on eight models, at a load."""
    cluster = cluster or eight_models()
    named = with_models(trace, [each.name for each in cluster.models], SKEW, seed)
    return Workload(cluster, scaled_to_load(named, cluster, load))


def bursts(seed: int, load: float, number: int = 6000, models: int = 87, contention: float = 0.0) -> Workload:
    """Many models with bursts: gaps with a CV of 12 and more."""
    cluster = many_models(models, seed, contention=contention)
    clients = bursty_clients([each.name for each in cluster.models], seed)
    requests = generate(clients, number, 86_400.0, seed)
    return Workload(cluster, scaled_to_load(requests, cluster, load))
