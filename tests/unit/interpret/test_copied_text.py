"""Text that people copy from our own messages: the characters that we put in are taken out again (chat.md 11)."""

from __future__ import annotations

from bot.interpret import GrammarInterpreter
from bot.interpret.model_interpreter import ModelInterpreter
from core.model.edits import SetKey
from core.model.intent import Intent
from tests.fakes.scripted import ScriptedModel
from tests.unit.interpret.contexts import WORK, context, turns

COPIED = "set server.\u2060timeout to 30 in config/app\u2060.yaml"


async def test_a_copied_title_is_read_as_it_looks():
    assert await GrammarInterpreter().interpret(turns(COPIED), context()) == Intent(
        "set server.timeout to 30 in config/app.yaml", (SetKey("config/app.yaml", "server.timeout", "30"),)
    )


async def test_a_model_is_asked_about_what_people_see():
    model = ScriptedModel([WORK])
    read = await ModelInterpreter(model).interpret(turns("make config/app\u2060.yaml nicer"), context())
    assert isinstance(read, Intent)
    assert "make config/app.yaml nicer" in model.asks[0].messages[-1].text
