"""Fixtures of the tests of agent programs: a repository, a fake model, the real programs, and a lane around them."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from core.model.errors import CountersignError, Problem
from core.model.intent import Intent
from core.model.lane import Limits
from core.model.turn import Turn
from core.ports.executor import ExecutorResult, WorkOrder
from core.ports.reporting import MemoryUsage
from lanes.agent_clis import ADAPTERS, ProgramPlace
from lanes.agent_clis.adapter import AgentCliAdapter
from lanes.agent_clis.executor import AgentExecutor, create_agent_executor
from lanes.models import Endpoint
from lanes.repository import GitRepository
from lanes.sandbox.bwrap import BwrapSandbox
from tests import builders
from tests.counterparts import agent
from tests.fakes.models import Models
from tests.host import sandbox_here
from tests.integration.lanes import origin
from tests.integration.lanes.origin import names_in

START = {"README.md": "# Web\n", "src/a.py": "print(1)\n", "docs/guide.md": "The colour is red.\n"}
KINDS = {"claude-code": "anthropic", "gemini-cli": "gemini"}
FETCHED = ("claude-code", "codex", "mini-swe-agent")
_COUNT = itertools.count()
BINARIES = ("claude-code", "codex")  # of those, what starts in no time: Python needs seconds for mini-swe-agent
OPTIONAL = ("aider", "opencode", "gemini-cli")


@pytest.fixture
def repo(tmp_path: Path) -> GitRepository:
    return origin.store(origin.remote(tmp_path / "origin.git", START), tmp_path / "state")


@pytest.fixture
def sandbox() -> BwrapSandbox:
    found = sandbox_here()
    if isinstance(found, Problem):
        if os.environ.get("CI") == "true":
            pytest.fail(found.message)
        pytest.skip(f"needs the Debian package bubblewrap, and user namespaces: {found.message}")
    assert isinstance(found, BwrapSandbox)
    return found


@dataclass
class AgentRunner:
    """One agent program in one lane, on one repository; `artifacts` are those of the last work, good or bad."""

    repo: GitRepository
    scratch: Path
    find: Any
    progress: list[str] = field(default_factory=list)
    usage: MemoryUsage = field(default_factory=MemoryUsage)
    artifacts: dict[str, bytes] = field(default_factory=dict)

    def again(self) -> AgentRunner:
        """Another one beside it, on the same repository."""
        return AgentRunner(self.repo, self.scratch.with_name(f"scratch-{next(_COUNT)}"), self.find)

    def left(self) -> list[str]:
        """What is left of work that is over; files that no one writes to are kept for the next work."""
        return [name for name in names_in(self.scratch) if name != "pristine"]

    def executor(
        self, name: str, models: Models | Endpoint, place: Path | None = None, **endpoint: Any
    ) -> AgentExecutor:
        if isinstance(models, Models):
            models = Endpoint("fake", KINDS.get(name, "openai"), models.url, models.key, **endpoint)
        places = {name: ProgramPlace(place or agent(name))}
        return create_agent_executor(name, self.scratch, {"fake": models}, self.find, places)

    def other(self, cli: AgentCliAdapter, models: Models | Endpoint, **more: Any) -> AgentExecutor:
        """A program that is described like another, but for a change."""
        if isinstance(models, Models):
            models = Endpoint("fake", KINDS.get(cli.name, "openai"), models.url, models.key)
        return AgentExecutor(cli, {"fake": models}, self.find, self.scratch, ProgramPlace(agent(cli.name)), **more)

    async def order(self, text: str = "add src/new.txt", **others: Any) -> WorkOrder:
        base = await self.repo.fetch_base()
        lane = builders.lane("code", executor="agent", write=("src/**",), models=("fake/m",), limits=Limits(wall_s=90))

        async def report(words: str) -> None:
            self.progress.append(words)

        self.usage = MemoryUsage()
        turns = (Turn(1, "ana", "terminal", text, builders.NOON, 1),)
        order = WorkOrder(
            1, 1, replace(lane, **others.pop("lane", {})), Intent(text), turns, base, await self.repo.tree_of(base)
        )
        return replace(order, **{"progress": report, "usage": self.usage, **others})

    async def made(self, executor: AgentExecutor, order: WorkOrder | None = None) -> ExecutorResult:
        """What the executor makes."""
        produced = await executor.produce(order or await self.order(), self.repo)
        self.artifacts = dict(produced.artifacts)
        return produced

    async def fails(self, executor: AgentExecutor, order: WorkOrder | None = None) -> CountersignError:
        """Why it makes nothing."""
        with pytest.raises(CountersignError) as caught:
            await self.made(executor, order)
        self.artifacts = dict(getattr(caught.value, "artifacts", {}))
        return caught.value

    async def changed(self, tree: str) -> dict[str, str]:
        """The files that differ from the start, with their content now."""
        base = await self.repo.fetch_base()
        files = (await self.repo.change(base, tree)).files
        content = await self.repo.read_files(tree, [f.path.decode() for f in files if f.new_blob], 10**6)
        return {f.path.decode(): content.get(f.path.decode(), b"").decode() if f.new_blob else "" for f in files}


@pytest.fixture
def runner(repo: GitRepository, tmp_path: Path, sandbox: BwrapSandbox) -> AgentRunner:
    return AgentRunner(repo, tmp_path / "scratch", lambda _kind: sandbox)


def known(name: str) -> AgentCliAdapter:
    """The description of a program."""
    return next(cli for cli in ADAPTERS if cli.name == name)
