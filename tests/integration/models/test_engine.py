"""The real engine, llama.cpp, asked by our client through its own server: templates, grammars, streams and limits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bot.interpret.model_answer import AnswerShape, read_answer
from bot.interpret.schema import answer_schema
from core.model.errors import CountersignError, PermanentError, TransientError
from core.ports import LaneOffer
from lanes.builtin_agent.tool_call_text import without_tools
from lanes.builtin_agent.tools import TOOLS as CODER_TOOLS
from lanes.models import ChatMessage, ChatRequest, Endpoint, ToolCall
from lanes.models.openai import OpenAiCatalog, OpenAiModel
from tests.fakes import openai as fake
from tests.fakes.engine import CHATML, Engine, calls, running_engine, write_model, write_random

pytestmark = pytest.mark.lanes

READING = '{"reading":"work","sure":true,"lane":"code","edits":[],"question":"","options":[]}'
TURNS = [
    (*calls("read_file", path="README.md"), READING),
    ("Two at once.\n" + "\n".join(calls("read_file", path=path)[0] for path in ("a.md", "b.md")),),
    ("The readme greets people now, in the words that were asked for.",),
]
READ = ToolCall("read_file", {"path": "README.md"})
TALK: tuple[ChatMessage, ...] = (ChatMessage("system", "You change files."), ChatMessage("user", "please greet people"))
OFFERS = (LaneOffer("docs", "pages", ("docs/**",), reads=False), LaneOffer("code", "any file", ("**",), reads=True))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A model that calls tools."""
    write_model(file := tmp_path_factory.mktemp("engine") / "coder.gguf", TURNS)
    with running_engine(file, n_ctx=8192) as running:
        yield running


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A model that would call tools, with a template that knows none."""
    write_model(file := tmp_path_factory.mktemp("engine") / "older.gguf", TURNS, CHATML)
    with running_engine(file) as running:
        yield running


@pytest.fixture(scope="module")
def random(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A model whose weights are random."""
    write_random(file := tmp_path_factory.mktemp("engine") / "random.gguf")
    with running_engine(file) as running:
        yield running


def model(engine: Engine, **changes: Any) -> OpenAiModel:
    return OpenAiModel(replace(Endpoint("llama", "openai", engine.url), **changes), engine.name)


async def failure(asked: OpenAiModel, ask: ChatRequest) -> CountersignError:
    with pytest.raises(CountersignError) as caught:
        await asked.ask(ask)
    return caught.value


async def test_it_lists_its_model_by_name(engine):
    stock = OpenAiCatalog(Endpoint("llama", "openai", engine.url))
    assert [kept.name for kept in await stock.installed_models()] == ["coder"]
    assert await stock.version() == "OpenAI's protocol"


async def test_it_calls_tools_is_answered_and_says_in_words_that_it_is_done(engine):
    heard: list[str] = []

    async def hear(text: str) -> None:
        heard.append(text)

    asked = model(engine)
    talk = TALK
    first = await asked.ask(ChatRequest(talk, CODER_TOOLS))
    assert (first.text, first.calls) == ("", (READ,))
    talk = (*talk, ChatMessage("assistant", "", first.calls), ChatMessage("tool", "1\t# Web", tool="read_file"))
    both = await asked.ask(ChatRequest(talk, CODER_TOOLS))
    assert both.text.strip() == "Two at once."
    assert [call.arguments["path"] for call in both.calls] == ["a.md", "b.md"]
    answers = (ChatMessage("tool", "A", tool="read_file"), ChatMessage("tool", "B", tool="read_file"))
    talk = (*talk, ChatMessage("assistant", both.text, both.calls), *answers)
    last = await asked.ask(ChatRequest(talk, CODER_TOOLS, on_text=hear))
    assert (last.text, last.calls, last.cut_off) == (TURNS[2][0], (), False)
    assert "".join(heard) == last.text
    assert len(heard) > 2, "it comes in pieces"
    spent = [reply.usage for reply in (first, both, last)]
    assert spent[0].input_tokens < spent[1].input_tokens < spent[2].input_tokens
    assert all(usage.output_tokens > 1 and usage.model == "llama/coder" for usage in spent)


async def test_a_call_in_the_middle_of_which_the_tokens_ran_out_is_left_out(engine):
    reply = await model(engine).ask(ChatRequest(TALK, CODER_TOOLS, max_tokens=2))
    assert (reply.calls, reply.cut_off, reply.usage.output_tokens) == ((), True, 2)


async def test_a_template_that_would_leave_tools_out_without_a_word_is_found_out(older):
    error = await failure(model(older), ChatRequest(TALK, CODER_TOOLS))
    assert (type(error), error.problem.code) == (PermanentError, "model_no_tools")
    reply = await model(older).ask(without_tools(TALK))
    assert json.loads(reply.text) == {"tool": READ.name, "arguments": READ.arguments}


async def test_a_grammar_leaves_a_model_only_what_fits_the_interpreters_schema(engine):
    reply = await model(engine).ask(ChatRequest(TALK, schema=answer_schema(OFFERS)))
    assert read_answer(reply.text) == read_answer(READING)
    assert (await model(engine).ask(ChatRequest(TALK))).text.startswith("<tool_call>"), "what it likes best"


async def test_even_random_weights_answer_in_the_interpreters_shape(random):
    for _ in range(4):
        reply = await model(random).ask(ChatRequest(TALK, schema=answer_schema(OFFERS)))
        assert not reply.cut_off
        said = AnswerShape.model_validate_json(reply.text)
        assert said.lane in ("docs", "code", "")


async def test_the_engine_stops_when_its_answer_is_not_waited_for_any_more(random):
    error = await failure(model(random, total_s=0.2), ChatRequest(TALK, max_tokens=30_000))
    assert (type(error), error.problem.code) == (TransientError, "model_slow")
    async with asyncio.timeout(60):
        while "cancel task" not in random.log.read_text():  # noqa: ASYNC110 - another program writes it
            await asyncio.sleep(0.02)


async def test_a_question_beyond_its_context_is_refused_in_its_own_words(engine):
    error = await failure(model(engine), ChatRequest((ChatMessage("user", "x" * 9000),)))
    assert error.problem.code == "model_refused"
    assert "exceeds the available context size (8192 tokens)" in error.problem.message
    assert "context_tokens of llama" in error.problem.mend


async def test_an_engine_without_templates_knows_no_tools(tmp_path):
    write_model(file := tmp_path / "coder.gguf", TURNS)
    with running_engine(file, use_jinja=False) as bare:
        assert (await failure(model(bare), ChatRequest(TALK, CODER_TOOLS))).problem.code == "model_no_tools"


async def test_what_it_tells_in_the_middle_of_an_answer_is_told_on_without_its_wrapping():
    """As it came from llama.cpp, whose model had written bytes that are no UTF-8."""
    words = "The model produced output that does not match the expected peg-native format"
    error = {"error": {"code": 500, "message": words, "type": "server_error"}}
    refused = {"error": {**error["error"], "code": 400}}
    async with fake.FakeOpenAi([fake.chunk(content="{"), error], [refused]) as server:
        asked = OpenAiModel(Endpoint("llama", "openai", server.url), fake.MODEL)
        first, second = await failure(asked, ChatRequest(TALK)), await failure(asked, ChatRequest(TALK))
    assert (first.problem.code, second.problem.code) == ("model_down", "model_refused")
    assert first.problem.message.endswith(f'failed with status 500: it answered "{words}"')
