"""Answers to a model's question: a button says a whole request, and what was staged before goes on."""

from __future__ import annotations

import pytest

from core.model.lifecycle import State
from tests.builders import ANA
from tests.fakes.scripted import NAME, ScriptedModel
from tests.integration.interpret.test_from_words_to_a_lane import PAGE, VAGUE, WORK

pytestmark = pytest.mark.lanes
OPTION = 'create docs/a.md with "x"'
QUESTION = {"reading": "unclear", "question": "Which page?", "options": [OPTION, "neither"]}


async def test_a_button_says_a_whole_request(bench):
    number = await bench.read(VAGUE, QUESTION)
    asked = len(bench.model.asks)
    await bench.requests.reply(number, OPTION, ANA)
    await bench.drain()
    task = await bench.task(number)
    assert task.state is State.STAGED
    assert [file["path"] for file in task.staged.files] == ["docs/a.md"]
    assert len(bench.model.asks) == asked, "the grammar reads it"


async def test_an_answer_in_other_words_is_read_in_the_light_of_the_request(bench):
    number = await bench.read(VAGUE, QUESTION)
    bench.model = ScriptedModel([PAGE])
    await bench.requests.reply(number, "the one about the server", ANA)
    await bench.drain()
    assert (await bench.task(number)).state is State.STAGED
    assert VAGUE in bench.model.told()


async def test_a_question_about_a_reply_does_not_lose_what_was_staged(bench):
    number = await bench.read(VAGUE, PAGE)
    bench.model = ScriptedModel([QUESTION])
    await bench.requests.reply(number, "and something about the other thing", ANA)
    await bench.drain()
    assert await bench.state(number) is State.ASKING
    await bench.requests.reply(number, OPTION, ANA)
    await bench.drain()
    task = await bench.task(number)
    assert [file["path"] for file in task.staged.files] == ["docs/a.md", "docs/timeout.md"]


async def test_a_question_and_its_answer_are_part_of_what_is_said_later(bench):
    number = await bench.read(VAGUE, QUESTION)
    await bench.requests.reply(number, OPTION, ANA)
    await bench.drain()
    bench.model = ScriptedModel([PAGE])
    await bench.requests.reply(number, "and now as we said", ANA)
    await bench.drain()
    told = bench.model.told()
    places = [
        told.index(words) for words in (VAGUE, "Which page?", "to press: create docs/a.md", '"and now as we said"')
    ]
    assert places == sorted(places)


async def test_an_executor_is_told_what_was_asked_and_what_was_answered(bench):
    number = await bench.read(VAGUE, QUESTION)
    bench.model = ScriptedModel([WORK])
    await bench.requests.reply(number, "the one about the server", ANA)
    await bench.drain()
    assert [turn.text for turn in bench.writing.orders[-1].turns] == [
        VAGUE,
        f"{NAME} asks: “Which page?” (to press: {OPTION} | neither)",
        "the one about the server",
    ]


async def test_a_long_talk_is_kept_whole_whatever_a_reading_was_shown(bench):
    first = f"{VAGUE}: {'well, ' * 3000}"
    number = await bench.read(first, PAGE)
    bench.model = ScriptedModel(["They want a page.", WORK])
    await bench.requests.reply(number, "a little longer, please", ANA)
    await bench.drain()
    assert "They want a page." in bench.model.told()
    assert len(bench.model.asks[-1].messages[1].text) < 8_000
    said = (await bench.document(number)).to_json()["turns"]
    assert [turn["text"] for turn in said] == [first.strip(), "a little longer, please"]
