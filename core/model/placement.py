"""Chooses which ready job a node takes next; pure, so that a simulator can use it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.model.job import PAYLOAD_VERSION, Job

AGE_PER_PRIORITY = timedelta(minutes=10)
URGENT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class NodeView:
    """What a node offers: its name and its capabilities."""

    name: str
    offers: frozenset[str]


def fits(job: Job, node: NodeView) -> bool:
    """Whether `node` has everything that `job` needs and this program understands its payload."""
    return job.needs <= node.offers and job.payload_version <= PAYLOAD_VERSION


def rank(jobs: Iterable[Job], node: NodeView, now: datetime) -> tuple[Job, ...]:
    """The jobs that fit, in the order in which to take them.

    Deadlines within `URGENT` go first (earliest first); then by priority, to which every `AGE_PER_PRIORITY` of waiting
    adds one so that nothing starves; then the oldest.
    """

    def score(job: Job) -> tuple[int, float, float, float, str]:
        urgent = job.deadline_at is not None and job.deadline_at - now <= URGENT
        deadline = job.deadline_at.timestamp() if job.deadline_at is not None else float("inf")
        aged = job.priority + (now - job.created_at) / AGE_PER_PRIORITY
        return (0 if urgent else 1, deadline if urgent else 0.0, -aged, job.created_at.timestamp(), job.id)

    return tuple(sorted((job for job in jobs if fits(job, node)), key=score))
