"""Divides one budget among the parts of a piece of work: workflow steps, or the tries after a failing check."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from core.model.budget import Budget, BudgetAccount, Spending
from core.model.budget_question import BudgetSpentError
from core.model.provenance import Usage
from core.ports.executor import WorkOrder
from core.ports.reporting import UsageReporter

RESERVE_DIVISOR: Final = 8
"""A reserve of the whole budget divided by this is kept for each other share, whose last call may exceed it."""


@dataclass(frozen=True, slots=True)
class BudgetShare:
    """The reserved share of a part: an account whose limits include what the part spent before."""

    account: BudgetAccount

    @property
    def unused(self) -> Spending:
        """The amount that is reserved and not spent yet."""
        return self.account.left


def no_others(_part: str) -> int:
    """The number of other parts, for parts that run one after the other."""
    return 0


class BudgetPool:
    """Gives each part of a piece of work a share of the remaining budget.

    A part reserves its share before its first call and returns the rest of it at its end. An executor stops after the
    call that exhausts its share. So all parts together exceed the budget by at most one call, unless several parts
    end at the same time with calls that cost more than the reserve.
    """

    def __init__(self, order: WorkOrder, spent: Spending, others: Callable[[str], int]) -> None:
        self._budget, self._usage, self._others = order.lane.budget, order.usage, others
        # `steps` is a limit for each part, so the pool has none for calls
        self._account = BudgetAccount(Spending(0, self._budget.tokens, self._budget.usd), spent)
        self._shares: dict[str, BudgetShare] = {}
        self._changed = asyncio.Condition()

    @classmethod
    async def open(cls, order: WorkOrder, others: Callable[[str], int] = no_others) -> BudgetPool:
        """The pool of the order's budget, minus the spending of earlier tries of the work.

        `others` returns how many other parts may still need a share while the named part has one.
        """
        return cls(order, Spending.of(await order.usage.spent()), others)

    def reporter(self, part: str) -> UsageReporter:
        """The `UsageReporter` of a part, which reports to the ledger and charges the pool and the part's share."""
        return _PartUsage(self, part, self._usage.part(part))

    @asynccontextmanager
    async def share(self, part: str) -> AsyncIterator[Budget]:
        """The budget of `part` during the block; it limits all spending in the part's ledger, earlier tries included.

        Waits while other parts may still return something. Raises `BudgetSpentError` if nothing is left.
        """
        before = Spending.of(await self._usage.part(part).spent())
        async with self._changed:
            while (grant := self._grant(part)) is None:
                await self._changed.wait()
            budget = self._limited_budget(before.plus(grant))
            self._shares[part] = BudgetShare(BudgetAccount.of_work(budget, before))
        try:
            yield budget
        finally:
            async with self._changed:
                del self._shares[part]
                self._changed.notify_all()

    def charge(self, part: str, amount: Spending) -> None:
        """Charge the spending of a part."""
        self._account = self._account.plus(amount)
        if (share := self._shares.get(part)) is not None:
            self._shares[part] = BudgetShare(share.account.plus(amount))

    def _grant(self, part: str) -> Spending | None:
        """The amount that `part` may reserve now; None if it must wait until others return something."""
        if (exceeded := self._account.exceeded) is not None:
            message = f"earlier parts of the work spent {exceeded.amounts} of the lane's budget"
            mend = "Raise `tokens` or `usd` in the lane's budget, or ask for a smaller change."
            raise BudgetSpentError(message, exceeded, mend)
        whole, free = self._account.limits, self._account.left
        for share in self._shares.values():
            free = free.less(share.unused)
        open_shares, others = len(self._shares), self._others(part)
        tokens = int(_even_part(free.tokens, whole.tokens, open_shares, others))
        usd = _even_part(free.usd, whole.usd, open_shares, others)
        if (not whole.tokens or tokens >= 1) and (not whole.usd or usd > 0):
            return Spending(0, tokens, usd)
        return None if self._shares else self._account.left

    def _limited_budget(self, limits: Spending) -> Budget:
        """The lane's budget with these limits for tokens and dollars, as far as it limits them."""
        budget = self._budget
        return replace(budget, tokens=limits.tokens if budget.tokens else 0, usd=limits.usd if budget.usd else 0.0)


@dataclass(frozen=True, slots=True)
class _PartUsage:
    """The `UsageReporter` of a part, or of a part of it, that also charges the pool."""

    pool: BudgetPool
    share: str
    ledger: UsageReporter

    async def report(self, call: str, usage: Usage) -> bool:
        """Report the cost of a call to the ledger, and charge the share unless the ledger had the call already."""
        is_new = await self.ledger.report(call, usage)
        if is_new:
            self.pool.charge(self.share, Spending.of([usage]))
        return is_new

    async def spent(self) -> tuple[Usage, ...]:
        """The part's entries in the ledger."""
        return await self.ledger.spent()

    def part(self, name: str) -> _PartUsage:
        """The reporter of a part of this part, which charges the same share."""
        return replace(self, ledger=self.ledger.part(name))


def _even_part(free: float, whole: float, open_shares: int, others: int) -> float:
    """The part of `free`, minus the reserves, for each part that may still need a share; 0 without a limit."""
    return (free - (open_shares + others) * whole / RESERVE_DIVISOR) / (1 + others) if whole else 0
