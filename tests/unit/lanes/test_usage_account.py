"""The account of an agent program's run: one entry of the ledger for each answer, and for what the program reports."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.budget import Budget, ExceededLimit, Spending
from core.model.provenance import Usage
from core.ports.reporting import MemoryUsage
from lanes.egress import UsageAccount

pytestmark = pytest.mark.lanes


@given(st.lists(st.one_of(st.tuples(st.integers(0, 99), st.integers(0, 99)), st.integers(0, 40).map(lambda n: n / 4))))
def test_the_entries_come_to_all_answers_and_to_the_highest_cost_that_was_reported(reports):
    """Tokens are counted by the host; dollars are a running sum that the program says, and never go down."""

    async def run() -> tuple[UsageAccount, MemoryUsage]:
        ledger = MemoryUsage()
        account = await UsageAccount.open("fake/m", Budget(), ledger)
        for report in reports:
            if isinstance(report, tuple):
                await account.add_answer(*report)
            else:
                account.report_cost(report)
        await account.settle()
        return account, ledger

    account, ledger = asyncio.run(run())
    answers = [report for report in reports if isinstance(report, tuple)]
    dollars = [report for report in reports if not isinstance(report, tuple)]
    total = Spending.of(ledger.entries.values())
    assert total == Spending(len(answers), sum(map(sum, answers)), max(dollars, default=0.0))
    assert total == Spending.of([account.total])
    assert account.usage.usd == max(dollars, default=None)


async def test_what_earlier_tries_spent_counts_and_is_not_reported_again():
    ledger = MemoryUsage()
    await ledger.report("1", Usage("fake/other", 2, 50, 10, 0.5))
    account = await UsageAccount.open("fake/m", Budget(steps=3), ledger)
    assert account.refusal() == ""
    await account.add_answer(5, 5)
    assert account.refusal() == "The budget of this work is spent: 3 of 3 answers of the model"
    assert account.total == Usage("fake/m", 3, 55, 15, 0.5)
    assert Spending.of(await ledger.spent()) == Spending(3, 70, 0.5)


async def test_a_cost_that_reaches_the_budget_closes_the_run():
    account = await UsageAccount.open("fake/m", Budget(steps=1, usd=1.0), MemoryUsage())
    await account.add_answer(1, 1)
    account.report_cost(0.9)
    assert not account.closed.is_set()
    account.report_cost(1.0)
    assert account.closed.is_set()
    assert account.exceeded == ExceededLimit("usd", "1.00 of 1.00 dollars", 1.0, 1.0)


@pytest.mark.parametrize(("tokens", "is_overdrawn"), [(40, False), (41, True)])
async def test_an_answer_longer_than_what_is_left_is_overdrawn(tokens, is_overdrawn):
    ledger = MemoryUsage()
    await ledger.report("1", Usage("fake/m", 1, 60, 0))
    account = await UsageAccount.open("fake/m", Budget(tokens=100), ledger)
    assert account.is_overdrawn(tokens) is is_overdrawn
