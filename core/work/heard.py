"""What is heard of an executor while it works: how far it is, for the card, and what it spends, for the budgets."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from core.errors import Kind, PermanentError
from core.job import Job
from core.lane import Budget, Lane
from core.production import Usage
from core.store import cards, jobs, spending
from core.store.database import Session
from core.work.workshop import Workshop

TELL_EVERY_S = 2.0
"""How often the card may change while work goes on; what is said between two changes is dropped."""
MOST_WORDS = 200
DAY_MS = 24 * 3600 * 1000


@dataclass(slots=True)
class Telling:
    """`core.ports.Told` of a claimed job: what it hears stands on the task's cards until it hears more."""

    shop: Workshop
    job: Job
    _last_s: float = field(default=float("-inf"), init=False)

    async def __call__(self, words: str) -> None:
        """Say how the work goes; what comes too soon after the last word is dropped."""
        if time.monotonic() - self._last_s < TELL_EVERY_S:
            return
        self._last_s = time.monotonic()
        line = " ".join(words.split())[:MOST_WORDS]

        async def work(session: Session) -> None:
            await jobs.tell(session, self.job, line)
            await cards.redraw(session, self.job.number, await self.shop.database.now_ms(session))

        await self.shop.database.write(work)


@dataclass(frozen=True, slots=True)
class Charging:
    """`core.ports.Charge` of a claimed job: every sum it hears replaces the one before."""

    shop: Workshop
    job: Job
    lane: str
    person: str

    async def __call__(self, usage: Usage) -> None:
        """Write down what this try spent on a model so far."""

        async def work(session: Session) -> None:
            now_ms = await self.shop.database.now_ms(session)
            await spending.charge(session, self.job, self.lane, self.person, usage, now_ms)

        await self.shop.database.write(work)


async def within_budget(shop: Workshop, lane: Lane) -> Lane:
    """`lane` with no more to spend than is left of its day; raises `PermanentError` when nothing is."""
    if lane.executor == "edit" or not _has_day(lane.budget):  # what is done by rule costs nothing
        return lane
    spent = await _spent_today(shop, lane)
    left = _left(lane.budget, spent)
    if left is None:
        raise PermanentError(
            "budget_spent",
            f"lane {lane.name} has spent its budget of a day: {spent.tokens} tokens, {spent.usd:.2f} dollars",
            "Ask again tomorrow, or raise `day_tokens` or `day_usd` in the lane's budget.",
            kind=Kind.REFUSED,
        )
    return replace(lane, budget=left)


async def day_is_spent(shop: Workshop, lane: Lane) -> bool:
    """Whether the lane has a budget of a day, and nothing is left of it."""
    return _has_day(lane.budget) and _left(lane.budget, await _spent_today(shop, lane)) is None


def _has_day(budget: Budget) -> bool:
    return bool(budget.day_tokens or budget.day_usd)


async def _spent_today(shop: Workshop, lane: Lane) -> spending.Spent:
    async def work(session: Session) -> spending.Spent:
        return await spending.of_lane(session, lane.name, await shop.database.now_ms(session) - DAY_MS)

    return await shop.database.read(work)


def _left(budget: Budget, spent: spending.Spent) -> Budget | None:
    """`budget` with no more in it than is left of the day, or None when that is over."""
    tokens_left, usd_left = budget.day_tokens - spent.tokens, budget.day_usd - spent.usd
    if (budget.day_tokens and tokens_left <= 0) or (budget.day_usd and usd_left <= 0):
        return None
    tokens = min(budget.tokens or tokens_left, tokens_left) if budget.day_tokens else budget.tokens
    usd = min(budget.usd or usd_left, usd_left) if budget.day_usd else budget.usd
    return replace(budget, tokens=tokens, usd=usd)
