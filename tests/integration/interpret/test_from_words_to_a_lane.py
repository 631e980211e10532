"""From any wording to a lane: a model reads, policy decides, and what the model cannot know it may not choose."""

from __future__ import annotations

import pytest

from core.model.errors import TransientError
from core.model.lifecycle import State
from tests.builders import ANA, LEE, active_jobs
from tests.fakes.scripted import NAME, ScriptedModel, SilentModel

pytestmark = pytest.mark.lanes

VAGUE = "there ought to be a page about the timeout"
PAGE = {
    "reading": "edits",
    "lane": "docs",
    "edits": [{"kind": "create_file", "path": "docs/timeout.md", "content": "It is 30.\n"}],
}
WORK = {"reading": "work", "lane": "code"}


async def test_edits_that_a_model_reads_take_the_way_of_edits(harness):
    number = await harness.read(VAGUE, PAGE)
    task = await harness.task(number)
    assert task.state is State.STAGED
    assert (task.current.lane, task.current.intent.read_by) == ("docs", NAME)
    assert [file["path"] for file in task.staged.files] == ["docs/timeout.md"]
    assert task.title == 'create docs/timeout.md with "It is 30."'


async def test_what_the_grammar_reads_names_no_model(harness):
    number = await harness.read('create docs/x.md with "hello"', "rubbish")
    task = await harness.task(number)
    assert task.state is State.STAGED
    assert task.current.intent.read_by == ""
    assert harness.model.asks == []


async def test_work_goes_to_the_lane_that_takes_any_wording(harness):
    task = await harness.task(await harness.read(VAGUE, WORK))
    assert (task.state, task.current.lane) == (State.STAGED, "code")
    assert task.current.intent.text == VAGUE


async def test_a_lane_of_others_is_neither_shown_nor_taken(harness):
    task = await harness.task(await harness.read(VAGUE, {**WORK, "lane": "deploy"}))
    assert task.current.lane == "code"
    assert '"lane": "deploy"' not in harness.model.told()
    mine = await harness.task(await harness.read(VAGUE, {**WORK, "lane": "deploy"}, actor=LEE))
    assert '"lane": "deploy"' in harness.model.told()
    assert mine.current.lane == "deploy"


async def test_edits_outside_every_lane_are_refused_by_policy(harness):
    edit = {"kind": "create_file", "path": ".github/workflows/x.yml", "content": "on: push\n"}
    task = await harness.task(await harness.read(VAGUE, {"reading": "edits", "lane": "docs", "edits": [edit]}))
    assert task.state is State.REFUSED
    assert "may not be changed in any lane" in task.error.message


async def test_a_doubt_is_one_question_with_the_answers_to_press(harness):
    answer = {"reading": "unclear", "question": "Which page?", "options": ['create docs/a.md with "x"', "neither"]}
    number = await harness.read(VAGUE, answer)
    task = await harness.task(number)
    assert task.state is State.ASKING
    assert task.question.text == f"{NAME} asks: “Which page?”"
    assert task.question.options == ('create docs/a.md with "x"', "neither")
    assert task.question.about == "request"


async def test_a_doubt_about_lanes_asks_for_the_lane_and_the_answer_is_not_read_again(harness):
    answer = {"reading": "unclear", "question": "Where?", "options": ["code", "docs"]}
    number = await harness.read(VAGUE, answer)
    assert (await harness.task(number)).question.about == "lane"
    asked = len(harness.model.asks)
    await harness.requests.reply(number, "code", ANA)
    await harness.drain()
    task = await harness.task(number)
    assert (task.state, task.current.lane) == (State.STAGED, "code")
    assert len(harness.model.asks) == asked


async def test_two_bad_answers_leave_the_choice_to_the_person(harness):
    number = await harness.read(VAGUE, "Sure!")
    task = await harness.task(number)
    assert (task.question.about, task.question.options) == ("lane", ("code",))
    assert task.question.text.endswith("Which lane should do it?")
    assert len(harness.model.asks) == 2


async def test_without_a_model_in_time_the_lane_that_reads_takes_it(harness):
    harness.model, harness.patience_s = SilentModel(), 0.02
    number = await harness.ask(VAGUE)
    await harness.drain()
    task = await harness.task(number)
    assert (task.state, task.current.lane, task.current.intent.read_by) == (State.STAGED, "code", "")


async def test_the_repository_is_asked_for_before_the_model(harness):
    web = harness.settings.repositories["web"]
    harness.configure(repositories={"web": web, "site": web})
    number = await harness.read(VAGUE, WORK)
    task = await harness.task(number)
    assert task.question.about == "repository"
    assert harness.model.asks == []
    await harness.requests.reply(number, "web", ANA)
    await harness.drain()
    task = await harness.task(number)
    assert (task.state, task.current.lane, task.current.intent.read_by) == (State.STAGED, "code", NAME)
    assert len(harness.model.asks) == 1


async def test_what_was_read_is_not_asked_for_again_by_the_next_worker(harness):
    died: list[str] = []

    def die(point):
        if point == "plan.before_planned" and not died:
            died.append(point)
            raise TransientError("gone", "the worker died here", retry_after_s=0.01)

    harness.milestones.at = die
    harness.model = ScriptedModel(["first no JSON", PAGE])
    number = await harness.ask(VAGUE)
    assert await harness.work_until(number, State.STAGED) is State.STAGED
    assert died
    assert len(harness.model.asks) == 2
    assert await active_jobs(harness.database, number) == []


async def test_a_reply_is_read_in_the_light_of_what_was_said(harness):
    number = await harness.read(VAGUE, PAGE)
    harness.model = ScriptedModel([WORK])
    await harness.requests.reply(number, "a little longer, please", ANA)
    await harness.drain()
    assert VAGUE in harness.model.asks[0].messages[1].text
    assert (await harness.task(number)).revision == 2


async def test_a_reply_may_speak_of_a_file_that_the_revision_before_made(harness):
    number = await harness.read(VAGUE, PAGE)
    again = {"kind": "create_file", "path": "docs/more.md", "content": "More.\n"}
    line = {"kind": "add_line", "path": "docs/timeout.md", "line": "It was 10."}
    harness.model = ScriptedModel([{"reading": "edits", "edits": [again, line]}])
    await harness.requests.reply(number, "also say what it was before, and that there is more", ANA)
    await harness.drain()
    assert '"docs/timeout.md"' in harness.model.asks[0].messages[1].text
    assert len(harness.model.asks) == 1
    assert (await harness.task(number)).state is State.STAGED


async def test_two_turns_of_one_revision_are_both_read_and_the_model_is_named(harness):
    harness.model = ScriptedModel([PAGE])
    number = await harness.ask(VAGUE)
    await harness.requests.reply(number, 'create docs/x.md with "hello"', ANA)
    await harness.drain()
    task = await harness.task(number)
    assert [edit.path for edit in task.current.intent.edits] == ["docs/timeout.md", "docs/x.md"]
    assert task.current.intent.read_by == NAME
    assert len(harness.model.asks) == 1


async def test_the_task_document_is_whole_while_it_asks(harness):
    number = await harness.read(VAGUE, "Sure!")
    document = (await harness.document(number)).to_json()
    assert document["question"]["options"] == ["code"]
    assert document["state"] == "asking"
