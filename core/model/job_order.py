"""The order in which jobs are claimed: `in_order` has it for what people are shown, `core.store.claims` in SQL."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from core.model.job import Job

TURN: Final = timedelta(minutes=1)
"""How far apart in the order two jobs of one key are; a unit of the order, not a time that passes."""
TURN_MS: Final = TURN // timedelta(milliseconds=1)
AGE_PER_PRIORITY: Final = timedelta(minutes=10)
"""How far one step of priority moves a job forward: as far as ten turns."""
AGE_PER_PRIORITY_MS: Final = AGE_PER_PRIORITY // timedelta(milliseconds=1)
URGENT: Final = timedelta(minutes=5)
"""How long before its deadline a job becomes urgent, and so goes before all others."""


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node's name and its capabilities."""

    name: str
    offers: frozenset[str]


def rank_ms_of(turn_ms: int, priority: int) -> int:
    """The rank of a job with the turn `turn_ms`; the lowest rank goes first.

    A step of priority counts as ten turns, so nothing starves, and a rank does not change while a job waits, so that an
    index can store the order. `core.store.turns` says which turn a job gets.
    """
    return turn_ms - priority * AGE_PER_PRIORITY_MS


def in_order(jobs: Iterable[Job], now: datetime) -> tuple[Job, ...]:
    """The jobs in the order in which they are claimed.

    A deadline within `URGENT` goes first (earliest deadline first); then the lowest rank.
    """

    def key(job: Job) -> tuple[bool, float, int, str]:
        urgent = job.deadline_at is not None and job.deadline_at - now <= URGENT
        deadline = job.deadline_at.timestamp() if job.deadline_at is not None and urgent else 0.0
        return not urgent, deadline, job.rank_ms, job.id

    return tuple(sorted(jobs, key=key))
