"""What a change says of who made it and what it cost, over all revisions that it holds (lanes.md 2, 3 and 13)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.model.budget import Budget
from core.model.errors import TransientError
from core.model.lifecycle import State
from core.model.provenance import Provenance, Usage
from core.model.workflow import WorkflowStep
from core.ports.executor import ExecutorResult, WorkOrder
from core.queue.settlement import MOST_JITTER_S
from core.rules import receipt
from core.store import artifacts
from tests import builders, campaign
from tests.builders import ANA, LEE
from tests.fakes.ports import FakeExecutor

pytestmark = [pytest.mark.queue, campaign.EITHER]

STEPS = (
    WorkflowStep("write", "edit", "write it"),
    WorkflowStep("look", "approval", "is it right?"),
    WorkflowStep("more", "edit", "write more"),
)


REFUSED = """\
the model finished without changing a file; its last edit was refused (.env may not be changed in any lane). \
It said: "All done\""""


@dataclass(slots=True)
class Spender(FakeExecutor):
    """An executor that asks a model: 1,000 tokens and what `makings` say; `budgets` is what it was given."""

    reads: bool = True
    deterministic: bool = False
    makings: list[Provenance] = field(default_factory=list)
    budgets: list[Budget] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)

    async def produce(self, order: WorkOrder, repository: Any) -> ExecutorResult:
        self.runs += 1
        self.budgets.append(order.lane.budget)
        usage = Usage("local/m", 1, 900, 100, 0.25)
        await order.usage.report(f"call-{self.runs}", usage)
        making = self.makings.pop(0) if self.makings else Provenance("ollama", f"part {self.runs}", (usage,))
        path = order.lane.steps[0].name if order.lane.steps else f"file-{self.runs}"
        tree = repository.add({**repository.trees[order.start], f"config/{path}-{order.revision}": b"x"})
        return ExecutorResult(tree, {}, making)


@pytest.fixture
def spending(harness):
    harness.executor = Spender()
    lane = builders.lane(steps=STEPS, budget=Budget(tokens=2500))
    harness.configure(lanes={"config": lane})
    return harness


async def approve(harness: Any, number: int) -> None:
    staged = (await harness.task(number)).staged
    assert (await harness.approvals.approve(number, staged.digest, LEE)).problem is None
    await harness.drain()


async def document(harness: Any, number: int) -> dict[str, Any]:
    found: dict[str, Any] = (await harness.document(number)).to_json()
    return found


async def test_lanes_03_what_models_spent_is_summed_over_an_approval_between_steps(spending):
    number, _ = await spending.stage()
    await approve(spending, number)
    task = await spending.task(number)
    assert (task.state, task.revision, task.current.basis.passed) == (State.STAGED, 2, "look")
    (usage,) = task.current.provenance.usage
    assert (usage.calls, usage.tokens, usage.usd) == (2, 2000, 0.5)


async def test_lanes_03_a_part_by_rule_does_not_hide_that_a_model_made_the_other(spending):
    first = Provenance("workflow", "I did it", (Usage("local/m", 3, 10, 5),))
    spending.executor.makings = [first, Provenance("workflow")]
    number, _ = await spending.stage()
    await approve(spending, number)
    said = await document(spending, number)
    assert said["making"]["usage"][0]["calls"] == 3
    assert said["model"] == {"name": "local/m", "words": "I did it"}
    assert said["making"]["awaits"] == ""


async def test_lanes_03_the_receipt_says_who_made_the_bytes(spending):
    number, _ = await spending.stage()
    await approve(spending, number)
    await approve(spending, number)
    kept = {a.name: a for a in await spending.database.read(lambda tx: artifacts.of_task(tx, number))}
    said = receipt.read(spending.keys, await spending.files.read(kept["receipt.json"].sha256))
    assert said["making"]["executor"] == "ollama"
    assert [(used["model"], used["calls"]) for used in said["making"]["usage"]] == [("local/m", 2)]


async def test_lanes_03_a_reply_on_top_and_a_pick_keep_who_made_the_rest(spending):
    spending.configure(lanes={"config": builders.lane()})
    number, _ = await spending.stage()
    spending.executor.makings = [Provenance("edit")]
    await spending.requests.reply(number, "config/b.yaml = b: 2", ANA)
    await spending.drain()
    current = (await spending.task(number)).current
    making, digest = current.provenance, current.staged.digest
    assert (making.executor, making.usage[0].calls) == ("ollama, edit", 1)
    assert making.words == "part 1"
    await spending.requests.pick(number, builders.part_selection(digest), ANA)
    await spending.drain()
    assert (await spending.task(number)).current.provenance.usage[0].calls == 2


async def test_lanes_03_starting_over_forgets_who_made_what_is_thrown_away(spending):
    spending.configure(lanes={"config": builders.lane()})
    number, _ = await spending.stage()
    await spending.requests.reply(number, "instead config/b.yaml = b: 2", ANA)
    await spending.drain()
    assert (await spending.task(number)).current.provenance.usage[0].calls == 1


async def test_lanes_03_the_pot_does_not_restart_behind_an_approval(spending):
    number, _ = await spending.stage()
    await approve(spending, number)
    assert [budget.tokens for budget in spending.executor.budgets] == [2500, 1500]


async def test_lanes_03_a_pot_that_is_spent_pauses_the_work_behind_the_approval(spending):
    lane = builders.lane(steps=STEPS, budget=Budget(tokens=600))
    spending.configure(lanes={"config": lane})
    number, _ = await spending.stage()
    await approve(spending, number)
    task = await spending.task(number)
    assert (task.state, task.error.code) == (State.ASKING, "budget_spent")
    assert task.error.message == "Lane config spent 1,000 of 600 tokens before the approval look"
    assert spending.executor.runs == 1


async def test_lanes_03_a_pick_before_the_approval_does_not_fill_the_pot_again(spending):
    number, digest = await spending.stage()
    await spending.requests.pick(number, builders.part_selection(digest), ANA)
    await spending.drain()
    await approve(spending, number)
    assert spending.executor.budgets[-1].tokens <= 1500


async def test_lanes_13_a_spent_day_says_how_much_and_when_it_is_free_again(spending):
    spending.configure(lanes={"config": builders.lane(budget=Budget(day_tokens=500))})
    await spending.stage()
    number = await spending.ask("config/c = 1")
    await spending.drain()
    task = await spending.task(number)
    assert (task.state, task.error.code) == (State.ASKING, "budget_spent")
    at = f"{datetime.fromisoformat(task.question.budget.free_at):%H:%M}"
    assert task.question.text == (
        "Lane config used 1,000 of 500 tokens in 24 hours. Extend the budget? "
        f"Without an answer it goes on at {at} UTC, when the lane has budget again."
    )


async def test_lanes_13_what_is_taken_back_costs_nothing_and_is_done_on_a_spent_day(spending):
    spending.configure(lanes={"config": builders.lane(budget=Budget(day_tokens=2000))})
    number = await spending.publish()
    await spending.requests.merge(number, LEE)
    await spending.drain()
    spending.configure(lanes={"config": builders.lane(budget=Budget(day_tokens=500))})
    undo = await spending.requests.undo(number, ANA)
    await spending.drain()
    assert (await spending.task(undo)).state is State.STAGED


async def test_lanes_05_a_task_that_waits_says_why_and_until_when(harness):
    def busy(_order: WorkOrder) -> None:
        raise TransientError("model_busy", "local/m is busy (503)", retry_after_s=600)

    harness.executor.before = busy
    number = await harness.ask()
    await harness.drain()
    place = (await document(harness, number))["queue"]
    assert place["problem"] == "local/m is busy (503)"
    left = datetime.fromisoformat(place["next_try_at"]) - datetime.now(UTC)
    assert timedelta(seconds=300) < left <= timedelta(seconds=600 + MOST_JITTER_S)


@pytest.mark.parametrize(
    ("making", "reads", "message"),
    [
        (
            Provenance("ollama", 'All "done".', (Usage("local/m", 1, 1, 1),)),
            True,
            "the model finished without changing a file. It said: \"All 'done'.\"",
        ),
        (
            Provenance(
                "ollama", "All done", (Usage("local/m", 1, 1, 1),), refused=".env may not be changed in any lane"
            ),
            True,
            REFUSED,
        ),
        (Provenance("codex", "All done"), True, 'codex finished without changing a file. It said: "All done"'),
        (Provenance("codex"), True, "codex finished without changing a file"),
        (Provenance("command"), False, "the command of lane config finished without changing a file"),
        (Provenance(), False, "nothing to change for #1: the files already are as asked"),
    ],
)
async def test_lanes_02_only_an_edit_by_rule_proves_that_nothing_is_to_change(harness, making, reads, message):
    class Nothing(FakeExecutor):
        async def produce(self, order: WorkOrder, repository: Any) -> ExecutorResult:
            return ExecutorResult(order.start, {}, making)

    name = making.executor or "edit"
    harness.executor = Nothing(name, reads, deterministic=name == "edit")
    harness.configure(lanes={"config": builders.lane(executor=name)})
    harness.executors[name] = harness.executor
    number = await harness.ask()
    await harness.drain()
    task = await harness.task(number)
    assert (task.state, task.error.code, task.error.message) == (State.FAILED, "no_change", message)
    assert ("Which file" in task.error.mend) is reads


async def test_lanes_02_steps_with_a_model_prove_nothing_either(harness):
    class Nothing(FakeExecutor):
        async def produce(self, order: WorkOrder, repository: Any) -> ExecutorResult:
            return ExecutorResult(order.start, {}, Provenance("workflow", "Fine.", (Usage("local/m", 1, 1, 1),)))

    harness.executors |= {
        "workflow": Nothing("workflow"),
        "ollama": FakeExecutor("ollama", reads=True, deterministic=False),
    }
    steps = (WorkflowStep("a", "edit", "x"), WorkflowStep("b", "ollama", "y"))
    harness.configure(lanes={"config": builders.lane(executor="workflow", steps=steps)})
    number = await harness.ask()
    await harness.drain()
    error = (await harness.task(number)).error
    assert error.message == 'the steps of lane config finished without changing a file. The model said: "Fine."'
    harness.configure(lanes={"config": builders.lane(executor="workflow", steps=(replace(steps[0]),))})
    number = await harness.ask()
    await harness.drain()
    assert (await harness.task(number)).error.message.endswith("the files already are as asked")
