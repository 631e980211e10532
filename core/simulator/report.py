"""What a simulation comes to: the figures that people who wait would feel, and those of who owns the GPUs."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.scheduler.demand import WorkClass
from core.simulator.simulation import Outcome
from core.simulator.windows import quantile, state_of, windows

STARVED_S, STARVED_TIMES = 1800.0, 20.0
"""A request starved when it waited longer than this many seconds and this many times its own work."""


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one run. Times are seconds from arrival to the end, `wait` to the start; shares are 0 to 1."""

    requests: int
    mean_s: float
    p50_s: float
    p95_s: float
    p99_s: float
    chat_p95_s: float
    wait_mean_s: float
    loads: int
    wakes: int
    swap_share: float
    busy_share: float
    deadlines_met: float
    promises_kept: float
    starved: float
    jain: float
    window: str

    def to_json(self) -> dict[str, Any]:
        """The figures by name, rounded to what they mean."""
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(self).items()}


def report(outcome: Outcome) -> Report:
    """Compute the figures of a finished run."""
    requests = outcome.requests
    took = [finish - each.arrival_s for finish, each in zip(outcome.finish_s, requests, strict=True)]
    waits = [start - each.arrival_s for start, each in zip(outcome.start_s, requests, strict=True)]
    chat = [took[i] for i, each in enumerate(requests) if each.work_class is WorkClass.CHAT]
    with_deadline = [
        outcome.start_s[i] <= each.deadline_s for i, each in enumerate(requests) if each.deadline_s is not None
    ]
    promised = [start <= due for start, due in zip(outcome.start_s, outcome.due_s, strict=True) if due < math.inf]
    starved = [wait > STARVED_S + STARVED_TIMES * work for wait, work in zip(waits, outcome.work_s, strict=True)]
    gpu_s = outcome.end_s * outcome.endpoints or 1.0
    return Report(
        requests=len(requests),
        mean_s=mean(took),
        p50_s=quantile(took, 0.5),
        p95_s=quantile(took, 0.95),
        p99_s=quantile(took, 0.99),
        chat_p95_s=quantile(chat, 0.95) if chat else 0.0,
        wait_mean_s=mean(waits),
        loads=outcome.loads,
        wakes=outcome.wakes,
        swap_share=outcome.loading_s / gpu_s,
        busy_share=outcome.busy_s / gpu_s,
        deadlines_met=mean(with_deadline) if with_deadline else 1.0,
        promises_kept=mean(promised) if promised else 1.0,
        starved=mean(starved),
        jain=_jain_of_tenants(outcome, took),
        window=state_of(windows(outcome)).value,
    )


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean; 0 of none."""
    return sum(values) / len(values) if values else 0.0


def geometric_mean(values: Sequence[float]) -> float:
    """The geometric mean of values above 0."""
    return math.exp(sum(map(math.log, values)) / len(values))


def jain(values: Sequence[float]) -> float:
    """Jain's index of fairness: 1 when all values are equal, 1/n when one has all (Jain, Chiu, Hawe 1984)."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 1.0


def _jain_of_tenants(outcome: Outcome, took: Sequence[float]) -> float:
    """Jain's index over the tenants' inverse slowdowns: work over time from arrival to end."""
    work: dict[str, float] = defaultdict(float)
    time: dict[str, float] = defaultdict(float)
    for request, work_s, took_s in zip(outcome.requests, outcome.work_s, took, strict=True):
        work[request.tenant] += work_s
        time[request.tenant] += took_s
    return jain([work[tenant] / time[tenant] if time[tenant] else 1.0 for tenant in work])
