"""The broker alone: which requests it forwards, their cost, and its log."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from core.model.budget import Budget, ExceededLimit
from core.model.errors import PermanentError
from core.model.provenance import Usage
from core.ports.reporting import MemoryUsage
from lanes.egress import EgressBroker, UsageAccount
from lanes.egress.repeated_calls import last_call_repeats
from lanes.egress.routes import endpoint_url
from lanes.egress.usage_reader import UsageReader
from lanes.models import Endpoint
from tests.fakes.models import KEY, Fault, Models, Say, always, in_turn, serving

pytestmark = pytest.mark.lanes

CHAT = {"model": "m", "messages": [{"role": "user", "content": "the secret question"}]}
CLAUDE = {**CHAT, "max_tokens": 10}
RESPONSES = {"model": "m", "stream": True, "input": [{"type": "message", "role": "user", "content": "x"}]}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "anthropic": ("/v1/messages", CLAUDE),
    "openai": ("/v1/chat/completions", CHAT),
    "gemini": ("/v1beta/models/m:generateContent", GEMINI),
    "ollama": ("/v1/chat/completions", CHAT),
}


class BrokerClient:
    """A client inside the sandbox: sends requests through the socket as a program would."""

    def __init__(self, broker: EgressBroker, session: aiohttp.ClientSession) -> None:
        self.broker, self.account, self._session = broker, broker.account, session

    async def ask(self, path: str, body: Any = None, method: str = "POST", **others: Any) -> tuple[int, bytes]:
        given = {"json": body} if isinstance(body, dict | list) else {"data": body}
        others.setdefault("headers", {"anthropic-version": "2023-06-01", "authorization": "Bearer mine"})
        async with self._session.request(
            method, f"http://inside{path}", allow_redirects=False, **given, **others
        ) as got:
            return got.status, await got.read()

    @property
    def log(self) -> str:
        """What is written down."""
        return self.broker.log.content().decode()


@asynccontextmanager
async def client(models: Models | str, kind: str = "openai", budget: Budget | None = None, **others: Any):
    """A broker to `models`, and its inner end."""
    url = models if isinstance(models, str) else models.url
    ledger = others.pop("ledger", MemoryUsage())
    names = others.pop("names", ("m",))
    endpoint = Endpoint("fake", kind, url, KEY, **others)
    account = UsageAccount("fake/m", budget or Budget(), ledger)
    async with EgressBroker(endpoint, names, account) as broker:
        connector = aiohttp.UnixConnector(str(broker.socket))
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            yield BrokerClient(broker, session)
        folder = broker.socket.parent
    assert not folder.exists()


@pytest.mark.parametrize("kind", list(WAYS))
async def test_a_question_passes_with_the_real_key_and_is_counted(kind):
    path, body = WAYS[kind]
    async with serving() as models, client(models, kind) as inner:
        status, said = await inner.ask(path, body)
        assert (status, b"Hello." in said) == (200, True)
        assert inner.account.usage.calls == 1
        assert inner.account.usage.tokens in (120, 125)
        _, _, headers = models.requests[-1]
        assert KEY in " ".join(headers.values())
        assert "mine" not in " ".join(headers.values())
        assert KEY not in inner.log
        assert "question" not in inner.log
        assert f"POST {path} 200" in inner.log
        assert "estimated" not in inner.log
        assert inner.broker.socket.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("kind", "path", "body"),
    [("anthropic", "/v1/messages?beta=true", {**CLAUDE, "stream": True}), ("openai", "/v1/responses", RESPONSES),
     ("openai", "/v1/chat/completions", {**CHAT, "stream": True}),
     ("gemini", "/v1beta/models/m:streamGenerateContent?alt=sse&key=mine", GEMINI)],
)  # fmt: skip
async def test_streams_pass_and_are_counted(kind, path, body):
    async with serving() as models, client(models, kind) as inner:
        status, said = await inner.ask(path, body)
        assert (status, b"Hello." in said) == (200, True)
        assert (inner.account.usage.input_tokens, inner.account.usage.output_tokens) in ((100, 20), (105, 20))
        assert "estimated" not in inner.log
        assert "key=" not in models.requests[-1][1]


async def test_a_stream_passes_as_it_comes():
    async with serving(always(Fault("silent"))) as models, client(models, "anthropic") as inner:
        connector = aiohttp.UnixConnector(str(inner.broker.socket))
        async with aiohttp.ClientSession(connector=connector) as session:
            asked = session.post("http://x/v1/messages", json={**CLAUDE, "stream": True},
                                 headers={"anthropic-version": "2023-06-01"})  # fmt: skip
            async with asyncio.timeout(30), asked as got:
                assert b"message_start" in await got.content.readany()


@pytest.mark.parametrize(
    ("kind", "method", "path"),
    [("openai", "POST", "/v1/files"), ("openai", "POST", "/v1/messages"), ("openai", "GET", "/v1/responses/1"),
     ("openai", "DELETE", "/v1/chat/completions"), ("openai", "POST", "//v1/chat/completions"),
     ("openai", "POST", "/v1/chat/completions/"),
     ("openai", "POST", "/v1/chat%2Fcompletions"), ("openai", "GET", "/"), ("openai", "POST", "/v1/embeddings"),
     ("anthropic", "POST", "/v1/chat/completions"), ("anthropic", "POST", "/v1/messages/batches"),
     ("anthropic", "GET", "/v1/organizations"), ("ollama", "POST", "/api/pull"), ("ollama", "DELETE", "/api/delete"),
     ("ollama", "POST", "/api/create"), ("ollama", "POST", "/api/generate"),
     ("gemini", "POST", "/v1beta/models/m:embed"),
     ("gemini", "POST", "/v1beta/models/a/b:generateContent"), ("gemini", "POST", "/v1beta/files")],
)  # fmt: skip
async def test_other_ways_lead_nowhere(kind, method, path):
    async with serving() as models, client(models, kind) as inner:
        status, _ = await inner.ask(path, CHAT if method == "POST" else None, method)
        assert status == 404
        assert models.requests == []
        assert "REFUSED" in inner.log


async def test_what_programs_ask_first_is_answered_from_the_lane():
    async with serving() as models, client(models, names=("m", "n")) as inner:
        assert await inner.ask("/", method="HEAD") == (200, b"")
        status, said = await inner.ask("/v1/models", method="GET")
        assert (status, [one["id"] for one in json.loads(said)["data"]]) == (200, ["m", "n"])
        assert models.requests == []


@pytest.mark.parametrize(("asked", "got"), [("m", "m"), ("n", "n"), ("gpt-99", "m"), (None, "m"), (["m"], "m")])
async def test_no_other_model_is_asked_than_the_lanes(asked, got):
    async with serving() as models, client(models, names=("m", "n")) as inner:
        await inner.ask("/v1/chat/completions", {**CHAT, "model": asked})
        assert models.asked[0].model == got
        assert ("asked for the model" in inner.log) == (asked != got)


async def test_no_other_model_is_asked_of_gemini():
    async with serving() as models, client(models, "gemini") as inner:
        await inner.ask("/v1beta/models/gemini-ultra%3Fx:generateContent", GEMINI)
        assert models.requests[0][1] == "/v1beta/models/m:generateContent"


@pytest.mark.parametrize(
    ("body", "why"),
    [(b"{", "not JSON"), (b"[1]", "not a JSON object"), (b'"x"', "not a JSON object"), (b"[" * 100_000, "not JSON"),
     (b"", "not JSON"),
     (b'{"x": "' + b"a" * (33 * 1024 * 1024) + b'"}', "too long")],
)  # fmt: skip
async def test_what_is_no_question_does_not_pass(body, why):
    async with serving() as models, client(models) as inner:
        status, said = await inner.ask("/v1/chat/completions", body)
        assert (status, why in said.decode()) == (400, True)
        assert models.requests == []


async def test_a_packed_question_does_not_pass():
    async with serving() as models, client(models) as inner:
        status, _ = await inner.ask("/v1/chat/completions", b"x" * 20, headers={"content-encoding": "zstd"})
        assert status == 400
        assert models.requests == []


async def test_steps_and_tokens_are_bounded_and_the_reason_is_said():
    async with serving() as models, client(models, budget=Budget(steps=2)) as inner:
        assert [(await inner.ask("/v1/chat/completions", CHAT))[0] for _ in range(3)] == [200, 200, 429]
        assert inner.account.exceeded == ExceededLimit("steps", "2 of 2 answers of the model", 2, 2)
        assert inner.account.closed.is_set()
        assert len(models.asked) == 2
    async with serving() as models, client(models, budget=Budget(tokens=100)) as inner:
        await inner.ask("/v1/chat/completions", CHAT)
        status, said = await inner.ask("/v1/chat/completions", CHAT)
        assert (status, b"budget" in said) == (429, True)
        assert inner.account.exceeded is not None
        assert inner.account.exceeded.key == "tokens"


CALL = {"name": "t", "input": {"b": 1, "a": 2}}
AS_TEXT, TURNED = '{"b": 1, "a": 2}', '{"a":2,"b":1}'
TALKS: dict[str, dict[str, Any]] = {
    "anthropic": {"messages": [{"role": "user", "content": "x"}]
                  + [{"role": "assistant", "content": [{"type": "text", "text": "I"}, {"type": "tool_use", **CALL}]},
                     {"role": "user", "content": [{"type": "tool_result", "content": "no"}]}] * 3},
    "chat": {"messages": [{"role": "assistant", "content": "I", "tool_calls": [
        {"type": "function", "function": {"name": "t", "arguments": said}}]} for said in (AS_TEXT, TURNED, AS_TEXT)]},
    "responses": {"input": [{"type": "message", "role": "assistant", "content": "I"},
                            {"type": "function_call", "name": "t", "arguments": AS_TEXT},
                            {"type": "function_call_output", "output": "x"}] * 3},
    "gemini": {"contents": [{"role": "model", "parts": [{"text": "I"}, {"functionCall": {"name": "t", "args": {}}}]},
                            {"role": "user", "parts": [{"functionResponse": {"name": "t"}}]}] * 3},
    "ollama": {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "t", "arguments": {}}}]}] * 3},
    "custom": {"input": [{"type": "custom_tool_call", "name": "t", "input": "*** Begin"}] * 3},
}  # fmt: skip


@pytest.mark.parametrize("shape", list(TALKS))
def test_the_same_call_in_a_row_is_counted_in_every_protocol(shape):
    (key, talk), = TALKS[shape].items()  # fmt: skip
    assert last_call_repeats(TALKS[shape]) == ("t", 3)
    other = json.loads(json.dumps(talk).replace('"t"', '"u"'))
    assert last_call_repeats({key: [*talk, *other]}) == ("u", 3)
    assert last_call_repeats({key: [*talk, *other, *talk]}) == ("t", 3)


def test_a_talk_of_any_shape_is_counted():
    for odd in ({}, {"messages": 3}, {"messages": [3, [], {"content": 3}, {"tool_calls": [1, {}]}]}, {"input": "x"},
                {"contents": [{"parts": [{"functionCall": 3}]}]}, {"input": [{"type": "x_call"}] * 4}):  # fmt: skip
        assert last_call_repeats(odd)[1] <= 4


async def test_the_same_call_again_and_again_ends_the_run():
    async with serving() as models, client(models, "anthropic", Budget(repeats=2)) as inner:
        talk = {**CLAUDE, **TALKS["anthropic"]}
        status, said = await inner.ask("/v1/messages", talk)
        assert (status, b"goes in circles" in said) == (429, True)
        assert inner.account.repeated == "called 't' 3 times in the same way"
        assert inner.account.closed.is_set()
        assert models.requests == []


@pytest.mark.parametrize("kind", ["anthropic", "openai"])
async def test_an_answer_longer_than_the_budget_is_cut_and_charged(kind):
    path, body = WAYS[kind]
    async with serving(always(Fault("endless"))) as models, client(models, kind, Budget(tokens=5_000)) as inner:
        with pytest.raises(aiohttp.ClientError):
            await inner.ask(path, {**body, "stream": True})
        assert inner.account.exceeded is not None
        assert inner.account.exceeded.key == "tokens"
        assert inner.account.closed.is_set()
        assert 5_000 <= inner.account.usage.tokens < 200_000
        assert inner.account.down == "", "the endpoint is not at fault"
        assert "CUT" in inner.log


async def test_questions_at_once_do_not_pass_the_budget():
    async with serving() as models, client(models, budget=Budget(steps=3)) as inner:
        await asyncio.gather(*(inner.ask("/v1/chat/completions", CHAT) for _ in range(12)))
        assert len(models.asked) <= 3


async def test_what_is_spent_is_charged_and_a_refusal_to_pay_ends_the_run():
    class Refusing(MemoryUsage):
        async def report(self, call: str, usage: Usage) -> bool:
            is_new = await super().report(call, usage)
            if len(self.entries) == 2:
                raise PermanentError("budget_spent", "The lane's day is spent")
            return is_new

    ledger = Refusing()
    async with serving() as models, client(models, ledger=ledger) as inner:
        for _ in range(3):
            await inner.ask("/v1/chat/completions", CHAT)
        assert [usage.tokens for usage in ledger.entries.values()] == [120, 120]
        assert inner.account.fault is not None
        assert inner.account.closed.is_set()
        assert len(models.asked) == 2


@pytest.mark.parametrize(
    ("fault", "limits", "why"),
    [(Fault("hang"), {"first_token_s": 0.2}, "did not answer within 0.2 s"),
     (Fault("silent"), {"between_tokens_s": 0.2}, "stopped sending"),
     (Fault("silent"), {"total_s": 0.3}, "took longer than 0.3 s"), (Fault("cut"), {}, "broke off"),
     (Fault("dead"), {}, "cannot be reached"), (Fault("garbage"), {}, "an answer that cannot be parsed"),
     (Fault("status", 500), {}, "answered 500"), (Fault("status", 429), {}, "answered 429")],
)  # fmt: skip
async def test_an_endpoint_that_fails_is_seen_and_given_up_on(fault, limits, why):
    async with serving(always(fault)) as models, client(models, "anthropic", **limits) as inner:
        for _ in range(5):
            assert not inner.account.closed.is_set()
            try:
                await inner.ask("/v1/messages", {**CLAUDE, "stream": True})
            except aiohttp.ClientError:
                assert fault.kind in ("silent", "cut"), "what was cut does not look whole"
        assert inner.account.closed.is_set()
        assert why in inner.account.down
        assert "FAILED" in inner.log


async def test_one_good_answer_forgives_what_failed_before():
    faults = [always(Fault("status", 503))] * 4
    async with (
        serving(in_turn([*faults, always(Say("x")), *faults, always(Say("x"))])) as models,
        client(models) as inner,
    ):
        for _ in range(10):
            await inner.ask("/v1/chat/completions", CHAT)
        assert not inner.account.closed.is_set()
        assert inner.account.down == ""


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_refusal_of_the_lane_is_final_and_holds_no_key(status):
    async with serving(always(Fault("status", status, f"bad key {KEY}"))) as models, client(models) as inner:
        got, said = await inner.ask("/v1/chat/completions", CHAT)
        assert got == status
        assert KEY.encode() not in said
        assert KEY not in inner.account.refused
        assert str(status) in inner.account.refused
        assert inner.account.closed.is_set()
        assert (await inner.ask("/v1/chat/completions", CHAT))[0] == 429
        assert len(models.requests) == 1


async def test_a_bad_question_is_told_as_it_is_and_is_not_the_endpoints_absence():
    async with serving(always(Fault("status", 400, f"too long {KEY}"))) as models, client(models) as inner:
        got = [await inner.ask("/v1/chat/completions", CHAT) for _ in range(5)]
        assert [(status, b"too long [key]" in said) for status, said in got] == [(400, True)] * 5
        assert inner.account.down == ""
        assert inner.account.closed.is_set()


async def test_redirects_are_not_followed():
    async with serving(always(Fault("redirect"))) as models, client(models) as inner:
        status, _ = await inner.ask("/v1/chat/completions", CHAT)
        assert status == 502
        assert "which redirects" in inner.account.refused


async def test_proxies_of_the_host_are_not_used(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    async with serving() as models, client(models) as inner:
        assert (await inner.ask("/v1/chat/completions", CHAT))[0] == 200


def test_a_version_in_the_endpoints_address_is_not_doubled():
    assert endpoint_url("https://a/v1", "/v1/responses") == "https://a/v1/responses"
    assert endpoint_url("https://a", "/v1/responses") == "https://a/v1/responses"
    assert endpoint_url("https://a/x/v1", "/v1beta/models/m:y") == "https://a/x/v1/v1beta/models/m:y"


@pytest.mark.parametrize(
    ("said", "counts", "estimated"),
    [(b'{"prompt_eval_count": 7, "eval_count": 3, "done": true}\n', (7, 3), False),
     (b'{"usage": {"prompt_tokens": 7, "completion_tokens": 3}}', (7, 3), False),
     (b'data: {"usage": {"prompt_tokens": -1, "completion_tokens": true}}\n\n', (100, 16), True),
     (b'data: {"usage": {"prompt_tokens": 1e99}}\n', (100, 10), True),
     (b'[{"usageMetadata": {"promptTokenCount": 1}},\n', (100, 11), True),
     (b'{\n  "usageMetadata": {\n    "promptTokenCount": 7,\n "candidatesTokenCount": 3\n}}\n', (7, 3), False),
     (b"x" * 400, (100, 100), True), (b"{" * 400, (100, 100), True)],
)  # fmt: skip
def test_what_answers_say_of_their_cost(said, counts, estimated):
    reader = UsageReader(400)
    for at in range(0, len(said), 7):
        reader.feed(said[at : at + 7])
    reader.end()
    assert (reader.input_tokens, reader.output_tokens, reader.is_estimate) == (*counts, estimated)


def test_a_log_is_bounded_and_shows_what_is_odd():
    from lanes.egress import EgressLog

    log = EgressLog()
    for _ in range(6000):
        log.add("GET", "/\x1b[31m\nx")
    lines = log.content().decode().split("\n")
    assert len(lines) == 5002
    assert "\\x1b" in lines[0]
    assert lines[-2] == "[... 1000 lines left out ...]"
