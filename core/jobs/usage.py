"""What a job's models spend: added to the ledger for each call, and compared with the budgets of work and day."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.jobs.job_context import JobContext
from core.model.budget import BudgetAccount, Spending
from core.model.errors import Kind, PermanentError
from core.model.job import Job
from core.model.lane import Lane
from core.model.provenance import Usage
from core.model.task import Revision, Task
from core.store import spending_ledger, tasks
from core.store.database import from_ms
from core.store.spending_ledger import LedgerEntry
from core.store.unit_of_work import Tx

DAY_MS = 24 * 3600 * 1000
MINUTE_MS = 60 * 1000


@dataclass(frozen=True, slots=True)
class JobUsage:
    """The `UsageReporter` of a claimed job, or of one part of its work."""

    context: JobContext
    job: Job
    lane: str
    person: str
    name: str = ""

    async def report(self, call: str, usage: Usage) -> bool:
        """Append what a call cost; False when the ledger has that call of this part already."""
        entry = LedgerEntry(self.name, call, self.lane, self.person, usage)
        return await self.context.database.write(lambda tx: spending_ledger.append(tx, self.job, entry))

    async def spent(self) -> tuple[Usage, ...]:
        """What this part and the parts below it spent, in all attempts of the job: a sum for each model."""
        return await self.context.database.read(lambda tx: spending_ledger.of_part(tx, self.job.id, self.name))

    def part(self, name: str) -> JobUsage:
        """The reporter of one part of the work."""
        return replace(self, name=f"{self.name}/{name}" if self.name else name)


async def within_budgets(context: JobContext, job: Job, lane: Lane, task: Task) -> Lane:
    """`lane` with its budget reduced to what earlier parts of the work and the last 24 hours leave of it.

    The budget still counts what earlier attempts of `job` spent. Raises `PermanentError` ``budget_spent`` if nothing is
    left.
    """
    lane = await _after_earlier_parts(context, lane, task)
    budget = lane.budget
    if not budget.has_day:
        return lane
    day = BudgetAccount.of_day(budget, await _spent_today(context, lane))
    if (exceeded := day.exceeded) is not None:
        message = f"lane {lane.name} used {exceeded.amounts} in 24 hours{await _free_again(context, lane)}"
        mend = "Ask again then, or raise `day_tokens` or `day_usd` in the lane's budget."
        raise PermanentError("budget_spent", message, mend, kind=Kind.REFUSED)
    own = await context.database.read(lambda tx: spending_ledger.of_part(tx, job.id, ""))
    return replace(lane, budget=day.bounded(budget, Spending.of(own)))


async def _after_earlier_parts(context: JobContext, lane: Lane, task: Task) -> Lane:
    """`lane` with its budget reduced by what the steps before an approval spent."""
    budget, passed = lane.budget, task.current.basis.passed
    if not passed or not (budget.tokens or budget.usd):
        return lane

    spent = await context.database.read(lambda tx: _spent_before_approval(tx, task))
    account = BudgetAccount(Spending(0, budget.tokens, budget.usd), spent)
    if (exceeded := account.exceeded) is not None:
        message = f"lane {lane.name} spent {exceeded.amounts} before the approval {passed}"
        mend = "Ask for less at once, or raise `tokens` or `usd` in the lane's budget."
        raise PermanentError("budget_spent", message, mend, kind=Kind.REFUSED)
    return replace(lane, budget=account.bounded(budget))


async def _spent_before_approval(tx: Tx, task: Task) -> Spending:
    return await spending_ledger.of_revisions(tx, task.number, await _revisions_before_approval(tx, task))


async def _revisions_before_approval(tx: Tx, task: Task) -> list[int]:
    """The revisions whose steps this one continues. A reply begins new work; a pick or an approval does not."""
    numbers: list[int] = []
    at: Revision | None = task.current
    while at is not None and (source := at.basis.continue_from) is not None:
        earlier = await tasks.revision_of(tx, task.number, source)
        is_pick = at.intent is not None and at.intent.pick is not None
        if earlier is None or (earlier.basis.passed == at.basis.passed and not is_pick):
            break
        numbers.append(source)
        at = earlier
    return numbers


async def _free_again(context: JobContext, lane: Lane) -> str:
    """When enough of the last 24 hours has passed for the lane to have budget again, as the end of a sentence."""
    limits = BudgetAccount.of_day(lane.budget).limits

    at_ms = await context.database.read(
        lambda tx: spending_ledger.free_at_ms(tx, lane.name, tx.now_ms - DAY_MS, limits)
    )
    return f"; free again at {from_ms(at_ms + DAY_MS + MINUTE_MS):%H:%M} UTC" if at_ms is not None else ""


async def is_day_spent(context: JobContext, lane: Lane) -> bool:
    """Whether the lane has a budget for 24 hours of which nothing is left."""
    if not lane.budget.has_day:
        return False
    return BudgetAccount.of_day(lane.budget, await _spent_today(context, lane)).exceeded is not None


async def _spent_today(context: JobContext, lane: Lane) -> Spending:
    return await context.database.read(lambda tx: spending_ledger.of_lane(tx, lane.name, tx.now_ms - DAY_MS))
