"""Forecasts: runs the queue forward from its present situation several times, each time with other durations.

A run claims jobs for the slots of workers and lets a copy of the live scheduler grant and load models; what recently
asked for models goes on asking. The spread of the runs is the forecast's interval.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from core.model.queue_forecast import Interval, JobForecast
from core.scheduler.durations import Durations
from core.scheduler.forward_run import ForwardRun, pickled
from core.scheduler.situation import QueuedWork, QueueSituation
from core.scheduler.weights import Weights

MOST_RUNS: Final = 24
FEWEST_RUNS: Final = 9
MOST_COST: Final = 4_000.0
"""What all runs together may cost, in events of the scheduler; a long queue gets fewer runs."""


def forecast(situation: QueueSituation, seed: int = 0, runs: int = MOST_RUNS) -> dict[str, JobForecast]:
    """When each job, and each demand that waits for itself, is expected to begin and to end, by its id.

    What did not begin in most runs is left out: its wait is not known. Equal arguments give equal forecasts.
    """
    starts: dict[str, list[float]] = defaultdict(list)
    finishes: dict[str, list[float]] = defaultdict(list)
    ranks: dict[str, int] = defaultdict(int)
    copy = pickled(situation.scheduler) if situation.scheduler is not None else None
    done, cost = 0, 0.0
    while done < runs and (done < FEWEST_RUNS or cost * (done + 1) <= MOST_COST * done):
        source = random.Random(f"{seed}.{done}")  # noqa: S311 (a sample of durations, nothing secret)
        run = ForwardRun(situation, Durations(source), copy)
        run.go()
        done, cost = done + 1, cost + run.cost
        for id_, at_s in run.finished.items():
            finishes[id_].append(at_s)
        for rank, (id_, at_s) in enumerate(sorted(run.started.items(), key=lambda item: item[1])):
            starts[id_].append(at_s)
            ranks[id_] += rank
    asked = {each.id for each in situation.running} | {each.id for each in situation.queued}
    asked |= {each.id for each in situation.waiting}
    known = [id_ for id_, values in finishes.items() if id_ in asked and 2 * len(values) > done]
    return {id_: _forecast(id_, starts, finishes, ranks) for id_ in known}


def _forecast(
    id_: str,
    starts: Mapping[str, Sequence[float]],
    finishes: Mapping[str, Sequence[float]],
    ranks: Mapping[str, int],
) -> JobForecast:
    began = starts.get(id_)
    start = Interval.of(began) if began else None
    before = round(ranks[id_] / len(began)) if began else 0
    return JobForecast(start, Interval.of(finishes[id_]), before)


def promised_start_s(situation: QueueSituation, job: QueuedWork, backlog_s: Mapping[str, float], key: str) -> float:
    """The start that a job is promised when it joins the queue, by the rule of the scheduler (`Weights`).

    `backlog_s` is the expected work that waits already, by key; it counts only as far as the turns of its key reach.
    """
    weights = situation.scheduler.weights if situation.scheduler is not None else Weights()
    own_s = backlog_s.get(key, 0.0) + job.work.p50_s
    before_s = sum(min(each_s, own_s) for each_s in backlog_s.values())
    slots = max(1, sum(each.number for each in situation.slots))
    return (
        job.ready_s
        + weights.promise_backlog * before_s / slots
        + weights.promise_s
        + weights.promise_work * job.work.p50_s
    )
