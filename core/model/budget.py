"""Budgets of models: limits, what was spent, what is left, and which limit is used up.

Everything that counts against a budget uses these values: the day of a lane, the work before an approval, the pool of
parallel steps, the builtin agent and the broker of an agent program.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from core.model.provenance import Usage

TOKENS: Final = "tokens"
STEPS: Final = "steps"
USD: Final = "usd"
"""The limits of one piece of work, as a lane's `budget` and the options of ``extend`` name them."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What models may spend on one piece of work, and a lane in a day; 0 means no limit.

    `steps` limits the answers of the model, `repeats` how often it may repeat one call without a change in between.
    `usd` and `day_usd` count only what an agent or an endpoint reports.
    """

    tokens: int = 500_000
    steps: int = 50
    repeats: int = 3
    usd: float = 0.0
    day_tokens: int = 0
    day_usd: float = 0.0

    @property
    def has_day(self) -> bool:
        """Whether the lane has a limit for a day."""
        return bool(self.day_tokens or self.day_usd)

    def extended(self, by: Spending) -> Budget:
        """The budget with `by` more of each amount that it limits; `by.calls` are steps."""
        return replace(
            self,
            tokens=self.tokens + by.tokens if self.tokens else 0,
            steps=self.steps + by.calls if self.steps else 0,
            usd=self.usd + by.usd if self.usd else 0.0,
        )


@dataclass(frozen=True, slots=True)
class Spending:
    """Amounts: answers of models, tokens in both directions, and dollars as far as they were reported."""

    calls: int = 0
    tokens: int = 0
    usd: float = 0.0

    @classmethod
    def of(cls, usages: Iterable[Usage]) -> Spending:
        """The sum over all models."""
        total = cls()
        for usage in usages:
            total = total.plus(cls(usage.calls, usage.tokens, usage.usd or 0.0))
        return total

    def plus(self, other: Spending) -> Spending:
        """Both together."""
        return Spending(self.calls + other.calls, self.tokens + other.tokens, self.usd + other.usd)

    def less(self, other: Spending) -> Spending:
        """What remains of each amount without `other`; never below 0."""
        return Spending(
            max(0, self.calls - other.calls), max(0, self.tokens - other.tokens), max(0.0, self.usd - other.usd)
        )


NOTHING: Final = Spending()


@dataclass(frozen=True, slots=True)
class ExceededLimit:
    """A limit that is used up: its key in the lane's `budget`, and amounts such as ``7,000 of 6,000 tokens``."""

    key: str
    amounts: str
    spent: float = 0
    limit: float = 0


@dataclass(frozen=True, slots=True)
class BudgetAccount:
    """Limits, and what was spent of them; 0 means no limit."""

    limits: Spending
    spent: Spending = NOTHING

    @classmethod
    def of_work(cls, budget: Budget, spent: Spending = NOTHING) -> BudgetAccount:
        """The account of one piece of work, or of a part of it."""
        return cls(Spending(budget.steps, budget.tokens, budget.usd), spent)

    @classmethod
    def of_day(cls, budget: Budget, spent: Spending = NOTHING) -> BudgetAccount:
        """The account of a lane for a day."""
        return cls(Spending(0, budget.day_tokens, budget.day_usd), spent)

    def plus(self, amount: Spending) -> BudgetAccount:
        """The account after `amount` was spent as well."""
        return replace(self, spent=self.spent.plus(amount))

    @property
    def left(self) -> Spending:
        """What may still be spent of each amount that has a limit; 0 for an amount without one."""
        return self.limits.less(self.spent)

    @property
    def exceeded(self) -> ExceededLimit | None:
        """The first limit of which nothing is left, or None."""
        limits, spent = self.limits, self.spent
        if limits.calls and spent.calls >= limits.calls:
            amounts = f"{spent.calls} of {limits.calls} answers of the model"
            return ExceededLimit(STEPS, amounts, spent.calls, limits.calls)
        if limits.tokens and spent.tokens >= limits.tokens:
            amounts = f"{spent.tokens:,} of {limits.tokens:,} tokens"
            return ExceededLimit(TOKENS, amounts, spent.tokens, limits.tokens)
        if limits.usd and spent.usd >= limits.usd:
            amounts = f"{spent.usd:.2f} of {limits.usd:.2f} dollars"
            return ExceededLimit(USD, amounts, spent.usd, limits.usd)
        return None

    def bounded(self, budget: Budget, already: Spending = NOTHING) -> Budget:
        """`budget` with at most the tokens and dollars that are left here.

        `already` is what the work that gets the budget spent before: it counts against that budget and against this
        account. No limit of the account may be exceeded, because a budget of 0 means no limit.
        """
        left = already.plus(self.left)
        tokens = min(budget.tokens or left.tokens, left.tokens) if self.limits.tokens else budget.tokens
        usd = min(budget.usd or left.usd, left.usd) if self.limits.usd else budget.usd
        return replace(budget, tokens=tokens, usd=usd)
