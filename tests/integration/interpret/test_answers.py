"""Answers to a model's question: a button says a whole request, and what was staged before goes on."""

from __future__ import annotations

import pytest

from core.lifecycle import State
from tests.builders import ANA
from tests.fakes.scripted import ScriptedModel
from tests.integration.interpret.test_from_words_to_a_lane import PAGE, VAGUE

pytestmark = pytest.mark.lanes
OPTION = 'create docs/a.md with "x"'
QUESTION = {"reading": "unclear", "question": "Which page?", "options": [OPTION, "neither"]}


async def test_a_button_says_a_whole_request(bench):
    number = await bench.read(VAGUE, QUESTION)
    asked = len(bench.model.asks)
    await bench.service.reply(number, OPTION, ANA)
    await bench.drain()
    task = await bench.task(number)
    assert task.state is State.STAGED
    assert [file["path"] for file in task.staged.files] == ["docs/a.md"]
    assert len(bench.model.asks) == asked, "the grammar reads it"


async def test_an_answer_in_other_words_is_read_in_the_light_of_the_request(bench):
    number = await bench.read(VAGUE, QUESTION)
    bench.model = ScriptedModel([PAGE])
    await bench.service.reply(number, "the one about the server", ANA)
    await bench.drain()
    assert (await bench.task(number)).state is State.STAGED
    assert VAGUE in bench.model.told()


async def test_a_question_about_a_reply_does_not_lose_what_was_staged(bench):
    number = await bench.read(VAGUE, PAGE)
    bench.model = ScriptedModel([QUESTION])
    await bench.service.reply(number, "and something about the other thing", ANA)
    await bench.drain()
    assert await bench.state(number) is State.ASKING
    await bench.service.reply(number, OPTION, ANA)
    await bench.drain()
    task = await bench.task(number)
    assert [file["path"] for file in task.staged.files] == ["docs/a.md", "docs/timeout.md"]
