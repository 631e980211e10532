"""One budget for all parts of one piece of work: the steps of a workflow, or the tries after a failing check."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from core.model.budget import Budget, BudgetAccount, Spending
from core.model.errors import Kind, PermanentError
from core.model.provenance import Usage
from core.ports import UsageReporter, WorkOrder

SET_ASIDE: Final = 8
"""One part in so many of the whole budget is set aside for each other share, whose last call may exceed it."""


@dataclass(frozen=True, slots=True)
class BudgetShare:
    """What one part of the work reserved: an account of the part, whose limits include what it spent before."""

    account: BudgetAccount

    @property
    def unused(self) -> Spending:
        """What is reserved and not spent yet."""
        return self.account.left


def no_others(_part: str) -> int:
    """For parts that work one after the other."""
    return 0


class BudgetPool:
    """Gives each part of a piece of work a share of what is left of its budget.

    A part reserves its share before its first call and gives back what it did not need. An executor stops after the
    call that reached its share. So all parts together exceed the budget by one call at most, unless several parts at
    once end with a call that costs more than what is set aside for it.
    """

    def __init__(self, order: WorkOrder, spent: Spending, others: Callable[[str], int]) -> None:
        self._budget, self._usage, self._others = order.lane.budget, order.usage, others
        # `steps` is a limit for each part, so the pool has none for calls
        self._account = BudgetAccount(Spending(0, self._budget.tokens, self._budget.usd), spent)
        self._shares: dict[str, BudgetShare] = {}
        self._changed = asyncio.Condition()

    @classmethod
    async def open(cls, order: WorkOrder, others: Callable[[str], int] = no_others) -> BudgetPool:
        """The pool of the order's budget, without what earlier tries of the work spent of it.

        `others` says how many parts may yet ask for a share beside the one of that name.
        """
        return cls(order, Spending.of(await order.usage.spent()), others)

    def reporter(self, part: str) -> UsageReporter:
        """The `UsageReporter` of one part: into the ledger, and against the pool and the part's share."""
        return _PartUsage(self, part, self._usage.part(part))

    @asynccontextmanager
    async def share(self, part: str) -> AsyncIterator[Budget]:
        """The budget of `part` while it is open: a limit on all that the ledger has for it, earlier tries included.

        Waits for what others may give back. Raises `PermanentError` ``budget_spent`` when nothing is left.
        """
        before = Spending.of(await self._usage.part(part).spent())
        async with self._changed:
            while (granted := self._granted(part)) is None:
                await self._changed.wait()
            budget = self._limited(before.plus(granted))
            self._shares[part] = BudgetShare(BudgetAccount.of_work(budget, before))
        try:
            yield budget
        finally:
            async with self._changed:
                del self._shares[part]
                self._changed.notify_all()

    def charge(self, part: str, amount: Spending) -> None:
        """Count what a part spent."""
        self._account = self._account.plus(amount)
        if (share := self._shares.get(part)) is not None:
            self._shares[part] = BudgetShare(share.account.plus(amount))

    def _granted(self, part: str) -> Spending | None:
        """What `part` may reserve now; None when it has to wait for what others give back."""
        if (exceeded := self._account.exceeded) is not None:
            message = f"what came before it spent {exceeded.amounts} of the lane's budget"
            mend = "Raise `tokens` or `usd` in the lane's budget, or ask for less."
            raise PermanentError("budget_spent", message, mend, kind=Kind.REFUSED)
        whole, free = self._account.limits, self._account.left
        for share in self._shares.values():
            free = free.less(share.unused)
        open_shares, others = len(self._shares), self._others(part)
        tokens = int(_even_part(free.tokens, whole.tokens, open_shares, others))
        usd = _even_part(free.usd, whole.usd, open_shares, others)
        if (not whole.tokens or tokens >= 1) and (not whole.usd or usd > 0):
            return Spending(0, tokens, usd)
        return None if self._shares else self._account.left

    def _limited(self, limits: Spending) -> Budget:
        """The lane's budget with these limits for tokens and dollars, where it has any."""
        budget = self._budget
        return replace(budget, tokens=limits.tokens if budget.tokens else 0, usd=limits.usd if budget.usd else 0.0)


@dataclass(frozen=True, slots=True)
class _PartUsage:
    """`UsageReporter` of one part, or of a part of it, that also tells the pool."""

    pool: BudgetPool
    share: str
    ledger: UsageReporter

    async def report(self, call: str, usage: Usage) -> bool:
        """Append what a call cost, and count it against the share if the ledger did not have it."""
        is_new = await self.ledger.report(call, usage)
        if is_new:
            self.pool.charge(self.share, Spending.of([usage]))
        return is_new

    async def spent(self) -> tuple[Usage, ...]:
        """What the ledger has for the part."""
        return await self.ledger.spent()

    def part(self, name: str) -> _PartUsage:
        """The reporter of a part of it, against the same share."""
        return replace(self, ledger=self.ledger.part(name))


def _even_part(free: float, whole: float, open_shares: int, others: int) -> float:
    """What each part that may still ask can have of `free`, less what is set aside; 0 where nothing is limited."""
    return (free - (open_shares + others) * whole / SET_ASIDE) / (1 + others) if whole else 0
