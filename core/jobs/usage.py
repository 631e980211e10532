"""What is heard of an executor while it works: how far it is, for the card, and what it spends, for the budgets."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from core.jobs.job_context import JobContext
from core.model.errors import Kind, PermanentError
from core.model.job import Job
from core.model.lane import Budget, Lane
from core.model.provenance import Usage
from core.model.task import Revision, Task
from core.store import cards, jobs, spending, tasks
from core.store.database import from_ms
from core.store.spending import Spending
from core.store.unit_of_work import Tx

TELL_EVERY_S = 2.0
"""How often the card may change while work goes on; what is said between two changes is dropped."""
MOST_WORDS = 200
DAY_MS = 24 * 3600 * 1000
MINUTE_MS = 60 * 1000


@dataclass(slots=True)
class JobProgress:
    """`core.ports.ProgressReporter` of a claimed job: what it hears stands on the task's cards until it hears more."""

    shop: JobContext
    job: Job
    _last_s: float = field(default=float("-inf"), init=False)

    async def __call__(self, words: str) -> None:
        """Say how the work goes; what comes too soon after the last word is dropped."""
        if time.monotonic() - self._last_s < TELL_EVERY_S:
            return
        self._last_s = time.monotonic()
        line = " ".join(words.split())[:MOST_WORDS]

        async def work(tx: Tx) -> None:
            await jobs.tell(tx, self.job, line)
            await cards.redraw(tx, self.job.number)

        await self.shop.database.write(work)


@dataclass(frozen=True, slots=True)
class JobUsage:
    """`core.ports.UsageReporter` of a claimed job: every sum it hears replaces the one before."""

    shop: JobContext
    job: Job
    lane: str
    person: str

    async def __call__(self, usage: Usage) -> None:
        """Write down what this try spent on a model so far."""

        async def work(tx: Tx) -> None:
            await spending.charge(tx, self.job, self.lane, self.person, usage)

        await self.shop.database.write(work)


async def within_budget(shop: JobContext, lane: Lane) -> Lane:
    """`lane` with no more to spend than is left of its day; raises `PermanentError` when nothing is."""
    budget = lane.budget
    if not _has_day(budget):
        return lane
    spent = await _spent_today(shop, lane)
    left = _left(budget, Spending(budget.day_tokens, budget.day_usd), spent)
    if left is None:
        said = _spent_of(spent, Spending(budget.day_tokens, budget.day_usd))
        message = f"lane {lane.name} used {said} in 24 hours{await _free_again(shop, lane)}"
        mend = "Ask again then, or raise `day_tokens` or `day_usd` in the lane's budget."
        raise PermanentError("budget_spent", message, mend, kind=Kind.REFUSED)
    return replace(lane, budget=left)


async def within_pot(shop: JobContext, lane: Lane, task: Task) -> Lane:
    """`lane` without what the steps before an approval spent of the same budget; raises when nothing is left."""
    budget, current = lane.budget, task.current
    if not current.basis.passed or not (budget.tokens or budget.usd):
        return lane

    async def work(tx: Tx) -> Spending:
        return await spending.of_revisions(tx, task.number, await _before_approval(tx, task))

    spent = await shop.database.read(work)
    left = _left(budget, Spending(budget.tokens, budget.usd), spent)
    if left is None:
        message = f"lane {lane.name} spent {_spent_of(spent, Spending(budget.tokens, budget.usd))} before the approval"
        mend = "Ask for less at once, or raise `tokens` or `usd` in the lane's budget."
        raise PermanentError("budget_spent", f"{message} {current.basis.passed}", mend, kind=Kind.REFUSED)
    return replace(lane, budget=left)


async def _before_approval(tx: Tx, task: Task) -> list[int]:
    """The revisions whose steps this one goes on from: a reply begins a new piece of work, a pick or approval none."""
    found: list[int] = []
    at: Revision | None = task.current
    while at is not None and (source := at.basis.continue_from) is not None:
        earlier = await tasks.revision_of(tx, task.number, source)
        picked = at.intent is not None and at.intent.pick is not None
        if earlier is None or (earlier.basis.passed == at.basis.passed and not picked):
            break
        found.append(source)
        at = earlier
    return found


def _spent_of(spent: Spending, most: Spending) -> str:
    """What was spent of the bound that it reached: ``7,000 of 6,000 tokens``."""
    if most.tokens and spent.tokens >= most.tokens:
        return f"{spent.tokens:,} of {most.tokens:,} tokens"
    return f"{spent.usd:.2f} of {most.usd:.2f} dollars"


async def _free_again(shop: JobContext, lane: Lane) -> str:
    """When enough of the last 24 hours is over for the lane to go on."""
    less = Spending(lane.budget.day_tokens, lane.budget.day_usd)

    async def work(tx: Tx) -> int | None:
        return await spending.free_at_ms(tx, lane.name, tx.now_ms - DAY_MS, less)

    at_ms = await shop.database.read(work)
    return f"; free again at {from_ms(at_ms + DAY_MS + MINUTE_MS):%H:%M} UTC" if at_ms is not None else ""


async def day_is_spent(shop: JobContext, lane: Lane) -> bool:
    """Whether the lane has a budget of a day, and nothing is left of it."""
    day = Spending(lane.budget.day_tokens, lane.budget.day_usd)
    return _has_day(lane.budget) and _left(lane.budget, day, await _spent_today(shop, lane)) is None


def _has_day(budget: Budget) -> bool:
    return bool(budget.day_tokens or budget.day_usd)


async def _spent_today(shop: JobContext, lane: Lane) -> Spending:
    async def work(tx: Tx) -> Spending:
        return await spending.of_lane(tx, lane.name, tx.now_ms - DAY_MS)

    return await shop.database.read(work)


def _left(budget: Budget, most: Spending, spent: Spending) -> Budget | None:
    """`budget` with no more in it than is left of `most` after `spent`, or None when that is over; 0 is no bound."""
    tokens_left, usd_left = most.tokens - spent.tokens, most.usd - spent.usd
    if (most.tokens and tokens_left <= 0) or (most.usd and usd_left <= 0):
        return None
    tokens = min(budget.tokens or tokens_left, tokens_left) if most.tokens else budget.tokens
    usd = min(budget.usd or usd_left, usd_left) if most.usd else budget.usd
    return replace(budget, tokens=tokens, usd=usd)
