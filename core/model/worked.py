"""What was worked on a task: its jobs, leases, cost and journal, and the tasks that it is linked with, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.model.job import Job
from core.model.place import RepositoryScope
from core.model.provenance import Usage


@dataclass(frozen=True, slots=True)
class WorkedJob:
    """A job of any state with the times of its last try, in UTC milliseconds, and why that failed."""

    job: Job
    lane: str
    claimed_ms: int | None
    finished_ms: int | None
    progress: str
    problem: str


@dataclass(frozen=True, slots=True)
class LeaseSpan:
    """When a job asked for a model, got it, and gave it back, in UTC milliseconds; None: not yet."""

    job: str
    model: str
    arrived_ms: int
    granted_ms: int | None
    ended_ms: int | None


@dataclass(frozen=True, slots=True)
class RevisionCost:
    """What one model cost in one revision."""

    revision: int
    usage: Usage


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One finished piece of a job's work; `part` names the part of the work."""

    job: str
    part: str
    n: int
    at_ms: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LinkedTask:
    """A task beside the one that it waits for; `if_failed` is empty without a rule."""

    number: int
    title: str
    state: str
    after: int | None
    if_failed: str
    repo: str | None
    scope: RepositoryScope
    requester: str
