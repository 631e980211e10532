"""People whose words were shown to the maker of a tree are authors of it (guard 3 and 17, security.md 147)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from core.model.errors import ConflictError
from core.model.intent import Intent, Unclear
from core.model.lifecycle import State
from core.model.task import Basis
from core.model.turn import Actor, Turn
from core.ports.interpretation import InterpretationContext
from core.store import events, tasks
from core.store.tables import RevisionRow
from tests import campaign
from tests.builders import ANA, BO, LEE, MAX, part_selection, put_staged, put_task, terms
from tests.worker_harness import WorkerHarness

pytestmark = [pytest.mark.law, campaign.EITHER]

ASK = "config/app.yaml = a: 1"


@dataclass
class ReadingInterpreter:
    """What a model does: it is given the whole talk, and answers as though it had read all of it."""

    inner: Any
    given: list[tuple[str, ...]] = field(default_factory=list)
    asks: str = ""

    async def interpret(self, turns: Sequence[Turn], scene: InterpretationContext) -> Intent | Unclear:
        self.given.append(tuple(turn.person for turn in turns))
        if self.asks:
            question, self.asks = self.asks, ""
            return Unclear(question, options=(ASK,), read_by="a-model")
        read = await self.inner.interpret([turns[-1]], scene)
        if isinstance(read, Unclear):
            read = await self.inner.interpret([turns[0]], scene)
        assert isinstance(read, Intent)
        return Intent(turns[-1].text, read.edits, read_by="a-model")


@pytest.fixture
def reading(harness):
    """A bench whose executor takes any wording, so that it is given the whole talk; what it was given is kept."""
    harness.executor.reads = True
    harness.given = []
    harness.executor.before = lambda order: harness.given.append(tuple(turn.person for turn in order.turns))
    return harness


async def may_approve(harness, number: int, actor: Actor) -> str:
    """Approve what is staged; the code of the refusal, or nothing."""
    staged = (await harness.task(number)).staged
    assert staged is not None
    answer = await harness.approvals.approve(number, staged.digest, actor)
    return answer.problem.code if answer.problem else ""


async def laundered(harness: WorkerHarness, again: str) -> int:
    """Lee replies, rejects his own revision, and ana asks again; revision 3 is staged."""
    number, _ = await harness.stage(ASK)
    await harness.requests.reply(number, "config/app.yaml = lee: 1", LEE)
    await harness.drain()
    assert (await harness.approvals.reject(number, "", LEE)).problem is None
    await harness.requests.reply(number, again, ANA)
    await harness.drain()
    assert await harness.state(number) is State.STAGED
    return number


async def test_guard_03_who_was_heard_by_the_executor_may_not_approve(reading):
    number = await laundered(reading, ASK.replace("1", "3"))
    assert "lee" in reading.given[-1]
    task = await reading.task(number)
    assert task.authors == {"ana", "lee"}
    assert await may_approve(reading, number, LEE) == "may_not_approve"
    assert await may_approve(reading, number, MAX) == ""


async def test_guard_03_an_executor_that_reads_nothing_is_told_nothing_and_makes_nobody_an_author(harness):
    given = []
    harness.executor.before = lambda order: given.append(tuple(turn.person for turn in order.turns))
    number = await laundered(harness, ASK.replace("1", "3"))
    assert given[-1] == ("ana",)
    assert (await harness.task(number)).authors == {"ana"}
    assert await may_approve(harness, number, LEE) == ""


async def test_guard_03_who_was_heard_by_the_interpreter_may_not_approve(harness):
    reader = ReadingInterpreter(harness.interpreter)
    harness.interpreter = reader
    number = await laundered(harness, "please do it once more")
    assert "lee" in reader.given[-1]
    assert (await harness.task(number)).authors == {"ana", "lee"}
    assert await may_approve(harness, number, LEE) == "may_not_approve"


async def test_guard_03_who_was_heard_when_a_question_was_made_is_an_author_of_the_answer(harness):
    """The model's question holds lee's words as an option; ana only presses it."""
    reader = ReadingInterpreter(harness.interpreter)
    harness.interpreter = reader
    number, _ = await harness.stage(ASK)
    await harness.requests.reply(number, "config/app.yaml = lee: 1", LEE)
    await harness.drain()
    await harness.approvals.reject(number, "", LEE)
    reader.asks = "Is it this?"
    await harness.requests.reply(number, "well, you know", ANA)
    await harness.drain()
    assert await harness.state(number) is State.ASKING
    harness.interpreter = reader.inner
    await harness.requests.reply(number, ASK.replace("1", "4"), ANA)
    await harness.drain()
    assert await may_approve(harness, number, LEE) == "may_not_approve"


async def test_guard_03_starting_over_leaves_the_earlier_words_behind(reading):
    """Then nothing of them is shown to the maker, and lee may approve."""
    number = await laundered(reading, f"start over {ASK}")
    assert reading.given[-1] == ("ana",)
    assert await may_approve(reading, number, LEE) == ""


async def test_guard_03_after_starting_over_new_words_count_again(reading):
    number = await laundered(reading, f"start over {ASK}")
    await reading.requests.reply(number, ASK.replace("1", "5"), LEE)
    await reading.drain()
    assert reading.given[-1] == ("ana", "lee")
    assert await may_approve(reading, number, LEE) == "may_not_approve"
    assert await may_approve(reading, number, MAX) == ""


async def test_guard_03_authors_are_in_the_events_and_in_the_receipt(reading):
    number = await laundered(reading, ASK.replace("1", "3"))
    chain = await reading.database.read(lambda tx: events.chain_of(tx, number))
    staged = [json.loads(event.body) for event in chain if event.kind == "task.staged"]
    assert staged[-1]["authors"] == ["ana", "lee"]


async def test_guard_03_a_reply_on_what_stands_carries_its_authors(reading):
    number, _ = await reading.stage(ASK)
    await reading.requests.reply(number, "config/b.yaml = b: 1", MAX)
    await reading.drain()
    await reading.requests.reply(number, "config/c.yaml = c: 1", ANA)
    await reading.drain()
    assert await may_approve(reading, number, MAX) == "may_not_approve"
    assert await may_approve(reading, number, LEE) == ""


async def test_guard_03_an_undo_has_the_authors_of_what_it_takes_back(harness):
    """Taking back what took back lee's words would bring them in again, countersigned by lee."""
    number, _ = await harness.stage(ASK)
    await harness.requests.reply(number, "config/b.yaml = b: 1", LEE)
    await harness.drain()
    assert await may_approve(harness, number, MAX) == ""
    await harness.drain()
    await harness.requests.merge(number, Actor(None, "terminal"))
    await harness.drain()
    assert await harness.state(number) is State.MERGED
    harness.repository.main = await _merged_head(harness, number)
    undo = await harness.requests.undo(number, BO)
    await harness.drain()
    task = await harness.task(undo)
    assert task.state is State.STAGED, task.error
    assert task.authors == {"ana", "bo", "lee"}
    assert await may_approve(harness, undo, LEE) == "may_not_approve"
    assert await may_approve(harness, undo, MAX) == ""


async def _merged_head(harness: WorkerHarness, number: int) -> str:
    opened = (await harness.task(number)).pull_request
    assert opened is not None
    return opened.head


async def test_guard_03_what_an_older_version_staged_has_everybody_who_spoke_as_authors(harness):
    number, _ = await harness.stage(ASK)
    await harness.requests.reply(number, "config/b.yaml = b: 1", LEE)
    await harness.requests.reply(number, f"instead {ASK}", ANA)
    await harness.drain()
    assert (await harness.task(number)).authors == {"ana"}

    async def work(tx):
        row = await tx.session.get(RevisionRow, (number, 3))
        row.basis = {key: value for key, value in row.basis.items() if key != "since"}
        tx.session.add(row)

    await harness.database.write(work)
    assert (await harness.task(number)).authors == {"ana", "lee"}
    assert await may_approve(harness, number, LEE), "an event of today's version names ana alone, so this is told too"


async def test_guard_03_the_rest_of_a_workflow_has_the_authors_of_its_first_part(services):
    number, digest = await put_staged(services.database)

    async def work(tx):
        basis = Basis((1,), authors=("bo",), since=1)
        changes = {"basis": basis.to_json(), "making": {"awaits": "look"}}
        await tasks.save_revision(tx, number, 1, changes)

    await services.database.write(work)
    assert (await services.approvals.approve(number, digest, LEE)).problem is None
    task = await services.task(number)
    assert (task.revision, task.current.basis.passed, task.current.basis.continue_from) == (2, "look", 1)
    assert task.authors == {"ana", "bo"}


async def test_guard_03_who_set_a_parameter_stays_an_author_while_it_holds(services):
    number = await put_task(services.database, State.ASKING, columns=ASKS_FOR_A_PARAMETER)
    await services.requests.reply(number, "1.2.3", LEE)
    await let_it_fail(services, number)
    for text in ("set a to 2", "start over: set a to 3"):
        await services.requests.reply(number, text, ANA)
        assert "lee" in (await services.task(number)).authors, text
        await let_it_fail(services, number)


ASKS_FOR_A_PARAMETER = {
    "question": {"about": "parameter version", "text": "Which version?", "options": []},
    "asked_lane": "config",
}


async def let_it_fail(services, number: int) -> None:
    async def work(tx):
        await tasks.save(tx, await tasks.load(tx, number), {"state": State.FAILED.value, "question": None})

    await services.database.write(work)


# ---- picking (guard 17)


async def test_guard_17_who_picks_is_an_author_of_what_is_left(harness):
    number, digest = await harness.stage(ASK)
    await harness.requests.pick(number, part_selection(digest), LEE)
    await harness.drain()
    task = await harness.task(number)
    assert task.state is State.STAGED, task.error
    assert task.authors == {"ana", "lee"}
    assert [(part.person, part.revision, part.kept, part.total) for part in task.current.basis.picked] == [
        ("lee", 1, 1, 2)
    ]
    assert await may_approve(harness, number, LEE) == "may_not_approve"
    assert await may_approve(harness, number, MAX) == ""


async def test_guard_17_a_rule_that_lets_people_approve_their_own_lets_the_picker(harness):
    harness.policy.terms = terms(self_approve=True)
    number, digest = await harness.stage(ASK)
    await harness.requests.pick(number, part_selection(digest), LEE)
    await harness.drain()
    assert await may_approve(harness, number, LEE) == ""


async def test_parts_of_another_diff_change_nothing_even_if_it_came_between(harness):
    number, digest = await harness.stage(ASK)
    with pytest.raises(ConflictError, match="not the current diff"):
        await harness.requests.pick(number, part_selection("f" * 64), LEE)
    task = await harness.task(number)
    assert (task.revision, task.staged.digest, task.current.basis.picked) == (1, digest, ())
