"""A model behind OpenAI's chat completions: the requests, the answers and the failures."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from core.model.errors import CountersignError, PermanentError, TransientError
from core.model.provenance import Usage
from lanes.models import ChatMessage, ChatRequest, Endpoint, ToolCall, ToolSpec
from lanes.models.openai import OpenAiCatalog, OpenAiModel
from tests.fakes.openai import MODEL, FakeOpenAi, Turn, chunk, cost

pytestmark = pytest.mark.lanes
KEY = "sk-4711-verysecret-0815"
SECRET = "the-secret-plan-of-ana-9d1f"
READ = ToolSpec(
    "read", "Read a file.", {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
)
ASK = ChatRequest(
    (ChatMessage("system", "Be brief."), ChatMessage("user", f"Say something about {SECRET}.")), max_tokens=64
)
SAID = [
    chunk(role="assistant", content=""),
    chunk(content="It is "),
    chunk(content="fine."),
    chunk("stop"),
    cost(31, 7),
]


def endpoint(url: str, **changes: Any) -> Endpoint:
    usual = Endpoint("vllm", "openai", url, key=KEY, first_token_s=60, between_tokens_s=60, total_s=120)
    return replace(usual, **changes)


def called(index: int, arguments: str, name: str | None = None) -> dict[str, Any]:
    function = {"arguments": arguments, **({"name": name} if name else {})}
    return chunk(tool_calls=[{"index": index, "id": f"x{index}", "type": "function", "function": function}])


async def test_an_answer_is_accepted_as_it_comes_and_its_cost_is_known():
    heard: list[str] = []

    async def hear(text: str) -> None:
        heard.append(text)

    async with FakeOpenAi(SAID, key=KEY) as server:
        reply = await OpenAiModel(endpoint(server.url), MODEL).ask(replace(ASK, on_text=hear))
    assert (reply.text, reply.cut_off, heard) == ("It is fine.", False, ["It is ", "fine."])
    assert (reply.model, reply.usage) == (f"vllm/{MODEL}", Usage(f"vllm/{MODEL}", 1, 31, 7))


async def test_the_shape_of_the_answer_and_its_length_are_asked_for():
    schema = {"type": "object", "properties": {"lane": {"type": "string"}}}
    async with FakeOpenAi([chunk(content='{"la'), chunk("length")]) as server:
        reply = await OpenAiModel(endpoint(server.url), MODEL).ask(replace(ASK, schema=schema))
        (request,) = server.requests
    assert request["response_format"]["json_schema"]["schema"] == schema
    assert request["max_tokens"] == 64
    assert reply.cut_off


async def test_calls_come_in_pieces_and_their_answers_go_back_to_them():
    turn = [called(0, "", "read"), called(0, '{"path": '), called(1, '{"path": "b.py"}', "read"), called(0, '"a.py"}')]
    async with FakeOpenAi([*turn, chunk("tool_calls")], SAID, SAID) as server:
        model = OpenAiModel(endpoint(server.url), MODEL)
        first = await model.ask(replace(ASK, tools=(READ,)))
        assert first.calls == (ToolCall("read", {"path": "a.py"}), ToolCall("read", {"path": "b.py"}))
        answers = (ChatMessage("tool", "one", tool="read"), ChatMessage("tool", "two", tool="read"))
        await model.ask(replace(ASK, messages=(*ASK.messages, ChatMessage("assistant", "", first.calls), *answers)))
        await model.ask(replace(ASK, messages=(*ASK.messages, *answers)))
    assert server.requests[0]["tools"][0]["function"]["name"] == "read"
    said = server.requests[1]["messages"][2:]
    assert [message.get("tool_call_id") for message in said] == [None, "call_0", "call_1"]
    assert [json.loads(call["function"]["arguments"])["path"] for call in said[0]["tool_calls"]] == ["a.py", "b.py"]
    assert [message["role"] for message in server.requests[2]["messages"]] == ["system", "user", "user", "user"]


def refusal(words: str) -> dict[str, Any]:
    return {"error": {"message": words, "type": "invalid_request_error", "code": None}}


FAULTS: dict[str, tuple[Turn, type[CountersignError], str]] = {
    "no such model": ((404, refusal("The model `x` does not exist.")), PermanentError, "model_missing"),
    "another path": ((404, {"detail": "Not Found"}), PermanentError, "model_refused"),
    "rate limit": ((429, refusal("Rate limit reached")), TransientError, "model_busy"),
    "overloaded": ((503, refusal("overloaded")), TransientError, "model_busy"),
    "failed": ((500, refusal("CUDA out of memory")), TransientError, "model_down"),
    "refused": ((400, refusal(f"cannot take: {SECRET}")), PermanentError, "model_refused"),
    "in the middle": ([chunk(content="It"), refusal("engine died")], TransientError, "model_down"),
    "no end": (b'data: {"choices": [{"delta": {"content": "It"}}]}\n\n', TransientError, "model_down"),
    "no JSON": (b"data: {nonsense\n\n", PermanentError, "model_babbled"),
    "no object": (b"data: [1]\n\n", PermanentError, "model_babbled"),
    "other shape": (b'data: {"choices": [7]}\n\n', PermanentError, "model_babbled"),
    "no text": (b'data: {"choices": [{"delta": {"content": 7}}]}\n\n', PermanentError, "model_babbled"),
    "very many calls": ([called(n, "{}", "read") for n in range(200)], PermanentError, "model_babbled"),
    "endless": ([chunk(content="word " * 1000) for _ in range(100)], PermanentError, "model_babbled"),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_each_fault_of_the_servers_has_its_code(name):
    turn, kind, code = FAULTS[name]
    async with FakeOpenAi(turn) as server:
        with pytest.raises(CountersignError) as caught:
            await OpenAiModel(endpoint(server.url), MODEL).ask(ASK)
    assert (type(caught.value), caught.value.problem.code) == (kind, code)
    assert SECRET not in str(caught.value)
    assert caught.value.problem.mend


async def test_a_wrong_key_is_told_without_the_key():
    async with FakeOpenAi(key="another") as server:
        with pytest.raises(PermanentError, match="COUNTERSIGN_MODEL_VLLM_KEY") as caught:
            await OpenAiModel(endpoint(server.url), MODEL).ask(ASK)
    assert KEY not in str(caught.value)


async def test_a_silent_server_is_hung_up_on():
    async with FakeOpenAi([chunk(content="It")], hang_after=True) as server:
        with pytest.raises(TransientError, match="between_tokens_s"):
            await OpenAiModel(endpoint(server.url, between_tokens_s=0.2), MODEL).ask(ASK)
        await server.until(lambda: server.hung_up == 1)


async def test_its_models_are_listed():
    async with FakeOpenAi(key=KEY) as server:
        stock = OpenAiCatalog(endpoint(server.url))
        assert [model.name for model in await stock.installed_models()] == [MODEL]
        assert await stock.version() == "OpenAI's protocol"


WRONG_CALLS: dict[str, Any] = {
    "an array": '["a", "b"]',
    "null": "null",
    "a text": '"path"',
    "a number": "7",
    "broken": "{",
    "a key twice": '{"path": "a", "path": "b"}',
    "no number": '{"n": NaN}',
    "beyond 64 bits": '{"n": 9223372036854775808}',
    "very deep": '{"a":' * 60 + "1" + "}" * 60,
    "an array that is no text": ["a"],
    "a number that is no text": 7,
}


@pytest.mark.parametrize("arguments", WRONG_CALLS.values(), ids=WRONG_CALLS)
async def test_lanes_12_a_call_with_wrong_arguments_is_a_call_that_says_so(arguments):
    turn = [called(0, arguments, "read"), called(1, '{"path": "b.py"}', "read"), chunk("tool_calls"), cost(3, 4)]
    async with FakeOpenAi(turn) as server:
        reply = await OpenAiModel(endpoint(server.url), MODEL).ask(replace(ASK, tools=(READ,)))
    wrong, good = reply.calls
    assert wrong.name == "read"
    assert wrong.error
    assert wrong.arguments == {}
    assert good == ToolCall("read", {"path": "b.py"})
    assert reply.usage.tokens == 7


async def test_lanes_12_arguments_sent_as_an_object_are_taken():
    turn = [called(0, {"path": "a.py"}, "read"), chunk("tool_calls")]  # type: ignore[arg-type] # as some servers do
    async with FakeOpenAi(turn) as server:
        reply = await OpenAiModel(endpoint(server.url), MODEL).ask(replace(ASK, tools=(READ,)))
    assert reply.calls == (ToolCall("read", {"path": "a.py"}),)
