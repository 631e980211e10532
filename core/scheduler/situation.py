"""The situation of the queue at one moment, from which its forecasts run forward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.scheduler.demand import Demand, Work
from core.scheduler.scheduler import Scheduler


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots of one worker: what its node offers, and how many jobs it runs at once."""

    worker: str
    offers: frozenset[str]
    number: int


@dataclass(frozen=True, slots=True)
class RunningWork:
    """A job that was claimed `elapsed_s` ago; `lease` is that of the model that it waits for or uses."""

    id: str
    worker: str
    work: Work
    elapsed_s: float
    lease: str | None = None


@dataclass(frozen=True, slots=True)
class QueuedWork:
    """A ready job, with the node's capabilities that it needs; `demand` is what it will ask a model for, if it will."""

    id: str
    work: Work
    needs: frozenset[str] = frozenset()
    ready_s: float = 0.0
    demand: Demand | None = None


@dataclass(frozen=True, slots=True)
class GrantedWork:
    """A lease that was granted at `since_s`; one that is held between two turns ends at `held_until_s`."""

    demand: Demand
    since_s: float
    held_until_s: float | None = None


@dataclass(frozen=True, slots=True)
class QueueSituation:
    """The queue as it is at `now_s`: `queued` are in the order of their claims, `waiting` wait in the scheduler.

    `loading_since_s` says of each endpoint that loads since when, `recent` are the demands that arrived in the last
    `window_s` seconds. Without a `scheduler` only the slots count.
    """

    now_s: float
    slots: Sequence[Slots]
    running: Sequence[RunningWork] = ()
    queued: Sequence[QueuedWork] = ()
    scheduler: Scheduler | None = None
    waiting: Sequence[Demand] = ()
    granted: Sequence[GrantedWork] = ()
    loading_since_s: Mapping[str, float] = field(default_factory=dict)
    recent: Sequence[Demand] = ()
    window_s: float = 900.0
