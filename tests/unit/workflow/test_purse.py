"""One pot for steps side by side: whatever they cost and however they take turns, at most one ask over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.errors import PermanentError
from core.model.intent import Intent
from core.model.lane import Budget, Lane
from core.model.provenance import Usage
from core.model.turn import Turn
from core.ports import WorkOrder
from lanes.budget_pool import ONE_ASK, BudgetPool

pytestmark = pytest.mark.lanes


def order_of(budget: Budget, told: list[Usage]) -> WorkOrder:
    async def charge(usage: Usage) -> None:
        told.append(usage)

    lane = Lane("it", "it", ("**",), "workflow", budget=budget)
    turn = Turn(1, "ana", "terminal", "go", datetime(2026, 1, 1, tzinfo=UTC), 1)
    return WorkOrder(1, 1, lane, Intent("go"), (turn,), "b" * 40, "t" * 40, charge=charge)


async def works(purse: BudgetPool, name: str, asks: Sequence[int], pauses: Sequence[int]) -> int:
    """A step as executors are: it asks while its own share is not reached, and is charged for each ask."""
    spent = Usage("m")
    async with purse.share(name) as budget:
        for n, cost in enumerate(asks):
            if spent.tokens >= budget.tokens:
                break
            for _ in range(pauses[n % len(pauses)]):
                await asyncio.sleep(0)
            spent = spent.plus(Usage("m", 1, cost, 0))
            await purse.of(name)(spent)
    return spent.tokens


WHOLE = 800
COSTS = st.lists(st.integers(1, WHOLE // ONE_ASK), min_size=1, max_size=12)
STEPS = st.lists(st.tuples(COSTS, st.lists(st.integers(0, 3), min_size=1, max_size=3)), min_size=1, max_size=5)


@given(STEPS)
def test_steps_side_by_side_come_to_at_most_one_ask_over_the_budget(steps):
    async def run() -> tuple[list[int | BaseException], list[Usage]]:
        told: list[Usage] = []
        left = {str(n) for n in range(len(steps))}

        def beside(name: str) -> int:
            left.discard(name)
            return min(len(left), 3)

        purse = BudgetPool(order_of(Budget(tokens=WHOLE), told), beside)
        each = [works(purse, str(n), asks, pauses) for n, (asks, pauses) in enumerate(steps)]
        return await asyncio.gather(*each, return_exceptions=True), told

    came_to, told = asyncio.run(run())
    spent = sum(one for one in came_to if isinstance(one, int))
    dearest = max(cost for asks, _ in steps for cost in asks)
    assert spent <= WHOLE + dearest
    assert told[-1].tokens == spent, "all of it is charged as one sum"
    for one in came_to:
        assert isinstance(one, int) or (isinstance(one, PermanentError) and one.problem.code == "budget_spent")
    if len(steps) == 1:
        assert spent == sum(steps[0][0]) or spent >= WHOLE, "a step alone has the whole"


async def test_what_a_step_did_not_need_is_the_next_ones():
    purse = BudgetPool(order_of(Budget(tokens=80, usd=1.0), []), lambda name: {"a": 1}.get(name, 0))
    async with purse.share("a") as budget:
        assert (budget.tokens, budget.usd) == (35, 0.4375)
        await purse.of("a")(Usage("m", 1, 10, 0, 0.25))
    async with purse.share("b") as budget:
        assert (budget.tokens, budget.usd) == (70, 0.75)


async def test_a_step_waits_for_what_others_may_give_back_before_it_is_refused():
    purse = BudgetPool(order_of(Budget(tokens=8), []))
    opened, close = asyncio.Event(), asyncio.Event()

    async def holds() -> None:
        async with purse.share("a"):
            opened.set()
            await close.wait()
            await purse.of("a")(Usage("m", 1, 3, 0))

    async def waits() -> int:
        await opened.wait()
        async with purse.share("b") as budget:
            return budget.tokens

    async with asyncio.TaskGroup() as group:
        group.create_task(holds())
        waiting = group.create_task(waits())
        await opened.wait()
        await asyncio.sleep(0)
        assert not waiting.done()
        close.set()
    assert waiting.result() == 5


async def test_a_part_that_began_anew_has_spent_both_times():
    told: list[Usage] = []
    purse = BudgetPool(order_of(Budget(tokens=100), told))
    charge = purse.of("a")
    for tokens in (10, 30, 5, 9):
        await charge(Usage("m", 1, tokens, 0))
    assert [usage.tokens for usage in told] == [10, 30, 35, 39]
    purse.adopt("b", (Usage("m", 1, 61, 0),))
    with pytest.raises(PermanentError, match="100 tokens"):
        async with purse.share("c"):
            pass
