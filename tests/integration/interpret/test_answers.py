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


async def test_a_button_says_a_whole_request(harness):
    number = await harness.read(VAGUE, QUESTION)
    asked = len(harness.model.asks)
    await harness.requests.reply(number, OPTION, ANA)
    await harness.drain()
    task = await harness.task(number)
    assert task.state is State.STAGED
    assert [file["path"] for file in task.staged.files] == ["docs/a.md"]
    assert len(harness.model.asks) == asked, "the grammar reads it"


async def test_an_answer_in_other_words_is_read_in_the_light_of_the_request(harness):
    number = await harness.read(VAGUE, QUESTION)
    harness.model = ScriptedModel([PAGE])
    await harness.requests.reply(number, "the one about the server", ANA)
    await harness.drain()
    assert (await harness.task(number)).state is State.STAGED
    assert VAGUE in harness.model.told()


async def test_a_question_about_a_reply_does_not_lose_what_was_staged(harness):
    number = await harness.read(VAGUE, PAGE)
    harness.model = ScriptedModel([QUESTION])
    await harness.requests.reply(number, "and something about the other thing", ANA)
    await harness.drain()
    assert await harness.state(number) is State.ASKING
    await harness.requests.reply(number, OPTION, ANA)
    await harness.drain()
    task = await harness.task(number)
    assert [file["path"] for file in task.staged.files] == ["docs/a.md", "docs/timeout.md"]


async def test_a_question_and_its_answer_are_part_of_what_is_said_later(harness):
    number = await harness.read(VAGUE, QUESTION)
    await harness.requests.reply(number, OPTION, ANA)
    await harness.drain()
    harness.model = ScriptedModel([PAGE])
    await harness.requests.reply(number, "and now as we said", ANA)
    await harness.drain()
    told = harness.model.told()
    places = [
        told.index(words) for words in (VAGUE, "Which page?", "to press: create docs/a.md", '"and now as we said"')
    ]
    assert places == sorted(places)


async def test_an_executor_is_told_what_was_asked_and_what_was_answered(harness):
    number = await harness.read(VAGUE, QUESTION)
    harness.model = ScriptedModel([WORK])
    await harness.requests.reply(number, "the one about the server", ANA)
    await harness.drain()
    assert [turn.text for turn in harness.writing.orders[-1].turns] == [
        VAGUE,
        f"{NAME} asks: “Which page?” (to press: {OPTION} | neither)",
        "the one about the server",
    ]


async def test_a_long_talk_is_kept_whole_whatever_a_reading_was_shown(harness):
    first = f"{VAGUE}: {'well, ' * 3000}"
    number = await harness.read(first, PAGE)
    harness.model = ScriptedModel(["They want a page.", WORK])
    await harness.requests.reply(number, "a little longer, please", ANA)
    await harness.drain()
    assert "They want a page." in harness.model.told()
    assert len(harness.model.asks[-1].messages[1].text) < 8_000
    said = (await harness.document(number)).to_json()["turns"]
    assert [turn["text"] for turn in said] == [first.strip(), "a little longer, please"]
