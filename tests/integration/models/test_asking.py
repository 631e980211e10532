"""Requests to a model at an endpoint over HTTP: its answers, and every kind of failure."""

from __future__ import annotations

import asyncio
import math
import socket
from dataclasses import replace
from typing import Any

import pytest

from core.model.errors import CountersignError, Kind, PermanentError, TransientError
from core.model.provenance import Usage
from lanes.models import ChatMessage, ChatRequest, Endpoint, ToolCall, ToolSpec
from lanes.models.ollama import OllamaModel
from tests.fakes.ollama import (
    MODEL,
    Babble,
    Broken,
    Busy,
    Call,
    Calls,
    Endless,
    Hang,
    OllamaShim,
    Redirect,
    Reset,
    Say,
    Script,
    Slow,
    Status,
    StoredModel,
    Turn,
)

pytestmark = pytest.mark.lanes
READ = ToolSpec(
    "read", "Read a file.", {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
)
SECRET = "the-secret-plan-of-ana-9d1f"
KEY = "sk-4711-verysecret-0815"
ASK = ChatRequest(
    (ChatMessage("system", "Be brief."), ChatMessage("user", f"Say something about {SECRET}.")), max_tokens=512
)


def endpoint(url: str, **changes: Any) -> Endpoint:
    usual = Endpoint("local", "ollama", url, key=KEY, first_token_s=60, between_tokens_s=60, total_s=120)
    return replace(usual, **changes)


def model(shim: OllamaShim, name: str = MODEL, **changes: Any) -> OllamaModel:
    return OllamaModel(endpoint(shim.url, **changes), name)


async def failure(shim: OllamaShim, name: str = MODEL, ask: ChatRequest = ASK, **changes: Any) -> CountersignError:
    with pytest.raises(CountersignError) as caught:
        await model(shim, name, **changes).ask(ask)
    for secret in (SECRET, KEY):
        assert secret not in str(caught.value)
    assert caught.value.problem.mend
    return caught.value


async def test_an_answer_is_accepted_as_it_comes_and_its_cost_is_known():
    heard: list[str] = []

    async def hear(text: str) -> None:
        heard.append(text)

    async with OllamaShim(Say("It is fine.", thinking="hm", tokens=(31, 7))) as shim:
        reply = await model(shim).ask(replace(ASK, on_text=hear))
    assert (reply.text, reply.calls, reply.cut_off) == ("It is fine.", (), False)
    assert reply.usage == Usage("local/qwen3:8b", 1, 31, 7)
    assert reply.model == "local/qwen3:8b"
    assert heard == ["It ", "is ", "fine."]


async def test_the_question_carries_context_tokens_keep_alive_schema_and_key():
    schema = {"type": "object", "properties": {"lane": {"type": "string"}}, "required": ["lane"]}
    async with OllamaShim(Say('{"lane": "docs"}'), key=KEY) as shim:
        await model(shim, context_tokens=8192, keep_alive="10m").ask(replace(ASK, schema=schema))
        (request,) = shim.requests
        assert request.options == {"num_ctx": 8192, "num_predict": 512}
        assert request.format == schema
        assert request.body["keep_alive"] == "10m"
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        assert shim.resident == {MODEL}


@pytest.mark.parametrize(("said", "sent"), [("-1", -1), ("300", 300), ("1h30m", "1h30m"), ("0", 0)])
async def test_keep_alive_is_written_as_ollama_reads_it(said, sent):
    async with OllamaShim(Say("x")) as shim:
        await model(shim, keep_alive=said).ask(ASK)
        assert shim.requests[0].body["keep_alive"] == sent


async def test_no_key_of_the_environment_and_no_proxy_is_used(monkeypatch):
    monkeypatch.setenv("OLLAMA_API_KEY", "the key of somebody else")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    async with OllamaShim(Say("x")) as shim:
        await model(shim, key=None).ask(ASK)
        assert "Authorization" not in shim.requests[0].headers


async def test_tools_are_offered_called_and_answered():
    script = Script(Calls((("read", {"path": "a.py"}), ("read", {"path": "b.py"})), text="Let me see."), Say("Done."))
    async with OllamaShim(script) as shim:
        first = await model(shim).ask(replace(ASK, tools=(READ,)))
        assert first.calls == (ToolCall("read", {"path": "a.py"}), ToolCall("read", {"path": "b.py"}))
        talk = (
            *ASK.messages,
            ChatMessage("assistant", first.text, first.calls),
            ChatMessage("tool", "print(1)", tool="read"),
        )
        await model(shim).ask(replace(ASK, messages=talk, tools=(READ,)))
    assert shim.requests[0].tools == ["read"]
    said, answered = shim.requests[1].messages[-2:]
    assert said["tool_calls"][1] == {"function": {"name": "read", "arguments": {"path": "b.py"}}}
    assert answered == {"role": "tool", "content": "print(1)", "tool_name": "read"}


async def test_a_model_without_tools_says_so_and_can_be_asked_without():
    async with OllamaShim(Say("x"), models={"old": StoredModel(tools=False)}) as shim:
        error = await failure(shim, "old", replace(ASK, tools=(READ,)))
        assert (type(error), error.problem.code) == (PermanentError, "model_no_tools")
        assert (await model(shim, "old").ask(ASK)).text == "x"


async def test_an_answer_that_ran_out_of_tokens_is_cut_off():
    async with OllamaShim(Say("one two three four")) as shim:
        reply = await model(shim).ask(replace(ASK, max_tokens=2))
    assert (reply.text, reply.cut_off, reply.usage.output_tokens) == ("one two ", True, 2)


DEADLINES: dict[str, tuple[Turn, dict[str, Any], str]] = {
    "no first token": (Hang(), {"first_token_s": 0.2}, "first_token_s"),
    "none after the first": (Hang("one two "), {"between_tokens_s": 0.2}, "between_tokens_s"),
    "one in a long while": (Slow("a b c d", per_token_s=30), {"between_tokens_s": 0.2}, "between_tokens_s"),
    "no end": (Slow("word " * 500, per_token_s=0.05), {"total_s": 0.5}, "total_s"),
}


@pytest.mark.parametrize("name", DEADLINES)
async def test_each_deadline_strikes_and_the_server_is_hung_up_on(name):
    turn, deadlines, word = DEADLINES[name]
    async with OllamaShim(turn) as shim:
        error = await failure(shim, **deadlines)
        assert (type(error), error.problem.code) == (TransientError, "model_slow")
        assert word in error.problem.message
        await shim.until(lambda: shim.hung_up == 1)


async def test_a_model_that_is_slow_within_its_deadlines_is_accepted_out():
    async with OllamaShim(Slow("a b c", per_token_s=0.05), load_s=0.2) as shim:
        assert (await model(shim).ask(ASK)).text == "a b c"


async def test_endless_output_stops_at_a_bound_of_bytes():
    async with OllamaShim(Endless("word " * 200)) as shim:
        error = await failure(shim, ask=replace(ASK, max_tokens=16))
        assert error.problem.code == "model_babbled"
        await shim.until(lambda: shim.hung_up == 1)
        assert shim.sent_bytes < 8_000_000


async def test_a_line_without_end_stops_at_a_bound_of_bytes():
    async with OllamaShim(Babble(b'{"x": "' + b"y" * 40_000_000)) as shim:
        assert (await failure(shim)).problem.code == "model_babbled"


async def test_who_stops_listening_hangs_up():
    async with OllamaShim(Endless(per_token_s=0.01)) as shim:
        asking = asyncio.create_task(model(shim).ask(ASK))
        await shim.until(lambda: shim.requests)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await shim.until(lambda: shim.hung_up == 1)


async def test_a_fault_of_the_listeners_is_not_taken_for_the_models():
    async def hear(_text: str) -> None:
        raise ValueError("the card is gone")

    async with OllamaShim(Endless(per_token_s=0.01)) as shim:
        with pytest.raises(ValueError, match="the card is gone"):
            await model(shim).ask(replace(ASK, on_text=hear))
        await shim.until(lambda: shim.hung_up == 1)


DEEP = b"[" * 100_000
FAULTS: dict[str, tuple[Turn, type[CountersignError], str, str]] = {
    "queue full": (Busy(7), TransientError, "model_busy", "server busy"),
    "too many requests": (Status(429, "slow down"), TransientError, "model_busy", "slow down"),
    "out of memory": (Status(500, "model requires more system memory"), TransientError, "model_down", "more system"),
    "bad gateway": (Status(502, "<html>"), TransientError, "model_down", "502"),
    "gateway timeout": (Status(504, "x"), TransientError, "model_slow", "gateway"),
    "bad request": (Status(400, "invalid format"), PermanentError, "model_refused", "invalid format"),
    "another server": (
        Status(404, "404 page not found"),
        PermanentError,
        "model_refused",
        "does not offer the ollama protocol",
    ),
    "no right": (Status(403, "forbidden"), PermanentError, "model_refused", "key"),
    "runner died": (Broken(text="one two "), TransientError, "model_down", "unexpected EOF"),
    "reset at once": (Reset(), TransientError, "model_down", "closed the connection"),
    "reset in the middle": (Reset("one two "), TransientError, "model_down", "closed the connection"),
    "stream without an end": (Babble(b"", text="one two "), TransientError, "model_down", "closed the connection"),
    "half a line": (Babble(), PermanentError, "model_babbled", "the server sent"),
    "no object": (Babble(b"[1]\n"), PermanentError, "model_babbled", "the server sent"),
    "another shape": (Babble(b'{"done": true}\n'), PermanentError, "model_babbled", "the server sent"),
    "no text": (Babble(b"\xff\xfe\xfd\n"), PermanentError, "model_babbled", "the server sent"),
    "very deep": (Babble(DEEP + b"\n"), PermanentError, "model_babbled", "the server sent"),
    "redirect": (Redirect("http://127.0.0.1:9/api/chat"), PermanentError, "model_refused", "another address"),
    "echoes the question": (Status(400, f"cannot parse: {SECRET}"), PermanentError, "model_refused", "400"),
    "echoes the key": (Status(401, f"wrong key {KEY}"), PermanentError, "model_refused", "401"),
    "acts on terminals": (Status(500, "a\x1b[31mb\u202ec"), TransientError, "model_down", '"a [31mb c"'),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_each_fault_of_the_servers_has_its_code_and_sentence(name):
    turn, kind, code, part = FAULTS[name]
    async with OllamaShim(turn) as shim:
        error = await failure(shim)
        assert (type(error), error.problem.code) == (kind, code), error
        assert part in str(error)
        assert shim.paths == ["/api/chat"]


async def test_busy_says_when_to_come_again():
    async with OllamaShim(Script(Busy(7), Busy(10**9), Busy())) as shim:
        waits = [(await failure(shim)) for _ in range(3)]
    assert [error.retry_after_s for error in waits if isinstance(error, TransientError)] == [7, 3600, None]


async def test_a_full_queue_is_met_for_real():
    async with OllamaShim(Hang("one "), slots=1, waiting=0) as shim:
        first = asyncio.create_task(model(shim).ask(ASK))
        await shim.until(lambda: shim.requests)
        assert (await failure(shim)).problem.code == "model_busy"
        first.cancel()


async def test_a_model_that_is_not_there_is_mended_by_a_pull():
    async with OllamaShim() as shim:
        error = await failure(shim, "llama9:70b")
    assert (error.problem.code, error.problem.kind) == ("model_missing", Kind.MISSING)
    assert error.problem.mend == "Ask your operator to pull it."


async def test_a_key_that_is_wrong_names_the_variable():
    async with OllamaShim(key="another") as shim:
        error = await failure(shim)
    assert error.problem.code == "model_refused"
    assert "COUNTERSIGN_MODEL_LOCAL_KEY" in error.problem.mend


async def test_nobody_at_the_address_is_down():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}"
    for url in (closed, "http://no-such-host.invalid:1"):
        with pytest.raises(TransientError) as caught:
            await OllamaModel(endpoint(url), MODEL).ask(ASK)
        assert caught.value.problem.code == "model_down"
        assert url in caught.value.problem.message


async def test_a_server_that_speaks_no_http_and_one_that_packs_its_answer_are_no_models():
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.example.com ESMTP\r\n\r\n")
        await reader.read()  # until the other side has had enough
        writer.close()

    async def packed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nxyz")
        await reader.read()  # until the other side has had enough
        writer.close()

    for speak in (other, packed):
        server = await asyncio.start_server(speak, "127.0.0.1", 0)
        async with server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            with pytest.raises(PermanentError) as caught:
                await OllamaModel(endpoint(url), MODEL).ask(ASK)
        assert caught.value.problem.code == "model_babbled"


@pytest.mark.parametrize("value", [math.nan, math.inf, 10**40])
async def test_lanes_12_arguments_that_no_database_takes_are_a_call_that_says_so(value):
    async with OllamaShim(Call("read", path=value)) as shim:
        (call,) = (await model(shim).ask(replace(ASK, tools=(READ,)))).calls
    assert (call.name, dict(call.arguments)) == ("read", {})
    assert call.error


async def test_text_comes_out_so_that_it_can_be_kept():
    async with OllamaShim(
        Babble(
            b'{"model":"m","created_at":"x","done":true,"message":{"role":"assistant","content":"a\\ud800b\\u0000c",'
            b'"tool_calls":[{"function":{"name":"read","arguments":{"p\\u0000":["\\udc00"]}}}]}}\n'
        )
    ) as shim:
        reply = await model(shim).ask(ASK)
    assert reply.text == "a\ufffdb\ufffdc"
    assert reply.calls == (ToolCall("read", {"p\ufffd": ["\ufffd"]}),)


WRONG_CALLS = {"an array": '["a"]', "null": "null", "a text": '"{}"', "a number": "7", "NaN": '{"n": NaN}'}


@pytest.mark.parametrize("arguments", WRONG_CALLS.values(), ids=WRONG_CALLS)
async def test_lanes_12_a_call_with_wrong_arguments_is_a_call_that_says_so(arguments):
    line = (
        '{"model": "qwen3:8b", "created_at": "2026-01-01T00:00:00Z", "done": false, "message": {"role": "assistant", '
        '"content": "", "tool_calls": [{"function": {"name": "read", "arguments": ' + arguments + "}}]}}\n"
    )
    end = (
        '{"model": "qwen3:8b", "created_at": "2026-01-01T00:00:00Z", "done": true, "done_reason": "stop", '
        '"prompt_eval_count": 31, "eval_count": 7, "message": {"role": "assistant", "content": ""}}\n'
    )
    async with OllamaShim(Babble((line + end).encode())) as shim:
        reply = await model(shim).ask(replace(ASK, tools=(READ,)))
    (call,) = reply.calls
    assert call.error
    assert call.arguments == {}
    assert reply.usage.calls == 1
