"""Fixtures of the tests of the builtin agent: a repository, a model that answers by a script, and an executor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from core.model.errors import CountersignError
from core.model.intent import Intent
from core.model.lane import Lane
from core.model.provenance import Usage
from core.model.turn import Turn
from core.ports.executor import WorkOrder
from core.ports.reporting import MemoryUsage
from lanes.builtin_agent import BuiltinAgentExecutor
from lanes.executors.checks import CheckedExecutor, CheckRunner
from lanes.models import ChatMessage, ChatReply, ChatRequest, Endpoint, ToolCall
from lanes.repository import GitRepository
from policies.guard import TreeGuard
from tests import builders, canary
from tests.host import sandbox_here
from tests.integration.lanes import origin

START = {
    "README.md": "# Web\n",
    "docs/guide.md": "The colour is red.\nThe colour is blue.\n",
    "src/a.py": "print(1)\nprint(2)\n",
    "src/b.py": "value = 1\n",
}


def call(name: str, /, **arguments: Any) -> ToolCall:
    """A call as a model makes it."""
    return ToolCall(name, arguments)


Turned = str | ToolCall | Sequence[ToolCall] | CountersignError | Callable[[ChatRequest], "Turned"]


@dataclass
class Scripted:
    """A `Model` that answers as told, turn by turn; `asked` are the questions."""

    turns: list[Turned]
    asked: list[ChatRequest] = field(default_factory=list)
    tokens: int = 10

    async def ask(self, ask: ChatRequest) -> ChatReply:
        self.asked.append(ask)
        canary.seen("the builtin agent's model", ask.messages)
        turn = self.turns.pop(0) if self.turns else "I have nothing more to say."
        while callable(turn) and not isinstance(turn, ToolCall):
            turn = turn(ask)
        if isinstance(turn, CountersignError):
            raise turn
        if ask.on_text is not None:
            await ask.on_text("so ")
        usage = Usage("local/fake", 1, self.tokens, 5)
        if isinstance(turn, str):
            return ChatReply(turn, (), "local/fake", usage)
        return ChatReply("", (turn,) if isinstance(turn, ToolCall) else tuple(turn), "local/fake", usage)

    def last_told(self) -> str:
        """What the model was told last before its newest answer."""
        return self.asked[-1].messages[-1].text


@pytest.fixture
def repo(tmp_path: Path) -> GitRepository:
    return origin.store(origin.remote(tmp_path / "origin.git", START), tmp_path / "state")


class LaneRunner:
    """One lane, one model, one repository."""

    def __init__(self, repo: GitRepository, scratch: Path) -> None:
        self.repo, self.scratch = repo, scratch
        self.progress: list[str] = []
        self.usage = MemoryUsage()

    async def order(self, text: str = "say color", **others: Any) -> WorkOrder:
        base = await self.repo.fetch_base()
        lane: Lane = replace(
            builders.lane("code", executor="ollama", write=("src/**", "docs/**"), models=("local/fake",)),
            **others.pop("lane", {}),
        )

        async def report(words: str) -> None:
            self.progress.append(words)

        self.usage = MemoryUsage()
        return WorkOrder(
            1, 1, lane, Intent(text), (Turn(1, "ana", "terminal", text, builders.NOON, 1),), base,
            await self.repo.tree_of(base), progress=report, **{"usage": self.usage, **others},
        )  # fmt: skip

    def executor(self, model: Scripted, **endpoint: Any) -> Any:
        endpoints = {"local": Endpoint("local", "ollama", "http://127.0.0.1:1", **endpoint)}
        sandbox = sandbox_here()
        checks = CheckRunner(self.scratch, lambda _kind: sandbox)
        agent = BuiltinAgentExecutor(endpoints, lambda _names: model, checks, TreeGuard().leaks, TreeGuard().refusal_in)
        return CheckedExecutor(agent, checks)

    async def files(self, tree: str) -> dict[str, str]:
        """What a tree holds."""
        paths = await self.repo.list_paths(tree)
        found = await self.repo.read_files(tree, [path.decode() for path in paths], 10**6)
        return {path: content.decode() for path, content in found.items()}


@pytest.fixture
def runner(repo: GitRepository, tmp_path: Path) -> LaneRunner:
    return LaneRunner(repo, tmp_path / "scratch")


def results_in(messages: Sequence[ChatMessage]) -> list[str]:
    """What tools answered, in order."""
    return [message.text for message in messages if message.role == "tool"]
