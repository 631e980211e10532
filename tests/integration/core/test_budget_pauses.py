"""A budget that is used up pauses the work and asks; an extension continues it without a turn being repeated."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import select

from core.model.budget import Budget, BudgetAccount, Spending
from core.model.budget_question import BudgetSpentError
from core.model.errors import ConflictError, RefusedError, UsageError
from core.model.job import JobState
from core.model.lifecycle import State
from core.model.place import Place
from core.model.provenance import Provenance, Usage
from core.model.turn import Actor
from core.model.workflow import WorkflowStep
from core.ports.executor import ExecutorResult, WorkOrder
from core.queue.reconciler import Reconciler
from core.store.message_tables import NoteRow
from core.store.tables import JobRow
from tests import builders, campaign
from tests.builders import ANA, LEE, MAX
from tests.fakes.ports import FakeExecutor

pytestmark = [pytest.mark.queue, campaign.EITHER]

OPERATOR = Actor(None, "terminal", is_operator=True)
TURNS = 4
"""Turns that the work takes, of 1,000 tokens and a quarter of a dollar each."""


@dataclass(slots=True)
class Conversation(FakeExecutor):
    """Four turns with a model, each journaled; `asked` are the turns for which the model was really asked."""

    reads: bool = True
    deterministic: bool = False
    starts_again: bool = False
    asked: list[int] = field(default_factory=list)

    async def produce(self, order: WorkOrder, repository: Any) -> ExecutorResult:
        self.runs += 1
        done = 0 if self.starts_again else len(await order.journal.recall())
        for turn in range(done + 1, TURNS + 1):
            spent = Spending.of(await order.usage.spent())
            exceeded = BudgetAccount.of_work(order.lane.budget, spent).exceeded
            if exceeded is not None:
                message = f"The work in lane {order.lane.name} spent {exceeded.amounts}"
                raise BudgetSpentError(message, exceeded, starts_again=self.starts_again)
            self.asked.append(turn)
            await order.journal.add({"v": 1, "turn": turn})
            await order.usage.report(f"call-{self.runs}-{turn}", Usage("local/m", 1, 900, 100, 0.25))
        tree = repository.add({**repository.trees[order.start], f"config/{order.number}.{order.revision}": b"x"})
        return ExecutorResult(tree, {}, Provenance("ollama", "", await order.usage.spent()))


@pytest.fixture
def asking(harness):
    """A lane whose work takes 4,000 tokens and may spend 1,500."""
    harness.executor = Conversation()
    harness.configure(lanes={"config": builders.lane(budget=Budget(tokens=1500))})
    return harness


async def paused(harness: Any, words: str = "config/app.yaml = a: 1", **others: Any) -> int:
    number: int = await harness.ask(words, **others)
    await harness.drain()
    task = await harness.task(number)
    assert task.state is State.ASKING, task
    assert task.question.budget is not None
    return number


async def paused_jobs(harness: Any) -> list[str]:
    async def work(tx: Any) -> list[str]:
        return list(await tx.session.exec(select(JobRow.id).where(JobRow.state == JobState.PAUSED.value)))

    ids: list[str] = await harness.database.read(work)
    return ids


async def age_spending(harness: Any, hours: int) -> None:
    """Move everything that was spent into the past."""
    older = text("UPDATE spending SET at_ms = at_ms - :ms")
    await harness.database.write(lambda tx: tx.session.execute(older, {"ms": hours * 3_600_000}))
    due = text("UPDATE tasks SET nudge_ms = nudge_ms - :ms WHERE nudge_ms IS NOT NULL")
    await harness.database.write(lambda tx: tx.session.execute(due, {"ms": hours * 3_600_000}))


async def sweep(harness: Any) -> int:
    return await Reconciler(harness.database, lambda: harness.settings).sweep()


async def test_a_used_up_budget_asks_and_an_extension_continues_without_repeating_a_turn(asking):
    number = await paused(asking)
    task = await asking.task(number)
    asked = task.question.budget
    assert (asked.limit, asked.spent, asked.of, asked.offer, asked.n) == ("tokens", 2000, 1500, 1500, 1)
    assert task.question.text == "The work in lane config spent 2,000 of 1,500 tokens. Extend the budget?"
    assert asking.executor.asked == [1, 2]
    assert not await builders.active_jobs(asking.database, number)
    await asking.budgets.extend(number, LEE)  # 3,000 in all: one more turn
    await asking.drain()
    assert (await asking.task(number)).question.budget.n == 2
    await asking.budgets.extend(number, LEE, Spending(tokens=10_000))
    await asking.drain()
    task = await asking.task(number)
    assert task.state is State.STAGED
    assert asking.executor.asked == [1, 2, 3, 4]
    assert [(usage.calls, usage.tokens) for usage in task.current.provenance.usage] == [(4, 4000)]
    assert (task.question, task.error) == (None, None)
    assert (await asking.kinds(number)).count("task.extended") == 2


async def test_a_task_that_waits_for_a_budget_costs_a_row_and_no_worker(asking):
    number = await paused(asking)
    assert len(await paused_jobs(asking)) == 1
    runs = asking.executor.runs
    await asking.drain()
    await sweep(asking)
    assert (asking.executor.runs, await asking.state(number)) == (runs, State.ASKING)


async def test_of_two_clicks_at_once_one_extends(asking):
    number = await paused(asking)
    clicks = [asking.budgets.extend(number, person, question=1) for person in (LEE, MAX, LEE)]
    outcomes = await asyncio.gather(*clicks, return_exceptions=True)
    assert sum(isinstance(each, ConflictError) for each in outcomes) == 2
    assert (await asking.kinds(number)).count("task.extended") == 1


async def test_a_button_of_an_earlier_question_does_not_answer_the_next(asking):
    number = await paused(asking)
    await asking.budgets.extend(number, LEE, question=1)
    await asking.drain()
    with pytest.raises(ConflictError, match="answered already"):
        await asking.budgets.extend(number, LEE, question=1)
    assert await asking.state(number) is State.ASKING


async def test_an_extension_after_a_cancel_changes_nothing(asking):
    number = await paused(asking)
    await asking.requests.cancel(number, ANA)
    with pytest.raises(ConflictError, match="cancelled, so it cannot be given more budget"):
        await asking.budgets.extend(number, LEE)
    await asking.drain()
    assert (await asking.state(number), await paused_jobs(asking)) == (State.CANCELLED, [])


async def test_rejecting_the_budget_ends_the_revision_and_a_reply_begins_the_next(asking):
    number = await paused(asking)
    with pytest.raises(RefusedError):
        await asking.approvals.reject(number, "too dear", ANA)
    assert (await asking.approvals.reject(number, "too dear", LEE)).problem is None
    task = await asking.task(number)
    assert (task.state, task.error.code) == (State.REJECTED, "budget_rejected")
    assert task.error.message == f"lee gave #{number} no more tokens: too dear"
    assert await paused_jobs(asking) == []
    await asking.requests.reply(number, "config/b.yaml = b: 2", ANA)
    await asking.drain()
    assert asking.executor.asked == [1, 2, 1, 2]


@pytest.mark.parametrize(
    ("person", "self_approve", "may"),
    [(ANA, False, False), (ANA, True, False), (LEE, False, True), (OPERATOR, False, True)],
)
async def test_maintainers_and_approvers_may_extend_and_a_requester_may_not(asking, person, self_approve, may):
    asking.policy.terms = builders.terms(self_approve=self_approve)
    number = await paused(asking)
    if may:
        await asking.budgets.extend(number, person)
        return
    with pytest.raises(RefusedError, match=r"Ask lee, max\."):
        await asking.budgets.extend(number, person)


@pytest.mark.parametrize(("self_approve", "may"), [(False, False), (True, True)])
async def test_a_maintainer_extends_their_own_task_only_under_a_rule_with_self_approve(asking, self_approve, may):
    asking.policy.terms = builders.terms(self_approve=self_approve)
    number = await paused(asking, actor=LEE)
    if may:
        await asking.budgets.extend(number, LEE)
        return
    with pytest.raises(RefusedError, match="is one of its authors"):
        await asking.budgets.extend(number, LEE)


@pytest.mark.parametrize(
    ("by", "code"),
    [
        (Spending(calls=5), "other_limit"),
        (Spending(tokens=-1), "bad_amount"),
        (Spending(tokens=10**13), "bad_amount"),
        (Spending(tokens=5, usd=float("nan")), "bad_amount"),
        (Spending(tokens=5, usd=1.0), "no_such_limit"),
    ],
)
async def test_amounts_that_do_not_help_are_refused_in_a_sentence(asking, by, code):
    number = await paused(asking)
    with pytest.raises(UsageError) as caught:
        await asking.budgets.extend(number, LEE, by)
    assert caught.value.problem.code == code
    assert await asking.state(number) is State.ASKING


async def test_a_task_that_asks_something_else_is_not_extended(asking):
    number = await asking.ask("make it nicer")
    await asking.drain()
    with pytest.raises(ConflictError, match="asks something else"):
        await asking.budgets.extend(number, LEE)
    problem = (await asking.approvals.reject(number, "no", LEE)).problem
    assert problem is not None
    assert await asking.state(number) is State.ASKING


async def test_those_who_may_extend_are_told_where_the_task_is_shown(asking):
    place = Place("slack", "C1")
    people = builders.people()
    lee = people.by_name["lee"]
    named = {**people.by_name, "lee": type(lee)("lee", lee.roles, {"slack": "U-LEE"})}
    asking.configure(people=type(people)(named))
    number = await asking.ask(place=place)
    await asking.drain()

    async def work(tx: Any) -> list[NoteRow]:
        return list(await tx.session.exec(select(NoteRow).where(NoteRow.number == number)))

    (note,) = await asking.database.read(work)
    assert "spent 2,000 of 1,500 tokens. Extend the budget? lee, max may extend it." in note.text
    assert note.mentions == [["lee", "U-LEE"]]
    question = (await asking.document(number)).to_json()["question"]
    assert question["budget"]["from"] == ["lee", "max"]


async def test_a_program_that_cannot_continue_says_that_it_starts_again(asking):
    asking.executor = Conversation(starts_again=True)
    number = await paused(asking)
    assert "it starts again with the larger budget" in (await asking.task(number)).question.text
    await asking.budgets.extend(number, LEE, Spending(tokens=6000))
    await asking.drain()
    assert asking.executor.asked == [1, 2, 1, 2, 3, 4]
    assert await asking.state(number) is State.STAGED


async def test_a_used_up_day_asks_and_goes_on_by_itself_when_it_is_free_again(asking):
    asking.configure(lanes={"config": builders.lane(budget=Budget(day_tokens=3500))})
    first = await asking.ask("config/a.yaml = a: 1")
    await asking.drain()
    assert await asking.state(first) is State.STAGED
    number = await paused(asking, "config/b.yaml = b: 1")
    asked = (await asking.task(number)).question.budget
    assert (asked.is_day, asked.spent, asked.of) == (True, 4000, 3500)
    assert asked.free_at is not None
    await sweep(asking)
    assert await asking.state(number) is State.ASKING  # it is too early
    await age_spending(asking, 25)
    assert await sweep(asking) >= 1
    assert await asking.state(number) is State.QUEUED
    await asking.drain()
    assert await asking.state(number) is State.STAGED
    assert asking.executor.asked == [1, 2, 3, 4, 1, 2, 3, 4]


async def test_a_day_that_others_used_up_again_is_waited_for_again(asking):
    asking.configure(lanes={"config": builders.lane(budget=Budget(day_tokens=3500))})
    await asking.ask("config/a.yaml = a: 1")
    await asking.drain()
    number = await paused(asking, "config/b.yaml = b: 1")
    before = (await asking.document(number)).to_json()["question"]
    due = text("UPDATE tasks SET nudge_ms = 1 WHERE number = :number")
    await asking.database.write(lambda tx: tx.session.execute(due, {"number": number}))
    await sweep(asking)
    assert await asking.state(number) is State.ASKING
    assert (await asking.document(number)).to_json()["question"] == before


async def test_a_day_that_ends_in_the_middle_of_the_work_continues_after_an_extension(asking):
    asking.configure(lanes={"config": builders.lane(budget=Budget(tokens=9000, day_tokens=5000))})
    await asking.ask("config/a.yaml = a: 1")
    await asking.drain()
    number = await paused(asking, "config/b.yaml = b: 1")  # one turn fits into the day
    asked = (await asking.task(number)).question.budget
    assert (asked.is_day, asked.limit, asking.executor.asked) == (True, "tokens", [1, 2, 3, 4, 1])
    await asking.budgets.extend(number, LEE, Spending(tokens=1500))
    await asking.drain()
    assert asking.executor.asked == [1, 2, 3, 4, 1, 2, 3]
    await asking.budgets.extend(number, LEE)
    await asking.drain()
    assert asking.executor.asked == [1, 2, 3, 4, 1, 2, 3, 4]
    assert await asking.state(number) is State.STAGED


async def test_what_was_extended_before_an_approval_counts_after_it(asking):
    steps = (
        WorkflowStep("write", "edit", "write it"),
        WorkflowStep("look", "approval", "is it right?"),
        WorkflowStep("more", "edit", "write more"),
    )
    asking.configure(lanes={"config": builders.lane(steps=steps, budget=Budget(tokens=1500))})
    number = await paused(asking)
    await asking.budgets.extend(number, LEE, Spending(tokens=6500))  # 8,000: both parts
    await asking.drain()
    staged = (await asking.task(number)).staged
    assert (await asking.approvals.approve(number, staged.digest, LEE)).problem is None
    await asking.drain()
    task = await asking.task(number)
    assert (task.state, task.revision) == (State.STAGED, 2)
    assert asking.executor.asked == [1, 2, 3, 4] * 2


async def test_a_paused_task_expires_and_its_work_is_forgotten(asking):
    number = await paused(asking)
    over = text("UPDATE tasks SET expires_ms = 1 WHERE number = :number")
    await asking.database.write(lambda tx: tx.session.execute(over, {"number": number}))
    await sweep(asking)
    assert (await asking.state(number), await paused_jobs(asking)) == (State.EXPIRED, [])


async def test_a_share_that_is_used_up_names_what_the_whole_work_spent(asking):
    class Sharing(Conversation):
        """Its only part gets half of the budget."""

        async def produce(self, order: WorkOrder, repository: Any) -> ExecutorResult:
            half = replace(order.lane.budget, tokens=order.lane.budget.tokens // 2)
            return await Conversation.produce(self, replace(order, lane=replace(order.lane, budget=half)), repository)

    asking.executor = Sharing()
    asking.configure(lanes={"config": builders.lane(budget=Budget(tokens=4000))})
    number = await paused(asking)
    asked = (await asking.task(number)).question.text
    assert "spent 2,000 of 2,000 tokens, which is its share; the whole work spent 2,000 of 4,000. Extend" in asked
