"""The budget of a job's work: what extensions, earlier parts and the day leave of it, and the pause at its end."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from core.jobs.job_context import JobContext, check_current
from core.model.advice import Advice, CommandName, Suggestion, advise
from core.model.budget import TOKENS, BudgetAccount, Spending
from core.model.budget_question import ABOUT_BUDGET, BudgetQuestion, BudgetSpentError, question_about
from core.model.errors import Kind, Problem
from core.model.job import Job
from core.model.lane import Lane
from core.model.lifecycle import Fact
from core.model.task import Revision, Task
from core.model.turn import Question
from core.rules.budgets import DayShare, day_account, free_again_ms, people_who_may_extend
from core.rules.notify_extenders import notify_extenders
from core.store import jobs, spending_ledger, tasks
from core.store.database import from_ms, to_ms
from core.store.transition import take_step
from core.store.unit_of_work import Tx

PAUSE_EXPIRES_S: Final = 14 * 24 * 3600
"""How long a task waits for a larger budget."""


async def within_budgets(context: JobContext, job: Job, lane: Lane, task: Task) -> Lane:
    """`lane` with its budget as it was extended, reduced to what earlier parts and the last 24 hours leave of it.

    The budget still counts what earlier attempts of `job` spent. Raises `BudgetSpentError` if nothing is left.
    """
    return await context.database.read(lambda tx: _within_budgets(tx, job, lane, task))


async def _within_budgets(tx: Tx, job: Job, lane: Lane, task: Task) -> Lane:
    from core.store import budget_extensions  # noqa: PLC0415 - its table is slow to build, and few processes need it

    earlier = await _revisions_before_approval(tx, task)
    extensions = await budget_extensions.of_revisions(tx, task.number, [*earlier, task.revision])
    lane = replace(lane, budget=lane.budget.extended(extensions.work))
    lane = await _after_earlier_parts(tx, lane, task, earlier)
    if not lane.budget.has_day:
        return lane
    own = Spending.of(await spending_ledger.of_part(tx, job.id, ""))
    share = DayShare(await day_account(tx, lane), own, extensions.day)
    if share.exceeded is not None:
        raise await _day_spent(tx, lane)
    return replace(lane, budget=share.bounded(lane.budget))


async def _day_spent(tx: Tx, lane: Lane, *, starts_again: bool = False) -> BudgetSpentError:
    """The error for a lane whose day has no budget left."""
    exceeded = (await day_account(tx, lane)).exceeded
    assert exceeded is not None
    at_ms = await free_again_ms(tx, lane)
    return BudgetSpentError(
        f"lane {lane.name} used {exceeded.amounts} in 24 hours",
        exceeded,
        is_day=True,
        free_at=from_ms(at_ms) if at_ms is not None else None,
        starts_again=starts_again,
    )


async def _after_earlier_parts(tx: Tx, lane: Lane, task: Task, earlier: list[int]) -> Lane:
    """`lane` with its budget reduced by what the steps before an approval spent."""
    budget, passed = lane.budget, task.current.basis.passed
    if not passed or not (budget.tokens or budget.usd):
        return lane
    spent = await spending_ledger.of_revisions(tx, task.number, earlier)
    account = BudgetAccount(Spending(0, budget.tokens, budget.usd), spent)
    if (exceeded := account.exceeded) is not None:
        raise BudgetSpentError(f"lane {lane.name} spent {exceeded.amounts} before the approval {passed}", exceeded)
    return replace(lane, budget=account.bounded(budget))


async def _revisions_before_approval(tx: Tx, task: Task) -> list[int]:
    """The revisions whose steps this one continues. A reply begins new work; a pick or an approval does not."""
    numbers: list[int] = []
    at: Revision | None = task.current
    while at is not None and (source := at.basis.continue_from) is not None:
        earlier = await tasks.revision_of(tx, task.number, source)
        is_pick = at.intent is not None and at.intent.keeps_parts
        if earlier is None or (earlier.basis.passed == at.basis.passed and not is_pick):
            break
        numbers.append(source)
        at = earlier
    return numbers


# -- the pause -----------------------------------------------------------------------------------------------------


async def pause_for_budget(context: JobContext, job: Job, lane: Lane, error: BudgetSpentError) -> None:
    """Pause a claimed job whose budget is used up: in one transaction its task asks those who may extend it.

    `lane` is the task's, as configured. Nothing is lost: the job keeps its journal and its spending.
    """
    context.milestones.reached("change.before_paused", number=job.number)
    await context.database.write(lambda tx: _pause(tx, context, job, lane, error))
    context.milestones.reached("change.paused", number=job.number)


async def _pause(tx: Tx, context: JobContext, job: Job, lane: Lane, error: BudgetSpentError) -> None:
    task = await tasks.load(tx, job.number, lock=True)
    check_current(task, job)
    await jobs.pause(tx, job)
    if not error.is_day and lane.budget.has_day and (await day_account(tx, lane)).exceeded is not None:
        error = await _day_spent(tx, lane, starts_again=error.starts_again)  # noticed in the middle of the work
    from core.store import budget_extensions  # noqa: PLC0415 - its table is slow to build, and few processes need it

    n = await budget_extensions.count(tx, task.number, task.revision) + 1
    facts = question_about(error, lane.budget, n)
    text = _text(error, await _whole_work(tx, job, task, lane, error))
    question = Question(ABOUT_BUDGET, context.guard.mask(text), budget=facts)
    problem = context.masked(Problem(Kind.FAILED, "budget_spent", _sentence(error.problem.message), _mend(task, facts)))
    await take_step(
        tx,
        task,
        Fact.PAUSED,
        body={"question": question.to_json(), "error": problem.to_json(), "job": job.id},
        changes={
            "question": question.to_json(),
            "error": problem.to_json(),
            "expires_ms": tx.now_ms + PAUSE_EXPIRES_S * 1000,
            "nudge_ms": to_ms(error.free_at) if error.free_at else None,
        },
    )
    people = context.settings().people
    await notify_extenders(tx, people, task.number, question.text, people_who_may_extend(context.settings(), task))


def _sentence(message: str) -> str:
    return message[:1].upper() + message[1:]


async def _whole_work(tx: Tx, job: Job, task: Task, lane: Lane, error: BudgetSpentError) -> str:
    """What the whole work spent, if `error` is about the share of one step or try; else empty."""
    from core.store import budget_extensions  # noqa: PLC0415 - its table is slow to build, and few processes need it

    earlier = await _revisions_before_approval(tx, task)
    extensions = await budget_extensions.of_revisions(tx, task.number, [*earlier, task.revision])
    limit = lane.budget.extended(extensions.work).tokens
    if error.is_day or error.exceeded.key != TOKENS or earlier or error.exceeded.limit >= limit:
        return ""
    own = Spending.of(await spending_ledger.of_part(tx, job.id, ""))
    return f", which is its share; the whole work spent {own.tokens:,} of {limit:,}"


def _text(error: BudgetSpentError, whole_work: str) -> str:
    """The question in words, with what follows from an answer."""
    text = f"{_sentence(error.problem.message)}{whole_work}. Extend the budget?"
    if error.starts_again:
        text += " The program cannot continue: it starts again with the larger budget, and what it spent stays counted."
    if error.free_at is not None:
        text += f" Without an answer it goes on at {error.free_at:%H:%M} UTC, when the lane has budget again."
    return text


def _mend(task: Task, facts: BudgetQuestion) -> Advice:
    extend, cancel = Suggestion(CommandName.EXTEND, task.number), Suggestion(CommandName.CANCEL, task.number)
    until = " or wait until the lane has budget again," if facts.free_at else ""
    return advise(
        "Give it as much again with ",
        extend,
        f",{until} or stop it with ",
        cancel,
        ".",
        otherwise="A maintainer or an approver can extend it.",
    )
