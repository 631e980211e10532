"""A job: one queued unit of work of a task, and its states in the queue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class JobKind(StrEnum):
    """What a job does; each kind has its module in `core/jobs`."""

    PLAN = "plan"
    READ = "read"
    CHANGE = "change"
    PUBLISH = "publish"
    MERGE = "merge"
    CLOSE = "close"
    FOLLOW = "follow"


class JobState(StrEnum):
    """The state of a job: `waiting` for another task, `paused` for a larger budget, `ready`, `running`, or finished.

    A paused job keeps its journal, so that its work continues where it stopped.
    """

    WAITING = "waiting"
    PAUSED = "paused"
    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ACTIVE = (JobState.WAITING, JobState.READY, JobState.RUNNING)
"""The states of unfinished jobs of a task that does not rest; while a job is paused its task waits for a person."""


@dataclass(frozen=True, slots=True)
class Job:
    """A snapshot of one row of the queue.

    `attempt` counts attempts (one that ends in a transient fault is followed by another); `fence` counts claims: every
    write of a claimant names it, so that the writes of a worker that lost the claim fail; `needs` are the capabilities
    that a node must have, such as ``sandbox``; `rank_ms` is its place in the scheduler's order (see
    `core.model.job_order`); `parked` says why a ready job may not be claimed now (see `core.model.parking`), None if it
    may; `payload` is versioned by `payload_version`, so that an older worker does not claim newer
    jobs.
    """

    id: str
    number: int
    revision: int
    kind: JobKind
    state: JobState
    priority: int
    attempt: int
    fence: int
    rescues: int
    created_at: datetime
    ready_at: datetime
    deadline_at: datetime | None
    rank_ms: int
    owner: str | None
    needs: frozenset[str]
    payload: dict[str, Any]
    payload_version: int
    parked: str | None = None

    @property
    def run_id(self) -> str:
        """The id of this attempt's durable run; the same after a crash, another one after a retry."""
        return f"{self.id}-{self.attempt}"


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job that is not finished, with what people are shown of it.

    `problem` says why its last attempt failed, `progress` how far this one is, and `after` is the task that must be
    published first; each is None where there is none.
    """

    job: Job
    problem: str | None = None
    progress: str | None = None
    after: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The row of ``queue --json``."""
        job = self.job
        return {
            "job": job.id,
            "task": job.number,
            "revision": job.revision,
            "kind": job.kind.value,
            "state": job.state.value,
            "priority": job.priority,
            "attempt": job.attempt,
            "ready_at": job.ready_at.isoformat(),
            "deadline": job.deadline_at.isoformat() if job.deadline_at else None,
            "worker": job.owner,
            "needs": sorted(job.needs),
            "problem": self.problem,
        }


PAYLOAD_VERSION = 1
MAX_ATTEMPTS = 6
MAX_RESCUES = 5


def backoff_s(attempt: int, jitter: float) -> float:
    """Seconds to wait before attempt `attempt` + 1: 2, 4, 8 … at most 300, spread by `jitter` in [0, 1)."""
    return float(min(300.0, 2.0 ** min(16, max(1, attempt))) * (0.75 + jitter / 2))
