"""What a job's models spend: added to the ledger for each call."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.jobs.job_context import JobContext
from core.model.job import Job
from core.model.lane import Lane
from core.model.provenance import Usage
from core.rules.budgets import day_account
from core.store import spending_ledger
from core.store.spending_ledger import LedgerEntry


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


async def is_day_spent(context: JobContext, lane: Lane) -> bool:
    """Whether the lane has a budget for 24 hours of which nothing is left."""
    if not lane.budget.has_day:
        return False
    return (await context.database.read(lambda tx: day_account(tx, lane))).exceeded is not None
