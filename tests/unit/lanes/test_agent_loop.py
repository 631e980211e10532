"""The builtin agent's loop under kill -9: no answer is asked for twice or charged twice, wherever the worker dies."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.budget import Budget, Spending
from core.model.budget_question import BudgetSpentError
from core.model.errors import LostClaimError
from core.model.provenance import Usage
from core.ports.journal import MemoryJournal
from core.ports.reporting import MemoryUsage, ignore_progress
from lanes.builtin_agent.budget import BudgetMeter
from lanes.builtin_agent.loop import AgentLoop
from lanes.builtin_agent.tools import FINISH, AgentTools
from lanes.builtin_agent.virtual_workspace import VirtualWorkspace
from lanes.models import ChatMessage, ChatReply, ChatRequest, ToolCall

pytestmark = pytest.mark.lanes
STEPS = 4


class Killed(BaseException):
    """The process is gone."""


class Fuse:
    """Kills the worker at its `at`-th write, before or after it is done; a dead worker writes nothing more."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.at, self.after, self.writes, self.dead = at, after, 0, False

    async def around(self, write: Any) -> Any:
        if self.dead:
            write.close()
            raise Killed
        self.writes += 1
        self.dead = self.writes == self.at
        if self.dead and not self.after:
            write.close()
            raise Killed
        result = await write
        if self.dead:
            raise Killed
        return result


class FusedJournal(MemoryJournal):
    """The rows of one job as one worker writes them."""

    def __init__(self, rows: MemoryJournal, fuse: Fuse) -> None:
        super().__init__()
        self._rows, self._fuse = rows, fuse

    async def recall(self) -> tuple[Mapping[str, Any], ...]:
        return await self._rows.recall()

    async def add(self, entry: Mapping[str, Any]) -> None:
        await self._fuse.around(self._rows.add(entry))


class FusedUsage(MemoryUsage):
    """The ledger as one worker writes it."""

    def __init__(self, ledger: MemoryUsage, fuse: Fuse) -> None:
        super().__init__("", ledger.entries)
        self._fuse = fuse

    async def report(self, call: str, usage: Usage) -> bool:
        return bool(await self._fuse.around(super().report(call, usage)))


class Counting:
    """A model that calls a tool `STEPS` times and then finishes; `asked` counts its answers."""

    def __init__(self) -> None:
        self.asked = 0

    async def ask(self, ask: ChatRequest) -> ChatReply:
        self.asked += 1
        done = sum(message.role == "tool" for message in ask.messages)
        call = ToolCall(FINISH, {"summary": "ok"}) if done == STEPS else ToolCall("look", {"n": done})
        return ChatReply("", (call,), "local/m", Usage("local/m", 1, 10, 1))


async def worker(
    model: Counting, journal: MemoryJournal, usage: MemoryUsage, budget: Budget | None = None
) -> AgentLoop:
    async def run_check(_name: str, _tree: str) -> str:
        raise AssertionError

    return AgentLoop(
        model=model,
        tools=AgentTools(cast("VirtualWorkspace", None), (), run_check),  # no call of these tests touches a file
        meter=BudgetMeter(budget or Budget(), "code", await usage.spent()),
        journal=journal,
        progress=ignore_progress,
        usage=usage,
        context_tokens=8_000,
        messages=[ChatMessage("system", "work"), ChatMessage("user", "please")],
    )


@given(st.lists(st.tuples(st.integers(1, 20), st.booleans()), max_size=6))
def test_wherever_workers_die_each_answer_is_charged_once_and_none_that_was_kept_is_asked_again(deaths):
    async def run() -> tuple[Counting, MemoryJournal, MemoryUsage, AgentLoop]:
        model, journal, ledger = Counting(), MemoryJournal(), MemoryUsage()
        for at, after in deaths:
            fuse = Fuse(at, after=after)
            with contextlib.suppress(Killed):
                loop = await worker(model, FusedJournal(journal, fuse), FusedUsage(ledger, fuse))
                await loop.run()
        last = await worker(model, journal, ledger)
        assert await last.run() == "ok"
        return model, journal, ledger, last

    model, journal, ledger, last = asyncio.run(run())
    entries = asyncio.run(journal.recall())
    answers = [entry["call"] for entry in entries if "reply" in entry]
    assert len(answers) == STEPS + 1, "the work takes as many answers as without a crash"
    assert {call for _, call in ledger.entries} == set(answers), "each of them is in the ledger, once"
    lost = model.asked - len(answers)
    assert lost <= sum(not after for _, after in deaths), "only an answer that no write had reached is asked for again"
    assert Spending.of(last.meter.usage) == Spending(STEPS + 1, 11 * (STEPS + 1))


async def test_a_worker_that_lost_the_job_has_spent_its_answer_all_the_same():
    class Lost(MemoryJournal):
        async def add(self, entry: Mapping[str, Any]) -> None:
            raise LostClaimError("lost_claim", "the job was taken over")

    ledger = MemoryUsage()
    loop = await worker(Counting(), Lost(), ledger)
    with pytest.raises(LostClaimError):
        await loop.run()
    assert Spending.of(await ledger.spent()) == Spending(1, 11)


async def test_what_an_older_version_kept_is_not_charged_again():
    """Its cost was carried over as one entry of the whole job."""
    journal, ledger = MemoryJournal(), MemoryUsage()
    await (await worker(Counting(), journal, MemoryUsage())).run()
    older = MemoryJournal()
    for entry in (await journal.recall())[:4]:
        await older.add({key: value for key, value in entry.items() if key != "call"})
    await ledger.part("~carried-over").report("1 local/m", Usage("local/m", 2, 20, 2))
    model = Counting()
    loop = await worker(model, older, ledger)
    await loop.run()
    assert model.asked == STEPS - 1
    assert Spending.of(await ledger.spent()) == Spending(STEPS + 1, 11 * (STEPS + 1))


async def test_what_earlier_tries_spent_counts_against_the_budget():
    ledger = MemoryUsage()
    await ledger.report("earlier", Usage("local/m", 1, 60, 0))
    model = Counting()
    loop = await worker(model, MemoryJournal(), ledger, Budget(tokens=75))
    with pytest.raises(BudgetSpentError, match="spent 82 of 75 tokens"):
        await loop.run()
    assert model.asked == 2


async def test_no_limit_for_answers_is_none():
    loop = await worker(Counting(), MemoryJournal(), MemoryUsage(), Budget(steps=0, repeats=0, tokens=0))
    assert await loop.run() == "ok"
    assert loop.meter.progress() == f"step {STEPS + 1}, {11 * (STEPS + 1)} tokens"
