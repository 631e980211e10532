"""Limits and what was spent against them: one arithmetic for every budget."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.budget import Budget, BudgetAccount, ExceededLimit, Spending
from core.model.provenance import Usage

pytestmark = pytest.mark.queue

AMOUNTS = st.builds(
    Spending, st.integers(0, 100), st.integers(0, 10**6), st.integers(0, 10**4).map(lambda cents: cents / 4)
)
BUDGETS = st.builds(Budget, tokens=st.integers(0, 10**6), usd=st.integers(0, 10**4).map(lambda cents: cents / 4))


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_what_is_spent_and_what_is_left_come_to_the_limit_unless_it_is_exceeded(limits, spent, more):
    account = BudgetAccount(limits, spent).plus(more)
    assert account.spent == spent.plus(more)
    for limit, amount, left in (
        (limits.calls, account.spent.calls, account.left.calls),
        (limits.tokens, account.spent.tokens, account.left.tokens),
        (limits.usd, account.spent.usd, account.left.usd),
    ):
        assert amount + left == limit if amount <= limit else left == 0


@given(AMOUNTS, AMOUNTS)
def test_a_limit_is_exceeded_exactly_when_nothing_is_left_of_it(limits, spent):
    account = BudgetAccount(limits, spent)
    nothing_left = [
        bool(limit) and not left
        for limit, left in (
            (limits.calls, account.left.calls),
            (limits.tokens, account.left.tokens),
            (limits.usd, account.left.usd),
        )
    ]
    assert (account.exceeded is not None) == any(nothing_left)


@given(BUDGETS, AMOUNTS, AMOUNTS, AMOUNTS)
def test_a_budget_within_an_account_never_allows_more_than_both(budget, limits, spent, already):
    account = BudgetAccount(limits, spent)
    if account.exceeded is not None:
        return
    inner = account.bounded(budget, already)
    for own, limit, left, before, result in (
        (budget.tokens, limits.tokens, account.left.tokens, already.tokens, inner.tokens),
        (budget.usd, limits.usd, account.left.usd, already.usd, inner.usd),
    ):
        if limit:
            assert 0 < result <= before + left, "the account leaves no more, and there is no budget of nothing"
        if own:
            assert 0 < result <= own
        if not limit and not own:
            assert result == 0, "no limit at all"


@pytest.mark.parametrize(
    ("spent", "exceeded"),
    [
        (Spending(5, 6_999, 0.24), None),
        (Spending(6, 0, 0), ExceededLimit("steps", "6 of 6 answers of the model", 6, 6)),
        (Spending(0, 7_500, 0), ExceededLimit("tokens", "7,500 of 7,000 tokens", 7_500, 7_000)),
        (Spending(0, 0, 0.3), ExceededLimit("usd", "0.30 of 0.25 dollars", 0.3, 0.25)),
    ],
)
def test_a_limit_that_is_reached_is_named_with_how_much_of_how_much(spent, exceeded):
    assert BudgetAccount.of_work(Budget(tokens=7_000, steps=6, usd=0.25), spent).exceeded == exceeded


def test_the_account_of_a_day_has_the_limits_of_the_day_and_none_for_answers():
    account = BudgetAccount.of_day(Budget(steps=1, day_tokens=10), Spending(99, 9, 99.0))
    assert account.exceeded is None
    assert account.left.tokens == 1


def test_models_add_up_and_dollars_that_were_not_reported_are_none():
    assert Spending.of([Usage("a", 2, 10, 5), Usage("b", 1, 1, 1, 0.5)]) == Spending(3, 17, 0.5)
