"""Executors, which make a lane's change, with the order that they get and the result that they return."""

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
from core.ports.reporting import (
    IgnoredOutput,
    IgnoredSteps,
    MemoryUsage,
    OutputReporter,
    ProgressReporter,
    StepReporter,
    UsageReporter,
    ignore_progress,
)
from core.ports.repository import Repository


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """The work of an executor: `start` is the tree to begin with, `base` the commit that the result is compared with.

    `feedback` is the output of the lane's checks in an earlier try. `parameters` are the lane's, as the request set
    them. The lane's budget limits everything that `usage` has recorded, including earlier attempts of the same work.
    `authors` are the people whose words are in the order.
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
    authors: tuple[str, ...] = ()
    output: OutputReporter = field(default_factory=IgnoredOutput)
    steps: StepReporter = field(default_factory=IgnoredSteps)


@dataclass(frozen=True, slots=True)
class ExecutorResult:
    """What an executor made: a tree in the repository's git store, files to keep, and the provenance.

    `authors` are people whose words an earlier run was shown, if its result was adopted.
    """

    tree: str
    artifacts: Mapping[str, bytes]
    provenance: Provenance = NO_PROVENANCE
    authors: tuple[str, ...] = ()


class Executor(Protocol):
    """One way of making a lane's change."""

    @property
    def name(self) -> str:
        """Its name in lane files."""

    @property
    def reads(self) -> bool:
        """Whether it takes any wording, as a model does; otherwise it works by rule or from its lane's file alone."""

    @property
    def deterministic(self) -> bool:
        """Whether it only makes edits that are known before the work, by rule and without a model.

        A plugin without this attribute is not deterministic.
        """

    def unavailable(self, lane: Lane) -> Problem | None:
        """Why this lane cannot run in this process, or None if it can."""

    def needs(self, lane: Lane) -> frozenset[str]:
        """The capabilities a node must have to run this lane."""

    async def produce(self, order: WorkOrder, repository: Repository) -> ExecutorResult:
        """Make the change; raises `PermanentError` or `TransientError` with a message for the person."""


@runtime_checkable
class CompositeExecutor(Protocol):
    """An executor that consists of other executors; which of them a lane uses depends on the lane."""

    def can_repair(self, lane: Lane) -> bool:
        """Whether a part of the lane takes any wording, so that it can repair what a check found."""


def reads_in(executor: Executor, lane: Lane) -> bool:
    """Whether the executor, or a part of it that this lane uses, takes any wording."""
    return executor.reads or (isinstance(executor, CompositeExecutor) and executor.can_repair(lane))
