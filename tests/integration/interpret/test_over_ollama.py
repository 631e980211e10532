"""Reading over an Ollama that is asked for real: the schema, the name of who read, and every way of not answering."""

from __future__ import annotations

import json

import pytest

from bot.interpret.model_interpreter import ModelInterpreter
from core.model.edits import SetKey
from core.model.intent import Intent, Unclear
from lanes.models import Endpoint
from lanes.models.registry import ModelRegistry
from tests.fakes.admission import MemoryAdmission
from tests.fakes.ollama import MODEL, Babble, Busy, Hang, OllamaShim, Reset, Say, Script
from tests.unit.interpret import contexts
from tests.unit.interpret.contexts import VAGUE, context, set_timeout, turns

pytestmark = pytest.mark.lanes


def reader(shim: OllamaShim, patience_s: float = 60) -> ModelInterpreter:
    endpoint = Endpoint("local", "ollama", shim.url, first_token_s=60, between_tokens_s=60, total_s=120)
    return ModelInterpreter(
        ModelRegistry({"local": endpoint}, MemoryAdmission()).model_for([f"local/{MODEL}"]), patience_s
    )


async def test_a_request_is_read_by_the_configured_model():
    async with OllamaShim(Say(json.dumps(contexts.edits(set_timeout(), lane="config")))) as shim:
        found = await reader(shim).interpret(turns(VAGUE), context())
    edit = SetKey("config/app.yaml", "server.timeout", "30")
    assert found == Intent(VAGUE, (edit,), lane="config", read_by=f"local/{MODEL}")
    request = shim.requests[0]
    assert request.format["properties"]["lane"]["enum"] == ["code", "config", "docs", ""]
    assert not request.overflows
    assert [message["role"] for message in request.messages] == ["system", "user"]


async def test_a_second_answer_is_asked_for_in_the_same_talk():
    async with OllamaShim(Script(Say("Gladly!"), Say(json.dumps(contexts.WORK)))) as shim:
        found = await reader(shim).interpret(turns(VAGUE), context())
    assert found == Intent(VAGUE, lane="code", read_by=f"local/{MODEL}")
    assert [message["role"] for message in shim.requests[1].messages] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize(
    "fault", [Busy(), Reset(), Reset('{"reading'), Babble()], ids=lambda fault: type(fault).__name__
)
async def test_a_model_that_fails_leaves_what_can_be_done_by_rule(fault):
    async with OllamaShim(fault) as shim:
        found = await reader(shim).interpret(turns(VAGUE), context(contexts.BY_RULE))
    assert isinstance(found, Unclear)
    assert "no model answered" in found.reason
    assert found.can


async def test_a_model_that_hangs_is_left_and_hung_up_on():
    async with OllamaShim(Hang('{"reading"')) as shim:
        found = await reader(shim, patience_s=0.5).interpret(turns(VAGUE), context())
        await shim.until(lambda: shim.hung_up)
    assert found == Intent(VAGUE)


async def test_no_server_at_all_is_said():
    endpoint = Endpoint("local", "ollama", "http://127.0.0.1:9", first_token_s=5)
    asked = ModelRegistry({"local": endpoint}, MemoryAdmission()).model_for(["local/qwen3:8b"])
    found = await ModelInterpreter(asked).interpret(turns(VAGUE), context(contexts.BY_RULE))
    assert isinstance(found, Unclear)
    assert "no model answered" in found.reason
