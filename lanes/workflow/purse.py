"""What the steps of one workflow spend together, told as one sum, and held to the lane's one budget."""

from __future__ import annotations

from dataclasses import replace

from core.errors import Kind, PermanentError
from core.lane import Budget
from core.ports import Charge, Order
from core.production import Usage


class Purse:
    """Adds up what each step says it spent, for every sum that is told replaces the one before it."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._spent: dict[tuple[str, str], Usage] = {}

    def of(self, step: str) -> Charge:
        """The `Charge` of one step."""

        async def charge(usage: Usage) -> None:
            self._spent[step, usage.model] = usage
            total = Usage(usage.model)
            for (_, model), spent in self._spent.items():
                total = total.plus(spent) if model == usage.model else total
            await self._order.charge(total)

        return charge

    def adopt(self, step: str, spent: tuple[Usage, ...]) -> None:
        """Count what an earlier worker spent on a step: it was charged then, and is gone from the budget."""
        for usage in spent:
            self._spent[step, usage.model] = usage

    def left(self, budget: Budget) -> Budget:
        """What may still be spent; raises `PermanentError` when nothing may. Steps side by side each get all of it."""
        tokens = sum(usage.tokens for usage in self._spent.values())
        usd = sum(usage.usd or 0.0 for usage in self._spent.values())
        if (budget.tokens and tokens >= budget.tokens) or (budget.usd and usd >= budget.usd):
            raise PermanentError(
                "budget_spent",
                f"the steps before it spent the lane's whole budget: {tokens} tokens, {usd:.2f} dollars",
                "Raise `tokens` or `usd` in the lane's budget, or ask for less.",
                kind=Kind.REFUSED,
            )
        return replace(
            budget,
            tokens=budget.tokens - tokens if budget.tokens else 0,
            usd=budget.usd - usd if budget.usd else 0.0,
        )
