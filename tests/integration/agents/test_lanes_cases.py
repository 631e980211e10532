"""An endpoint that accepts and never answers: a deadline is a deadline (lanes.md 5), and what a budget says (13)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from core.model.budget import Budget
from core.model.provenance import Usage
from lanes.agent_clis.adapter import AgentReport
from lanes.agent_clis.outcome import AgentOutcome
from lanes.egress import UsageAccount
from lanes.models import Endpoint
from lanes.sandbox import SandboxResult, SandboxRun
from tests import builders
from tests.fakes.models import KEY
from tests.integration.agents.conftest import AgentRunner

pytestmark = pytest.mark.lanes


@dataclass
class Silent:
    """A server that takes connections and says `begins` and nothing more; `asked` is set by each question."""

    begins: bytes = b""
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Silent]:
        server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            if self.begins:
                writer.write(self.begins)
                await writer.drain()
            self.asked.set()
            await reader.read(1024 * 1024)
            await asyncio.Event().wait()


@dataclass
class Asks:
    """A sandbox whose program asks the broker, and is killed at the lane's deadline before an answer comes."""

    silent: Silent
    kind: str = "bwrap"
    overlay: None = None

    async def run(self, run: SandboxRun) -> SandboxResult:
        connector = aiohttp.UnixConnector(path=str(run.forwards[0].socket))
        async with aiohttp.ClientSession(connector=connector) as session:
            body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "stream": True}
            question = asyncio.create_task(self._ask(session, body))
            await self.silent.asked.wait()
            question.cancel()
            await asyncio.wait({question})
        return SandboxResult(None, b"", "wall", 15.0)

    @staticmethod
    async def _ask(session: aiohttp.ClientSession, body: object) -> None:
        async with session.post("http://broker/v1/messages", json=body) as answer:
            await answer.read()


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("begins", [b"", HEAD], ids=["says nothing", "says only that it will answer"])
async def test_lanes_05_an_endpoint_that_never_answers_ends_at_the_lanes_deadline(repo, tmp_path, begins):
    program = tmp_path / "bin" / "claude"
    program.parent.mkdir()
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    async with Silent(begins).serving() as silent:
        runner = AgentRunner(repo, tmp_path / "scratch", lambda _kind: Asks(silent))
        endpoint = Endpoint("fake", "anthropic", silent.url, KEY)
        error = await runner.fails(runner.executor("claude-code", endpoint, Path(program)))
    assert error.problem.code == "timed_out"
    assert error.problem.message == (
        "claude-code of lane code did not finish within 90 s; its model had not answered the last request by then"
    )


def outcome(account: UsageAccount, ran: SandboxResult | None) -> AgentOutcome:
    heard = AgentReport()
    return AgentOutcome("codex", builders.lane("code"), ran, heard, account, {"t": b""}, "t")


def test_lanes_05_a_deadline_is_a_deadline_whatever_the_endpoint_did_before():
    account = UsageAccount("m", Budget())
    account.add_failure("local answered 503: busy")
    problem = outcome(account, SandboxResult(None, b"", "wall", 15.0)).error()
    assert problem is not None
    assert problem.problem.code == "timed_out"
    assert "local answered 503: busy" in problem.problem.message
    down = outcome(account, SandboxResult(1, b"", None, 3.0)).error()
    assert down is not None
    assert down.problem.code == "model_down", "before the deadline it is the endpoint that is waited for"


async def test_lanes_05_our_own_hanging_up_is_no_failure_of_the_endpoint():
    account = UsageAccount("m", Budget())
    account.pending = 1
    account.end()
    account.add_failure("cannot be reached (ServerDisconnectedError)")
    assert (account.failing, account.down, account.unanswered) == ("", "", 1)


def test_lanes_13_a_spent_budget_says_how_much_of_how_much():
    account = UsageAccount("m", Budget(tokens=6000), earlier=Usage("m", 3, 6500, 500))
    assert account.refusal() == "The budget of this work is spent: 7,000 of 6,000 tokens"
    problem = outcome(account, None).error()
    assert problem is not None
    assert problem.problem.message == "codex of lane code spent 7,000 of 6,000 tokens"
