"""Fixtures of the workflow tests: a real repository, the real executors, and one that a test scripts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.interpret.grammar import NotUnderstood, parse
from core.model.edits import Edit
from core.model.errors import Problem, UsageError
from core.model.intent import Intent
from core.model.lane import Lane
from core.model.provenance import Provenance, Usage
from core.model.turn import Turn
from core.ports.executor import Executor, ExecutorResult, WorkOrder
from core.ports.journal import MemoryJournal
from core.ports.reporting import MemoryUsage
from core.ports.repository import Repository
from core.strict_yaml.document import loads
from lanes.executors.checks import CheckedExecutor, CheckRunner
from lanes.executors.command import CommandExecutor
from lanes.executors.edit import EditExecutor
from lanes.registry import lane_from_document
from lanes.repository import GitRepository, as_git
from lanes.sandbox import Sandbox
from lanes.workflow.cache import StepCache
from lanes.workflow.run import WorkflowExecutor
from tests.host import sandbox_here
from tests.integration.lanes import origin

FILES = {
    "README.md": "# Web\n\nIt is blorf best.\n",
    "CHANGELOG.md": "# Changelog\n\n## Unreleased\n\n- nothing yet\n",
    "requirements.txt": "httpx==0.27.0\nrich==13.0\n",
    "config/app.yaml": "server:\n  timeout: 10   # seconds\n",
    "src/a.py": "def old_name():   \n    return 1\n\n\nolder = old_name()",
    "src/b.py": "#!/usr/bin/python3\nfrom a import old_name\n",
    "docs/guide.md": "Blorf guide.\n",
}


@dataclass
class ScriptedExecutor:
    """An executor that writes what a test says: of each step's words, a function from order to files, or a fault."""

    does: Callable[[WorkOrder], Mapping[str, str | None]] = field(default=lambda _order: {})
    name: str = "doing"
    reads: bool = True
    deterministic: bool = False
    orders: list[WorkOrder] = field(default_factory=list)
    before: Callable[[WorkOrder], Any] | None = None
    tokens: int = 10

    def unavailable(self, _lane: Lane) -> Problem | None:
        return None

    def needs(self, _lane: Lane) -> frozenset[str]:
        return frozenset({"gpu"})

    async def produce(self, order: WorkOrder, repository: Repository) -> ExecutorResult:
        self.orders.append(order)
        if self.before is not None and asyncio.iscoroutine(waiting := self.before(order)):
            await waiting
        usage = Usage("local/fake", 1, self.tokens, 0)
        await order.usage.report(f"call-{len(self.orders)}", usage)
        await order.progress("thinking")
        files = self.does(order)
        writes = {path: text.encode() for path, text in files.items() if text is not None}
        deletes = [path for path, text in files.items() if text is None]
        tree = await as_git(repository).write_tree(order.start, writes, deletes, {})
        return ExecutorResult(
            tree, {"transcript.jsonl": b"{}\n"}, Provenance(self.name, f"did {order.intent.text}.", (usage,))
        )


@dataclass
class WorkflowRunner:
    """A workflow executor on a repository; `run` works an order of a lane given as YAML."""

    repo: GitRepository
    scripted: ScriptedExecutor
    executor: Executor
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    usage: MemoryUsage = field(default_factory=MemoryUsage)
    progress: list[str] = field(default_factory=list)

    @property
    def tokens(self) -> list[int]:
        """What each entry of the ledger cost."""
        return [usage.tokens for usage in self.usage.entries.values()]

    def begin_another_job(self) -> None:
        """What the last one finished is of no use to the next; the cache stays."""
        self.journal, self.usage = MemoryJournal(), MemoryUsage()

    async def run(self, lane: Lane | str, **parameters: str) -> ExecutorResult:
        return await self.executor.produce(await self.order(lane, **parameters), self.repo)

    async def order(self, lane: Lane | str, **parameters: str) -> WorkOrder:
        base = await self.repo.fetch_base()

        async def report(words: str) -> None:
            self.progress.append(words)

        found = lane if isinstance(lane, Lane) else lane_named(lane)
        start = await self.repo.tree_of(base)
        text = "do as the lane says"
        turns = (Turn(1, "ana", "terminal", text, origin.WHEN, 1),) if hasattr(origin, "WHEN") else ()
        return WorkOrder(
            1, 1, found, Intent(text), turns, base, start, "", parameters, self.journal, report, self.usage
        )

    async def changed(self, made: ExecutorResult) -> dict[str, str | None]:
        """What differs from the branch: paths to their text, None where a file is gone."""
        change = await self.repo.change(await self.repo.fetch_base(), made.tree)
        return {
            file.shown_path: None if file.new_blob is None else (await self.repo.read_blob(file.new_blob)).decode()
            for file in change.files
        }


def lane_named(steps: str, more: str = "") -> Lane:
    """A lane with these steps (YAML, one a line) and, above them, further keys."""
    head = 'name: it\ndescribe: it\nwrite: ["**"]\nexecutor: workflow\n'
    lines = "".join(f"  - {{{line}}}\n" for line in steps.strip().splitlines())
    return lane_from_document(loads(f"{head}{more}steps:\n{lines}".encode(), "it.yaml"))


def read(sentence: str) -> tuple[Edit, ...]:
    """The real grammar, as `bot.wiring.app` gives it to the executor."""
    understood = parse(sentence)
    if isinstance(understood, NotUnderstood):
        raise UsageError("not_understood", understood.reason)
    return understood


@pytest.fixture
def repo(tmp_path: Path) -> GitRepository:
    return origin.store(origin.remote(tmp_path / "origin.git", FILES), tmp_path / "state")


@pytest.fixture
def scripted() -> ScriptedExecutor:
    return ScriptedExecutor()


@pytest.fixture
def runner(tmp_path: Path, repo: GitRepository, scripted: ScriptedExecutor) -> WorkflowRunner:
    found: Sandbox | Problem = sandbox_here()

    def sandbox(_kind: str) -> Sandbox | Problem:
        return found

    checks = CheckRunner(tmp_path / "scratch", sandbox)
    inner: list[Executor] = [EditExecutor(), CommandExecutor(tmp_path / "scratch", sandbox), scripted]
    executors = {executor.name: CheckedExecutor(executor, checks) for executor in inner}
    workflow = WorkflowExecutor(executors, checks, read, StepCache(tmp_path / "steps"))
    return WorkflowRunner(repo, scripted, CheckedExecutor(workflow, checks))
