"""One pot for all parts of one piece of work: the steps of a workflow, or the tries after a failing check."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from core.model.errors import Kind, PermanentError
from core.model.lane import Budget
from core.model.provenance import Usage
from core.ports import UsageReporter, WorkOrder

ONE_ASK: Final = 8
"""What an ask beyond a share may come to is set aside: this part of the whole budget, for each other share."""


@dataclass(frozen=True, slots=True)
class _Sum:
    """Tokens and dollars."""

    tokens: float = 0
    usd: float = 0.0

    def less(self, other: _Sum) -> _Sum:
        return _Sum(self.tokens - other.tokens, self.usd - other.usd)


@dataclass(frozen=True, slots=True)
class BudgetShare:
    """What a part reserved, and what it had spent by then."""

    reserved: _Sum
    before: _Sum


def alone(_part: str) -> int:
    """No other part will ask beside this one."""
    return 0


class BudgetPool:
    """Adds up what every part says it spent, and gives each its share of what is left.

    A part reserves its share before it asks and gives back what it did not need. An executor stops at its share, with
    the ask that reached it: so all together come to one ask over the budget, and no more, unless several parts at once
    end with an ask that costs more than an eighth of the whole. `beside` says how many parts may yet ask beside one.
    """

    def __init__(self, order: WorkOrder, beside: Callable[[str], int] = alone) -> None:
        self._order, self._beside = order, beside
        self._spent: dict[tuple[str, str], Usage] = {}
        self._past: dict[tuple[str, str], Usage] = {}
        self._shares: dict[str, BudgetShare] = {}
        self._changed = asyncio.Condition()

    def of(self, part: str) -> UsageReporter:
        """The `UsageReporter` of one part. Each sum it hears replaces the one before, unless the part began anew."""

        async def charge(usage: Usage) -> None:
            key = part, usage.model
            known = self._spent.get(key)
            if known is not None and usage.tokens < known.tokens:
                self._past[key] = self._past[key].plus(known) if key in self._past else known
            self._spent[key] = usage
            await self._order.charge(self._of_model(usage.model))

        return charge

    def adopt(self, part: str, spent: tuple[Usage, ...]) -> None:
        """Count what an earlier worker spent on a part: it was charged then, and is gone from the budget."""
        for usage in spent:
            self._spent[part, usage.model] = usage

    @asynccontextmanager
    async def share(self, part: str) -> AsyncIterator[Budget]:
        """What `part` may spend while it is open; waits for what others give back; raises `PermanentError`."""
        whole = self._order.lane.budget
        async with self._changed:
            while (budget := self._shared(part, whole)) is None:
                await self._changed.wait()
            self._shares[part] = BudgetShare(_Sum(budget.tokens, budget.usd), self._sum(part))
        try:
            yield budget
        finally:
            async with self._changed:
                del self._shares[part]
                self._changed.notify_all()

    def _shared(self, part: str, whole: Budget) -> Budget | None:
        """The share of `part` now; None when it has to wait for what others give back."""
        left = _Sum(whole.tokens, whole.usd).less(self._sum())
        if (whole.tokens and left.tokens <= 0) or (whole.usd and left.usd <= 0):
            raise self._over()
        free, held, more = left, len(self._shares), self._beside(part)
        for name, share in self._shares.items():
            used = self._sum(name).less(share.before)
            unused = share.reserved.less(used)
            free = free.less(_Sum(max(0, unused.tokens), max(0.0, unused.usd)))
        tokens = int(_part_of(free.tokens, whole.tokens, held, more))
        usd = _part_of(free.usd, whole.usd, held, more)
        if (not whole.tokens or tokens >= 1) and (not whole.usd or usd > 0):
            return replace(whole, tokens=max(0, tokens), usd=max(0.0, usd))
        if held:
            return None
        return replace(whole, tokens=max(0, int(left.tokens)), usd=max(0.0, left.usd))

    def _of_model(self, model: str) -> Usage:
        total = Usage(model)
        for spent in (self._past, self._spent):
            for (_, name), usage in spent.items():
                total = total.plus(usage) if name == model else total
        return total

    def _sum(self, part: str | None = None) -> _Sum:
        """What all parts spent, or one of them."""
        spent = [
            usage
            for each in (self._past, self._spent)
            for (name, _), usage in each.items()
            if part is None or name == part
        ]
        return _Sum(sum(usage.tokens for usage in spent), sum(usage.usd or 0.0 for usage in spent))

    def _over(self) -> PermanentError:
        spent, whole = self._sum(), self._order.lane.budget
        said = f"{spent.tokens:,.0f} of {whole.tokens:,} tokens"
        if not whole.tokens or spent.tokens < whole.tokens:
            said = f"{spent.usd:.2f} of {whole.usd:.2f} dollars"
        return PermanentError(
            "budget_spent",
            f"what came before it spent {said} of the lane's budget",
            "Raise `tokens` or `usd` in the lane's budget, or ask for less.",
            kind=Kind.REFUSED,
        )


def _part_of(free: float, whole: float, held: int, more: int) -> float:
    """An even part of what is free, with room for one ask over of every other; 0 where nothing is bounded."""
    return (free - (held + more) * whole / ONE_ASK) / (1 + more) if whole else 0
