"""Core with a model that interprets: a real store, the real policy, and everything outside in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from bot.interpret.model_interpreter import ModelInterpreter
from core.jobs.job_context import JobContext
from core.model.edits import CreateFile
from core.model.ids import new_id
from core.model.job_order import NodeView
from core.model.lane import Lane
from core.ports.executor import Executor, ExecutorResult, WorkOrder
from core.ports.forge import Forge
from core.ports.repository import Repository
from core.queue.reconciler import Reconciler
from core.queue.worker import Worker
from core.store.database import Database
from lanes.models import ChatModel
from policies.load import parse_rules
from policies.policy import RulePolicy
from policies.rules import BUILT_IN_ROLES, NameList
from tests import builders
from tests.fakes.repository import MemoryRepository
from tests.fakes.scripted import ScriptedModel
from tests.worker_harness import InlineEngine, WorkerHarness

LANES = {
    lane.name: lane
    for lane in (
        Lane("docs", "documentation", ("docs/**", "*.md"), "edit"),
        Lane("config", "settings", ("config/**",), "edit"),
        Lane("code", "any wording", ("**",), "ollama"),
        Lane("deploy", "production", ("deploy/**",), "ollama"),
    )
}
POLICY = b"""version: 1
rules:
  - name: members
    when: {lane: [docs, config, code], from: [member, maintainer]}
    allow: {approvals: {count: 1, from: [maintainer]}, self_approve: false}
  - name: deploys
    when: {lane: deploy, from: [maintainer]}
    allow: {approvals: {count: 1, from: [maintainer]}, self_approve: false}
"""


@dataclass
class WritingExecutor:
    """An executor that takes any wording, and writes it into a file; `orders` are what it was told."""

    orders: list[WorkOrder] = field(default_factory=list)

    name = "ollama"
    reads = True
    deterministic = False

    def unavailable(self, _lane: Lane) -> None:
        return None

    def needs(self, _lane: Lane) -> frozenset[str]:
        return frozenset()

    async def produce(self, order: WorkOrder, repository: MemoryRepository) -> ExecutorResult:
        self.orders.append(order)
        tree = {**repository.trees[order.start], "docs/said.md": order.intent.text.encode()}
        return ExecutorResult(repository.add(tree), {})


class CreatingExecutor(WritingExecutor):
    """An executor that makes the files of its edits."""

    name = "edit"
    reads = False
    deterministic = True

    async def produce(self, order: WorkOrder, repository: MemoryRepository) -> ExecutorResult:
        made = {edit.path: edit.content.encode() for edit in order.intent.edits if isinstance(edit, CreateFile)}
        return ExecutorResult(repository.add({**repository.trees[order.start], **made}), {})


@dataclass
class InterpreterHarness(WorkerHarness):
    """A harness whose worker interprets with `model`."""

    model: ChatModel = field(default_factory=lambda: ScriptedModel(["no answer"]))
    patience_s: float = 30.0
    writing: WritingExecutor = field(default_factory=WritingExecutor)

    def __post_init__(self) -> None:
        super().__post_init__()
        people = self.settings.people
        names = NameList(frozenset(people.by_name), BUILT_IN_ROLES, frozenset(LANES), frozenset({"web", "site"}))
        law = RulePolicy(parse_rules(POLICY, "policy.yaml", names), people, LANES)
        self.configure(lanes=LANES, policy=law)

    def worker(self, *, node: NodeView = builders.NODE) -> Worker:
        """Another worker, which keeps no steps: what survives it is what the journal has."""
        identity = new_id("worker")
        context = JobContext(
            database=self.database,
            settings=lambda: self.settings,
            milestones=self.milestones,
            interpreter=ModelInterpreter(self.model, self.patience_s),
            guard=self.guard,
            executors=self.all_executors(),
            forges={"local": cast("Forge", self.forge)},
            followed={},
            repository=lambda _name: cast("Repository", self.repository),
            files=self.files,
            keys=self.keys,
        )
        return Worker(context, InlineEngine(), identity, node, Reconciler(self.database, lambda: self.settings))

    def all_executors(self) -> dict[str, Executor]:
        """The executors of its workers, by name."""
        return {"edit": cast("Executor", CreatingExecutor()), "ollama": cast("Executor", self.writing)}

    async def read(self, text: str, *answers: Any, **others: Any) -> int:
        """A request of ana's that was worked on with a model that gives `answers`."""
        self.model = ScriptedModel(list(answers))
        number = await self.ask(text, **others)
        await self.drain()
        return number


@pytest.fixture
def dialect() -> str:
    """SQLite: what is read does not depend on the database."""
    return "sqlite"


@pytest.fixture
def harness(database: Database, tmp_path: Path) -> InterpreterHarness:
    """Core with a model that interprets, on this test's database."""
    return InterpreterHarness(database, home=tmp_path)
