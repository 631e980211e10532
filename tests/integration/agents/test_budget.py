"""Limits on the work of the real programs: answers, tokens, money, and repeated calls."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from core.model.budget import Budget, Spending
from core.model.lane import Limits
from core.model.provenance import Usage
from tests.fakes.models import Fault, Say, always, runs, serving, shell
from tests.integration.agents.conftest import BINARIES, FETCHED, AgentRunner, known

pytestmark = [pytest.mark.lanes, pytest.mark.sandbox]
LIMITS = Limits(wall_s=240)


async def stopped(runner: AgentRunner, name: str, script, budget: Budget):
    """The error that ends a program under `budget`, and what it asked until then."""
    mine = runner.again()
    async with serving(script) as models:
        order = await mine.order(lane={"budget": budget, "limits": LIMITS})
        error = await mine.fails(mine.executor(name, models), order)
    assert set(mine.artifacts) == {known(name).transcript_name, "broker.log"}
    assert mine.left() == []
    assert [usage.calls for usage in await mine.usage.spent()] == [len(models.asked)]
    return error.problem, models.asked, mine


async def test_a_model_that_makes_the_same_call_for_ever_is_stopped(runner):
    def loops(asked):
        return shell(asked, "echo round and round")

    for problem, asked, mine in await asyncio.gather(
        *(stopped(runner, name, loops, Budget(repeats=3, steps=40)) for name in FETCHED)
    ):
        assert problem.code == "model_in_circles"
        assert "4 times in the same way" in problem.message
        assert "name another model" in problem.mend
        assert len(asked) <= 5, "one question may be the title of the talk"
        assert b"REFUSED: The model goes in circles" in mine.artifacts["broker.log"]


async def test_a_model_that_always_finds_more_to_do_is_stopped_at_its_steps(runner):
    def on_and_on():
        count = itertools.count()
        return lambda asked: shell(asked, f"echo {next(count)} >> src/more.txt")

    for problem, asked, _ in await asyncio.gather(
        *(stopped(runner, name, on_and_on(), Budget(steps=5)) for name in BINARIES)
    ):
        assert (problem.code, "5 of 5 answers of the model" in problem.message) == ("budget_spent", True)
        assert "raise `steps`" in problem.mend
        assert len(asked) == 5


async def test_an_answer_without_end_is_cut_where_the_tokens_end(runner):
    for problem, asked, mine in await asyncio.gather(
        *(stopped(runner, name, always(Fault("endless")), Budget(tokens=20_000)) for name in BINARIES)
    ):
        assert (problem.code, "tokens" in problem.message) == ("budget_spent", True)
        assert len(asked) == 1
        assert 20_000 <= Spending.of(await mine.usage.spent()).tokens < 200_000
        assert b"CUT: The budget of this work is spent" in mine.artifacts["broker.log"]


async def test_what_claude_says_it_cost_is_charged_and_held_to_the_budget(runner):
    async with serving(runs("true", "echo 2")) as models:
        made = await runner.made(runner.executor("claude-code", models), await runner.order(lane={"limits": LIMITS}))
        assert made.provenance.usage == await runner.usage.spent()
        assert (made.provenance.usage[0].usd or 0) > 0
        poor = await runner.order(lane={"limits": LIMITS, "budget": Budget(usd=0.000001)})
        problem = (await runner.fails(runner.executor("claude-code", models), poor)).problem
    assert (problem.code, "raise `usd`" in problem.mend) == ("budget_spent", True)


async def test_what_an_earlier_try_spent_is_held_against_the_next(runner):
    """A killed worker leaves the ledger to the next worker of the job, whichever model of the lane it asked."""
    async with serving(always(Say("I think."))) as models:
        order = await runner.order(lane={"budget": Budget(steps=3), "limits": LIMITS})
        await order.usage.report("earlier", Usage("fake/other", 1, 7, 2))
        made = await runner.made(runner.executor("codex", models), order)
        assert (made.provenance.usage[0].calls, made.provenance.usage[0].tokens) == (2, 129)
        assert Spending.of(await runner.usage.spent()) == Spending.of(made.provenance.usage)
        await order.usage.report("one more", Usage("fake/m", 1, 7, 2))
        assert (await runner.fails(runner.executor("codex", models), order)).problem.code == "budget_spent"
    assert len(models.asked) == 1
