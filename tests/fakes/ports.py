"""The smaller ports: an interpreter, a guard, an executor, and a listener to milestones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from core.model.change import Change
from core.model.decision import ApprovalRequirements
from core.model.edits import CreateFile
from core.model.errors import Problem
from core.model.intent import Intent, Unclear
from core.model.lane import Lane
from core.model.staged_diff import Finding, GuardReport, GuardVerdict
from core.model.turn import Turn
from core.ports import BlobReader, ExecutorResult, InterpretationContext, WorkOrder
from tests.fakes.repository import MemoryRepository


@dataclass(slots=True)
class FakeInterpreter:
    """Reads ``PATH = CONTENT`` as a file to create and nothing else."""

    async def interpret(self, turns: Sequence[Turn], _scene: InterpretationContext) -> Intent | Unclear:
        path, equals, content = turns[-1].text.partition(" = ")
        if not equals:
            return Unclear("that is not a request", ("PATH = CONTENT",))
        return Intent(turns[-1].text, (CreateFile(path, content),))


@dataclass(slots=True)
class FakeGuard:
    """Blocks every change of a path that begins with `protected`; the one secret it knows is ``hunter2``."""

    protected: str = ".github/"

    async def judge(self, change: Change, _lane: Lane, _terms: ApprovalRequirements, read: BlobReader) -> GuardReport:
        findings = []
        for file in change.files:
            if file.new_blob is not None:
                await read(file.new_blob)
            blocked = file.shown_path.startswith(self.protected)
            verdict = GuardVerdict.BLOCK if blocked else GuardVerdict.PASS
            findings.append(Finding("paths", verdict, "protected" if blocked else "free", file.shown_path))
        return GuardReport(tuple(findings))

    async def masked(self, _change: Change, patch: bytes, _read: BlobReader) -> bytes:
        return patch.replace(b"hunter2", b"[redacted: fake]")

    def mask(self, text: str) -> str:
        return text.replace("hunter2", "[redacted: fake]")

    def leaks(self, text: str) -> bool:
        return "hunter2" in text


@dataclass(slots=True)
class FakeExecutor:
    """Writes the files its order's edits create; `before` runs first and may raise, wait or count.

    `stopped` counts the runs that were cancelled, `runs` those that began.
    """

    name: str = "edit"
    reads: bool = False
    deterministic: bool = True
    before: Callable[[WorkOrder], object] | None = None
    wants: frozenset[str] = frozenset()
    problem: Problem | None = None
    gate: asyncio.Event | None = None
    runs: int = 0
    stopped: int = 0

    def unavailable(self, _lane: Lane) -> Problem | None:
        return self.problem

    def needs(self, _lane: Lane) -> frozenset[str]:
        return self.wants

    async def produce(self, order: WorkOrder, repository: MemoryRepository) -> ExecutorResult:
        self.runs += 1
        try:
            if self.before is not None:
                self.before(order)
            if self.gate is not None:
                await self.gate.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        if order.intent.revert_of is not None:
            tree = await repository.revert(order.intent.revert_of, order.base)
        else:
            made = {e.path: e.content.encode() for e in order.intent.edits if isinstance(e, CreateFile)}
            tree = repository.add({**repository.trees[order.start], **made})
        return ExecutorResult(tree, {"transcript.txt": order.intent.text.encode()})


@dataclass(slots=True)
class Milestones:
    """Remembers every point that was reached, and calls `at` there."""

    points: list[str] = field(default_factory=list)
    at: Callable[[str], object] | None = None

    def reached(self, point: str, **_facts: object) -> None:
        self.points.append(point)
        if self.at is not None:
            self.at(point)
