"""Forecasts: how often what was said of a wait came true, and what they say of simple queues."""

from __future__ import annotations

import random

import pytest

from core.scheduler.demand import WorkClass
from core.scheduler.scheduler import Scheduler
from core.simulator.simulation import simulate
from core.simulator.trace import Request
from tests.unit.scheduler.forecasts import ForecastingScheduler
from tests.unit.simulator.worlds import SIZES_GB, cluster

pytestmark = pytest.mark.queue


def requests(seed: int, number: int, gap_s: float) -> list[Request]:
    """Requests of four models with log-normal work, a third of them chats, in bursts of one to four."""
    rng, at_s, done = random.Random(seed), 0.0, []
    while len(done) < number:
        at_s += rng.expovariate(1 / gap_s)
        for _ in range(rng.choice((1, 1, 2, 4))):
            is_chat = rng.random() < 0.4
            work_s = rng.lognormvariate(2.0 if is_chat else 3.5, 0.7)
            model = rng.choices(list(SIZES_GB), (5, 3, 2, 1))[0]
            kind = WorkClass.CHAT if is_chat else WorkClass.BULK
            done.append(Request(at_s, model, 0, 1, f"t{rng.randrange(4)}", kind, work_s=work_s))
    return done


def hits(seed: int, nodes: str, gap_s: float, number: int) -> tuple[int, int]:
    world = cluster(nodes)
    policy = ForecastingScheduler(Scheduler([model.family for model in world.models]), every=12)
    simulate(world, requests(seed, number, gap_s), policy)
    return policy.hits()
