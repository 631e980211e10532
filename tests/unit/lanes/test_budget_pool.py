"""One budget for parallel parts: whatever they cost and however they take turns, nothing is granted twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.budget import Budget, Spending
from core.model.errors import PermanentError
from core.model.intent import Intent
from core.model.lane import Lane
from core.model.provenance import Usage
from core.model.turn import Turn
from core.ports.executor import WorkOrder
from core.ports.reporting import MemoryUsage
from lanes.budget_pool import RESERVE_DIVISOR, BudgetPool

pytestmark = pytest.mark.lanes


def order_of(budget: Budget, usage: MemoryUsage | None = None) -> WorkOrder:
    lane = Lane("it", "it", ("**",), "workflow", budget=budget)
    turn = Turn(1, "ana", "terminal", "go", datetime(2026, 1, 1, tzinfo=UTC), 1)
    return WorkOrder(1, 1, lane, Intent("go"), (turn,), "b" * 40, "t" * 40, usage=usage or MemoryUsage())


class Watched:
    """A pool whose grants are added up: what is spent, and what is reserved beyond that by shares that are open."""

    def __init__(self, pool: BudgetPool, usage: MemoryUsage, whole: int) -> None:
        self.pool, self.usage, self.whole = pool, usage, whole
        self.limits: dict[str, int] = {}

    async def spent(self, part: str = "") -> int:
        usages = await (self.usage.part(part) if part else self.usage).spent()
        return Spending.of(usages).tokens

    async def check_grant(self) -> None:
        reserved = [max(0, limit - await self.spent(part)) for part, limit in self.limits.items()]
        assert await self.spent() + sum(reserved) <= self.whole, "never more is granted than is left"

    async def work(self, part: str, costs: Sequence[int], pauses: Sequence[int], *, crash_after: int | None) -> None:
        """A part as executors are: it stops once the ledger has what its share allows; every call is one entry."""
        reporter = self.pool.reporter(part)
        async with self.pool.share(part) as budget:
            self.limits[part] = budget.tokens
            await self.check_grant()
            try:
                for n, cost in enumerate(costs):
                    if await self.spent(part) >= budget.tokens or n == crash_after:
                        break
                    for _ in range(pauses[n % len(pauses)]):
                        await asyncio.sleep(0)
                    assert await reporter.report(f"{part}-{n}", Usage("m", 1, cost, 0))
                    assert not await reporter.report(f"{part}-{n}", Usage("m", 1, cost, 0)), "a replay counts once"
            finally:
                del self.limits[part]


WHOLE = 800
COSTS = st.lists(st.integers(1, WHOLE // RESERVE_DIVISOR), min_size=1, max_size=12)
PAUSES = st.lists(st.integers(0, 3), min_size=1, max_size=3)
STEPS = st.lists(st.tuples(COSTS, PAUSES), min_size=1, max_size=5)


@given(STEPS, st.integers(0, WHOLE))
def test_parts_side_by_side_are_never_granted_more_than_is_left_and_exceed_it_by_one_call(steps, earlier):
    async def run() -> tuple[list[BaseException | None], int]:
        usage = MemoryUsage()
        await usage.part("earlier try").report("1", Usage("m", 1, earlier, 0))
        left = {str(n) for n in range(len(steps))}

        def others(name: str) -> int:
            left.discard(name)
            return min(len(left), 3)

        watched = Watched(await BudgetPool.open(order_of(Budget(tokens=WHOLE), usage), others), usage, WHOLE)
        each = [watched.work(str(n), costs, pauses, crash_after=None) for n, (costs, pauses) in enumerate(steps)]
        return await asyncio.gather(*each, return_exceptions=True), await watched.spent()

    ends, spent = asyncio.run(run())
    dearest = max(cost for costs, _ in steps for cost in costs)
    assert spent < WHOLE + dearest or spent == earlier
    for end in ends:
        assert end is None or (isinstance(end, PermanentError) and end.problem.code == "budget_spent"), end
    if len(steps) == 1:
        assert spent == earlier + sum(steps[0][0]) or spent >= WHOLE, "a part alone has the whole"


@given(COSTS, st.integers(0, 12), st.integers(0, 3))
def test_work_that_begins_again_after_a_crash_has_what_the_first_try_left(costs, crash_after, tries):
    """However often a worker dies, the ledger stops the work where one try would have stopped."""

    async def run() -> int:
        usage = MemoryUsage()
        for n in range(tries + 1):
            watched = Watched(await BudgetPool.open(order_of(Budget(tokens=200), usage)), usage, 200)
            with contextlib.suppress(PermanentError):  # the budget is spent: the last try does nothing
                await watched.work(f"try{n}", costs * 2, [0], crash_after=crash_after if n < tries else None)
        return Spending.of(await usage.spent()).tokens

    assert asyncio.run(run()) < 200 + max(costs)


async def test_what_a_part_did_not_need_is_the_next_ones():
    pool = await BudgetPool.open(order_of(Budget(tokens=80, usd=1.0)), lambda name: {"a": 1}.get(name, 0))
    async with pool.share("a") as budget:
        assert (budget.tokens, budget.usd) == (35, 0.4375)
        await pool.reporter("a").report("1", Usage("m", 1, 10, 0, 0.25))
    async with pool.share("b") as budget:
        assert (budget.tokens, budget.usd) == (70, 0.75)


async def test_a_part_that_begins_again_has_its_own_earlier_spending_in_its_limit():
    """An executor compares the limit with all that the ledger has for its part."""
    usage = MemoryUsage()
    await usage.part("a").part("deeper").report("1", Usage("m", 1, 30, 0))
    await usage.part("ab").report("1", Usage("m", 1, 5, 0))
    pool = await BudgetPool.open(order_of(Budget(tokens=100, steps=7), usage))
    async with pool.share("a") as budget:
        assert (budget.tokens, budget.steps, budget.usd) == (30 + 65, 7, 0)


async def test_a_part_waits_for_what_others_may_give_back_before_it_is_refused():
    pool = await BudgetPool.open(order_of(Budget(tokens=8)))
    opened, close = asyncio.Event(), asyncio.Event()

    async def holds() -> None:
        async with pool.share("a"):
            opened.set()
            await close.wait()
            await pool.reporter("a").report("1", Usage("m", 1, 3, 0))

    async def waits() -> int:
        await opened.wait()
        async with pool.share("b") as budget:
            return budget.tokens

    async with asyncio.TaskGroup() as group:
        group.create_task(holds())
        waiting = group.create_task(waits())
        await opened.wait()
        await asyncio.sleep(0)
        assert not waiting.done()
        close.set()
    assert waiting.result() == 5


async def test_pools_inside_one_another_count_each_call_once():
    usage = MemoryUsage()
    outer = await BudgetPool.open(order_of(Budget(tokens=100), usage))
    async with outer.share("try1") as budget:
        inner = await BudgetPool.open(replace(order_of(budget), usage=outer.reporter("try1")))
        async with inner.share("step"):
            await inner.reporter("step").report("1", Usage("m", 1, 60, 0))
    async with outer.share("try2") as budget:
        assert budget.tokens == 40
    assert list(usage.entries) == [("try1/step", "1")]


async def test_a_budget_that_is_spent_is_refused_with_how_much_of_how_much():
    usage = MemoryUsage()
    await usage.part("a").report("1", Usage("m", 1, 1_200, 0))
    pool = await BudgetPool.open(order_of(Budget(tokens=1_000), usage))
    with pytest.raises(
        PermanentError, match="earlier parts of the work spent 1,200 of 1,000 tokens of the lane's budget"
    ):
        async with pool.share("b"):
            pass
