"""Generated traces: clients with bursts, lengths and models of their own, in the manner of ServeGen.

ServeGen (https://github.com/alibaba/ServeGen, Apache-2.0) composes a workload of clients, each with its own rate, its
own burstiness as the coefficient of variation (CV) of its gaps, and its own lengths. So does this module.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.model.errors import UsageError
from core.scheduler.demand import WorkClass
from core.simulator.cluster import Cluster
from core.simulator.trace import Request

_DEADLINE_SHARE = 0.1
_DEADLINE_S = (900.0, 3600.0)
"""How long after its arrival a request with a deadline is due."""


@dataclass(frozen=True, slots=True)
class Client:
    """A source of requests of one model: its share of all, the CV of its gaps, and the medians of its lengths."""

    model: str
    share: float
    gap_cv: float
    prompt_tokens: float
    output_tokens: float
    tenant: str
    work_class: WorkClass


def popularity(number: int, skew: float) -> list[float]:
    """The shares of `number` models by Zipf's law with exponent `skew`; they sum to 1."""
    weights = [1.0 / (rank + 1) ** skew for rank in range(number)]
    return [weight / sum(weights) for weight in weights]


def with_models(
    requests: Sequence[Request], models: Sequence[str], skew: float, seed: int, tenants: int = 8
) -> list[Request]:
    """Give requests that name no model one by popularity, and a tenant; one in ten bulk requests gets a deadline."""
    rng = random.Random(seed)
    names = list(models)
    rng.shuffle(names)
    shares = popularity(len(names), skew)
    done: list[Request] = []
    for each in requests:
        deadline_s = each.deadline_s
        if deadline_s is None and each.work_class is WorkClass.BULK and rng.random() < _DEADLINE_SHARE:
            deadline_s = each.arrival_s + rng.uniform(*_DEADLINE_S)
        done.append(
            replace(
                each,
                model=each.model or rng.choices(names, shares)[0],
                tenant=each.tenant or f"t{rng.randrange(tenants)}",
                deadline_s=deadline_s,
            )
        )
    return done


def bursty_clients(models: Sequence[str], seed: int, skew: float = 1.1, gap_cv: float = 12.0) -> list[Client]:
    """A client for each model, with bursts of CV `gap_cv` and more, and lengths of its own."""
    rng = random.Random(seed)
    names = list(models)
    rng.shuffle(names)
    return [
        Client(
            model=name,
            share=share,
            gap_cv=gap_cv * rng.uniform(1.0, 1.6),
            prompt_tokens=rng.lognormvariate(6.5, 0.8),
            output_tokens=rng.lognormvariate(5.0, 0.6),
            tenant=f"t{index % 16}",
            work_class=WorkClass.CHAT if rng.random() < 0.7 else WorkClass.BULK,
        )
        for index, (name, share) in enumerate(zip(names, popularity(len(names), skew), strict=True))
    ]


def steady_clients(models: Sequence[str], seed: int, skew: float) -> list[Client]:
    """Two clients for each model: conversations, and code as bulk work with longer prompts and shorter answers.

    The medians are those of the Azure traces of 2023 (Patel et al., Splitwise, ISCA 2024).
    """
    rng = random.Random(seed)
    names = list(models)
    rng.shuffle(names)
    clients: list[Client] = []
    for index, (name, share) in enumerate(zip(names, popularity(len(names), skew), strict=True)):
        gap_cv = rng.uniform(1.0, 2.0)
        clients += [
            Client(name, share * 0.7, gap_cv, 1020.0, 129.0, f"t{index}", WorkClass.CHAT),
            Client(name, share * 0.3, gap_cv, 1469.0, 13.0, f"t{index + 1}", WorkClass.BULK),
        ]
    return clients


def generate(clients: Sequence[Client], number: int, duration_s: float, seed: int) -> list[Request]:
    """About `number` requests within `duration_s`, of all clients, in order of arrival."""
    rng = random.Random(seed)
    requests: list[Request] = []
    for client in clients:
        count = max(1, round(number * client.share))
        requests += [_request_of(client, at_s, rng) for at_s in _arrivals(rng, count, duration_s, client.gap_cv)]
    return sorted(requests, key=lambda request: request.arrival_s)


def _request_of(client: Client, at_s: float, rng: random.Random) -> Request:
    prompt, output = client.prompt_tokens, client.output_tokens
    has_deadline = client.work_class is WorkClass.BULK and rng.random() < _DEADLINE_SHARE
    return Request(
        at_s,
        client.model,
        max(1, round(rng.lognormvariate(math.log(prompt), 0.7))),
        max(1, round(rng.lognormvariate(math.log(output), 0.7))),
        client.tenant,
        client.work_class,
        at_s + rng.uniform(*_DEADLINE_S) if has_deadline else None,
    )


def scaled_to_load(requests: Sequence[Request], cluster: Cluster, load: float) -> list[Request]:
    """Stretch or compress the arrivals so that the work without any load of a model fills `load` of the endpoints.

    Deadlines keep their distance from the arrival. Raises `UsageError` for a load that is not above 0.
    """
    if not 0 < load < 100:
        raise UsageError(
            "bad_load", f"The load is {load}", "Give a number above 0, such as 0.7; 1 fills the endpoints."
        )
    work_s = sum(map(cluster.work_s, requests))
    factor = work_s / (load * len(cluster.endpoints)) / (requests[-1].arrival_s or 1.0)
    scaled: list[Request] = []
    for each in requests:
        at_s = each.arrival_s * factor
        deadline_s = None if each.deadline_s is None else each.deadline_s - each.arrival_s + at_s
        scaled.append(replace(each, arrival_s=at_s, deadline_s=deadline_s))
    return scaled


def _arrivals(rng: random.Random, count: int, duration_s: float, gap_cv: float) -> list[float]:
    """Times of `count` arrivals whose gaps have this CV: gaps of a gamma distribution, scaled to the duration."""
    shape = 1.0 / gap_cv**2
    gaps = [rng.gammavariate(shape, 1.0) + 1e-9 for _ in range(count + 1)]
    scale, at_s, times = duration_s / sum(gaps), 0.0, []
    for gap in gaps[:-1]:
        at_s += gap * scale
        times.append(at_s)
    return times
