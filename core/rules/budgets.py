"""The budget of a lane's day, how much of it one task may still spend, and who may extend a budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.model.budget import NOTHING, Budget, BudgetAccount, ExceededLimit, Spending
from core.model.lane import Lane
from core.model.role import MAINTAINER, Role
from core.model.task import Task
from core.settings import Settings
from core.store import spending_ledger
from core.store.unit_of_work import Tx

DAY_MS: Final = 24 * 3600 * 1000
MINUTE_MS: Final = 60 * 1000


async def day_account(tx: Tx, lane: Lane) -> BudgetAccount:
    """The account of the lane for the last 24 hours."""
    return BudgetAccount.of_day(lane.budget, await spending_ledger.of_lane(tx, lane.name, tx.now_ms - DAY_MS))


async def free_again_ms(tx: Tx, lane: Lane) -> int | None:
    """When enough of the last 24 hours has passed for the lane to have budget again; None if it has some now."""
    limits = BudgetAccount.of_day(lane.budget).limits
    at_ms = await spending_ledger.free_at_ms(tx, lane.name, tx.now_ms - DAY_MS, limits)
    return at_ms + DAY_MS + MINUTE_MS if at_ms is not None else None


@dataclass(frozen=True, slots=True)
class DayShare:
    """What one job may spend of its lane's day.

    `allowed` is up to where it may spend although the day is used up, its own spending so far (`own`) included.
    """

    day: BudgetAccount
    own: Spending = NOTHING
    allowed: Spending = NOTHING

    @property
    def _left(self) -> Spending:
        day, allowed = self.day.left, self.allowed.less(self.own)
        return Spending(0, max(day.tokens, allowed.tokens), max(day.usd, allowed.usd))

    @property
    def exceeded(self) -> ExceededLimit | None:
        """The first limit of the day that keeps the job from spending more, or None."""
        left, limits = self._left, self.day.limits
        tokens = limits.tokens if left.tokens <= 0 else 0
        usd = limits.usd if left.usd <= 0 else 0.0
        return BudgetAccount(Spending(0, tokens, usd), self.day.spent).exceeded

    def bounded(self, budget: Budget) -> Budget:
        """`budget` with at most what is left; no limit of the day may be exceeded."""
        limits = self.day.limits
        left = Spending(0, self._left.tokens if limits.tokens else 0, self._left.usd if limits.usd else 0.0)
        return BudgetAccount(left).bounded(budget, self.own)


def people_who_may_extend(settings: Settings, task: Task) -> list[str]:
    """The names of those who may extend the budget of a task; sorted.

    They are the maintainers, the admins and those who may approve it. Its authors are among them only if its rule lets
    people approve their own changes (``self_approve``).
    """
    requirements = task.current.requirements
    approvers = requirements.approvers if requirements else ()
    people = settings.people_of(task.repo).matching_with((MAINTAINER, Role.ADMIN.word, *approvers), Role.APPROVER)
    may_authors = requirements is not None and requirements.self_approve
    return sorted(person for person in people if may_authors or person not in task.authors)
