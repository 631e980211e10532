"""Executors: what makes a lane's change, the order that they get and the result that they return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from core.model.errors import Problem
from core.model.intent import Intent
from core.model.lane import Lane
from core.model.provenance import NO_PROVENANCE, Provenance
from core.model.turn import Turn
from core.ports.journal import Journal, MemoryJournal
from core.ports.reporting import MemoryUsage, ProgressReporter, UsageReporter, ignore_progress
from core.ports.repository import Repository


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """What an executor shall make: `start` is the tree it begins with, `base` the commit it is judged against.

    `feedback` is what the lane's checks said of an earlier try. `parameters` are the lane's, as the request set them.
    The lane's budget limits the sum of what `usage` has, with what earlier tries of the same work spent.
    """

    number: int
    revision: int
    lane: Lane
    intent: Intent
    turns: tuple[Turn, ...]
    base: str
    start: str
    feedback: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    journal: Journal = field(default_factory=MemoryJournal)
    progress: ProgressReporter = ignore_progress
    usage: UsageReporter = field(default_factory=MemoryUsage)


@dataclass(frozen=True, slots=True)
class ExecutorResult:
    """What an executor made: a tree in the repository's git store, files worth keeping, and how it was made."""

    tree: str
    artifacts: Mapping[str, bytes]
    provenance: Provenance = NO_PROVENANCE


class Executor(Protocol):
    """One way a lane makes a change."""

    @property
    def name(self) -> str:
        """What lane files call it."""

    @property
    def reads(self) -> bool:
        """Whether it takes any wording, as a model does; else it works by rule, or by its lane's file alone."""

    @property
    def deterministic(self) -> bool:
        """Whether it makes the edits that are known before the work and nothing else: by rule, without a model.

        A plugin that does not say so does not.
        """

    def unavailable(self, lane: Lane) -> Problem | None:
        """Why this lane cannot run here, or None when it can."""

    def needs(self, lane: Lane) -> frozenset[str]:
        """The capabilities a node must have to run this lane."""

    async def produce(self, order: WorkOrder, repository: Repository) -> ExecutorResult:
        """Do the work; raises `PermanentError` or `TransientError` with what to tell the person."""


@runtime_checkable
class CompositeExecutor(Protocol):
    """An executor of several parts, of which only some lanes have one that reads and can mend what a check found."""

    def can_repair(self, lane: Lane) -> bool:
        """Whether a part of the lane reads, so that a failing check is worth telling."""


def reads_in(executor: Executor, lane: Lane) -> bool:
    """Whether the executor, or a part of it that this lane has, takes any wording."""
    return executor.reads or (isinstance(executor, CompositeExecutor) and executor.can_repair(lane))
