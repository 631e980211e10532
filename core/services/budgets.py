"""Answers to a task that asks for a larger budget: extending it, or rejecting that. Each is one transaction."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from core.model.advice import BLANK, CommandName, Suggestion, advise
from core.model.budget import NOTHING, STEPS, TOKENS, USD, Budget, Spending
from core.model.budget_question import BudgetQuestion, described
from core.model.errors import ConflictError, Kind, Problem, UsageError
from core.model.lifecycle import Fact, State, advance
from core.model.role import Role
from core.model.task import Task
from core.model.turn import Actor
from core.ports.reporting import Milestones
from core.rules.authorization import Authorization
from core.rules.visibility import visible_task
from core.settings import SettingsSource
from core.store import jobs, queue_queries, spending_ledger, tasks
from core.store.database import Database
from core.store.transition import take_step
from core.store.unit_of_work import Tx, reads, writes

MOST: Final = Spending(1_000_000, 1_000_000_000_000, 1_000_000.0)
"""The most that one extension may add."""


@dataclass(frozen=True, slots=True)
class Budgets:
    """Extends the budgets of tasks that ask for it."""

    database: Database
    settings: SettingsSource
    milestones: Milestones

    async def extend(self, number: int, actor: Actor, by: Spending = NOTHING, question: int | None = None) -> Task:
        """Extend the budget of a paused task by `by`, or by as much again as it had; its job continues.

        `question` is the question that a button answers: an earlier one has no effect. Raises `ConflictError` if the
        task does not ask for a budget, `RefusedError` if `actor` may not extend it, and `UsageError` for amounts that
        do not help.
        """
        self.milestones.reached("extend.received", number=number)
        task = await self._extend(number, actor, by, question)
        self.milestones.reached("extend.committed", number=number)
        return task

    @writes
    async def _extend(self, tx: Tx, number: int, actor: Actor, by: Spending, question: int | None) -> Task:
        from core.store import budget_extensions  # noqa: PLC0415 - its table is slow to build, and rarely needed

        task = await visible_task(tx, self.settings(), number, actor, lock=True)
        Authorization(self.settings).check_role(actor, Role.APPROVER, task.repo)
        asked = asked_budget(task)
        if question is not None and question != asked.n:
            mend = advise("Look at it again with ", Suggestion(CommandName.SHOW, number), ".")
            raise ConflictError("answered_already", f"this question of #{number} was answered already", mend)
        Authorization(self.settings).may_extend(task, actor)
        amounts = by if by != NOTHING else asked.as_much_again
        lane = self.settings().lane(task.current.lane or "")
        _check_amounts(amounts, asked, lane.budget)
        paused = await queue_queries.paused_job(tx, number)
        own = Spending.of(await spending_ledger.of_part(tx, paused, "")) if paused else NOTHING
        row = budget_extensions.BudgetExtensionRow(
            number=number,
            revision=task.revision,
            n=asked.n,
            person=actor.person,
            surface=actor.surface,
            is_day=asked.is_day,
            steps=amounts.calls,
            tokens=amounts.tokens,
            usd=amounts.usd,
            spent_tokens=own.tokens,
            spent_usd=own.usd,
            at_ms=tx.now_ms,
        )
        await budget_extensions.add(tx, row)
        await resume(tx, task, actor, {"by": described(amounts), "n": asked.n, "spent": asked.spent, "of": asked.of})
        return await tasks.load(tx, number)

    @reads
    async def check_extending(self, tx: Tx, number: int, actor: Actor) -> None:
        """Raise if `actor` may not extend the budget of a task now."""
        task = await visible_task(tx, self.settings(), number, actor)
        Authorization(self.settings).check_role(actor, Role.APPROVER, task.repo)
        asked_budget(task)
        Authorization(self.settings).may_extend(task, actor)


def asked_budget(task: Task) -> BudgetQuestion:
    """What a task that asks for a larger budget asks; raises `ConflictError` for any other task."""
    budget = task.question.budget if task.question is not None else None
    if task.state is State.ASKING and budget is not None:
        return budget
    if task.state is State.ASKING:
        mend = advise("Answer its question: ", Suggestion(CommandName.REPLY, task.number, (BLANK,)), ".")
        raise ConflictError("wrong_state", f"#{task.number} asks something else than a budget", mend)
    advance(task, Fact.EXTENDED)
    raise AssertionError("unreachable: only an asking task can be extended")


async def resume(tx: Tx, task: Task, actor: Actor, body: dict[str, object]) -> None:
    """Have the paused job of a task continue; a task without one gets another job from the reconciler."""
    await jobs.resume_paused(tx, task.number)
    changes = {"question": None, "error": None, "expires_ms": None, "nudge_ms": None}
    await take_step(tx, task, Fact.EXTENDED, actor=actor, body=body, changes=changes)


def rejected(task: Task, actor: Actor, reason: str) -> Problem:
    """The problem of a task whose larger budget was rejected."""
    budget = asked_budget(task)
    message = f"{actor.person or 'The operator'} gave #{task.number} no more {budget.limit}"
    mend = advise("Reply to ask for less: ", Suggestion(CommandName.REPLY, task.number, (BLANK,)), ".")
    return Problem(Kind.REFUSED, "budget_rejected", message + (f": {reason}" if reason else ""), mend)


def _check_amounts(by: Spending, asked: BudgetQuestion, budget: Budget) -> None:
    """Raise `UsageError` for amounts that are out of range, that the lane does not limit, or that do not help."""
    amounts = {TOKENS: (by.tokens, MOST.tokens), STEPS: (by.calls, MOST.calls), USD: (by.usd, MOST.usd)}
    for name, (amount, most) in amounts.items():
        if not math.isfinite(amount) or not 0 <= amount <= most:
            raise UsageError("bad_amount", f"{amount} {name} is not an amount", f"Give more than 0, at most {most:,}.")
    if not amounts[asked.limit][0]:
        mend = f"Give an amount of {asked.limit}, or none at all for as much again."
        raise UsageError("other_limit", f"the limit that is used up is {asked.limit}", mend)
    limits = {TOKENS: budget.tokens, STEPS: budget.steps, USD: budget.usd}
    for name, (amount, _) in amounts.items():
        if amount and name != asked.limit and not limits[name]:
            raise UsageError("no_such_limit", f"the lane does not limit {name}", f"Give {asked.limit} alone.")
