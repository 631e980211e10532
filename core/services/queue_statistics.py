"""Statistics of the queue: how long work waited and ran, and what model servers did in a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from core.model.model_lease import split_model
from core.store import model_loads, queue_statistics
from core.store.database import Database, to_ms
from core.store.model_loads import ModelLoad
from core.store.queue_statistics import FinishedJob, UsedModel
from core.store.unit_of_work import Tx, reads

MOST: Final = 20_000
"""How many finished jobs, requests and loads are counted at most, the newest ones."""


class Grouping(StrEnum):
    """What finished jobs are grouped by."""

    LANE = "lane"
    MODEL = "model"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """The waits and runs of a group of finished jobs, in seconds."""

    name: str
    waits: tuple[float, ...]
    runs: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """The row of ``queue.groups`` in ``stats --json``."""
        return {
            "name": self.name,
            "jobs": len(self.waits),
            "wait_p50_s": _quantile(self.waits, 0.5),
            "wait_p95_s": _quantile(self.waits, 0.95),
            "run_p50_s": _quantile(self.runs, 0.5),
            "run_p95_s": _quantile(self.runs, 0.95),
        }


@dataclass(frozen=True, slots=True)
class EndpointFigures:
    """What one endpoint did within `window_s` seconds: the time in which a request ran, and the loads.

    `load_s` are the seconds of loading that were timed; loads that other programs asked for are counted only.
    """

    name: str
    window_s: float
    requests: int
    busy_s: float
    loads: int
    load_s: float
    models: Mapping[str, tuple[int, int, float]]
    """By model: its requests, its loads, and the seconds of loading."""

    def to_json(self) -> dict[str, Any]:
        """The row of ``endpoints`` in ``stats --json``."""
        return {
            "name": self.name,
            "requests": self.requests,
            "busy_s": round(self.busy_s, 1),
            "use": round(min(1.0, self.busy_s / self.window_s), 4),
            "loads": self.loads,
            "load_s": round(self.load_s, 1),
            "load_share": round(min(1.0, self.load_s / self.window_s), 4),
            "models": [
                {"name": name, "requests": requests, "loads": loads, "load_s": round(seconds, 1)}
                for name, (requests, loads, seconds) in sorted(self.models.items())
            ],
        }


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """The statistics of a time; `is_cut` says that there were more than `MOST` jobs, and the newest are counted."""

    by: Grouping
    groups: tuple[GroupFigures, ...]
    endpoints: tuple[EndpointFigures, ...]
    is_cut: bool

    def to_json(self) -> dict[str, Any]:
        """The keys that ``stats --json`` has of the queue."""
        groups = [group.to_json() for group in self.groups]
        return {
            "queue": {"by": self.by.value, "groups": groups, "is_cut": self.is_cut},
            "endpoints": [endpoint.to_json() for endpoint in self.endpoints],
        }


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """Reads what the queue and the model servers did."""

    database: Database

    @reads
    async def figures(self, tx: Tx, since: datetime | None, by: Grouping) -> QueueFigures:
        """The statistics since then; without `since`, of all the time that is kept."""
        since_ms = to_ms(since) if since else 0
        jobs = await queue_statistics.finished_jobs(tx, since_ms, MOST)
        models: Mapping[str, str] = {}
        if by is Grouping.MODEL and jobs:
            models = await queue_statistics.models_of_jobs(tx, jobs[-1].ready_ms)
        used = await queue_statistics.used_models(tx, since_ms, MOST)
        loads = await model_loads.since(tx, since_ms, MOST)
        return QueueFigures(
            by, _groups(jobs, by, models), _endpoints(used, loads, since_ms, tx.now_ms), len(jobs) >= MOST
        )


def _groups(jobs: Iterable[FinishedJob], by: Grouping, models: Mapping[str, str]) -> tuple[GroupFigures, ...]:
    grouped: dict[str, list[FinishedJob]] = defaultdict(list)
    for job in jobs:
        name = {Grouping.LANE: job.lane, Grouping.PERSON: job.person, Grouping.MODEL: models.get(job.id, "")}[by]
        if name or by is not Grouping.MODEL:  # work without a model is in no group of models
            grouped[name].append(job)
    return tuple(
        GroupFigures(name, tuple(sorted(job.wait_s for job in group)), tuple(sorted(job.run_s for job in group)))
        for name, group in sorted(grouped.items())
    )


def _endpoints(
    used: Sequence[UsedModel], loads: Sequence[ModelLoad], since_ms: int, now_ms: int
) -> tuple[EndpointFigures, ...]:
    requests: dict[str, list[UsedModel]] = defaultdict(list)
    for each in used:
        requests[split_model(each.model)[0]].append(each)
    loaded: dict[str, list[ModelLoad]] = defaultdict(list)
    for load in loads:
        loaded[load.endpoint].append(load)
    first_ms = min([*(each.arrived_ms for each in used), *(load.at_ms for load in loads), now_ms])
    window_s = max(1.0, (now_ms - (since_ms or first_ms)) / 1000)
    return tuple(
        EndpointFigures(
            name=name,
            window_s=window_s,
            requests=len(requests[name]),
            busy_s=_busy_ms(requests[name]) / 1000,
            loads=len(loaded[name]),
            load_s=sum(load.seconds or 0.0 for load in loaded[name]),
            models=_by_model(requests[name], loaded[name]),
        )
        for name in sorted({*requests, *loaded})
    )


def _busy_ms(used: Iterable[UsedModel]) -> int:
    """The time in which at least one request ran: the union of their times."""
    busy_ms, until_ms = 0, 0
    for each in sorted(used, key=lambda each: each.granted_ms):
        busy_ms += max(0, each.ended_ms - max(each.granted_ms, until_ms))
        until_ms = max(until_ms, each.ended_ms)
    return busy_ms


def _by_model(used: Iterable[UsedModel], loads: Iterable[ModelLoad]) -> dict[str, tuple[int, int, float]]:
    figures: dict[str, tuple[int, int, float]] = {}
    for each in used:
        name = split_model(each.model)[1].removesuffix(":latest")
        requests, count, seconds = figures.get(name, (0, 0, 0.0))
        figures[name] = (requests + 1, count, seconds)
    for load in loads:
        name = load.model.removesuffix(":latest")
        requests, count, seconds = figures.get(name, (0, 0, 0.0))
        figures[name] = (requests, count + 1, seconds + (load.seconds or 0.0))
    return figures


def _quantile(ordered: Sequence[float], share: float) -> float:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)
