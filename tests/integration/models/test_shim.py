"""The fake Ollama against the vendor's own client, and that it catches what Ollama would not take."""

from __future__ import annotations

import httpx
import ollama
import pytest

from tests.fakes.ollama import MODEL, Busy, Call, OllamaShim, Say, Script, Status, StoredModel, running_shim

pytestmark = pytest.mark.lanes
TOOL = {
    "type": "function",
    "function": {"name": "read", "description": "Read.", "parameters": {"type": "object", "properties": {}}},
}
HELLO = [{"role": "user", "content": "hello"}]


async def test_turns_are_said_in_order_streamed_and_whole():
    script = Script(Say("one two three"), Call("read", path="a.py"), lambda request: Say(request.last.upper()))
    async with OllamaShim(script) as shim:
        client = ollama.AsyncClient(shim.url)
        parts = [part async for part in await client.chat(MODEL, HELLO, stream=True)]
        assert [part.message.content for part in parts] == ["one ", "two ", "three", ""]
        assert (parts[-1].done_reason, parts[-1].eval_count) == ("stop", 3)
        called = await client.chat(MODEL, HELLO, tools=[TOOL])
        (call,) = called.message.tool_calls or ()
        assert call.function.arguments == {"path": "a.py"}
        assert (await client.generate(MODEL, "hello")).response == "HELLO"
    assert [request.tools for request in shim.requests] == [[], ["read"], []]


async def test_models_are_listed_shown_pulled_loaded_unloaded_and_deleted():
    async with OllamaShim(models=[MODEL], pullable=["tiny"]) as shim:
        client = ollama.AsyncClient(shim.url)
        assert [model.model for model in (await client.list()).models] == [MODEL]
        assert (await client.show(MODEL)).capabilities == ["completion", "tools"]
        steps = [step async for step in await client.pull("tiny", stream=True)]
        assert (steps[-1].status, steps[3].completed) == ("success", 500)
        assert (await client.generate("tiny", keep_alive="10m")).done_reason == "load"
        assert shim.resident == {"tiny:latest"}
        assert [model.name for model in (await client.ps()).models] == ["tiny:latest"]
        assert (await client.generate("tiny", keep_alive=0)).done_reason == "unload"
        assert shim.resident == set()
        await client.delete("tiny")
        with pytest.raises(ollama.ResponseError, match="not found"):
            await client.show("tiny")
        with pytest.raises(ollama.ResponseError, match="file does not exist"):
            [step async for step in await client.pull("nothing", stream=True)]


async def test_refusals_have_ollamas_words():
    async with OllamaShim(
        Script(Busy(7), Status(500, "out of memory")), models={"old": StoredModel(tools=False)}
    ) as shim:
        client = ollama.AsyncClient(shim.url)
        for status, words, call in (
            (404, "model 'new' not found", client.chat("new", HELLO)),
            (400, "does not support tools", client.chat("old", HELLO, tools=[TOOL])),
            (503, "server busy", client.chat("old", HELLO)),
            (500, "out of memory", client.chat("old", HELLO)),
        ):
            with pytest.raises(ollama.ResponseError, match=words) as caught:
                await call
            assert caught.value.status_code == status


async def test_what_ollama_does_not_document_is_a_violation():
    async with OllamaShim() as shim, httpx.AsyncClient(base_url=shim.url) as client:
        for body in (
            {"model": MODEL, "messages": [{"role": "user", "content": "x"}], "max_tokens": 5},
            {"model": MODEL, "messages": [{"role": "human", "content": "x"}]},
            {"model": MODEL, "messages": [{"role": "user", "text": "x"}]},
            {"model": MODEL, "messages": HELLO, "options": {"max_tokens": 5}},
            {"model": MODEL, "messages": HELLO, "keep_alive": "soon"},
            {"messages": HELLO},
        ):
            assert (await client.post("/api/chat", json=body)).status_code == 400, body
            assert len(shim.expected_violations()) == 1, body
        await client.get("/api/models")
        assert "no path" in shim.expected_violations()[0]


async def breaking_the_rules(body: dict[str, object]) -> None:
    async with OllamaShim() as shim, httpx.AsyncClient() as client:
        await client.post(f"{shim.url}/api/show", json=body)


async def asking_too_often() -> None:
    async with OllamaShim(Script(Say("x"))) as shim:
        for _ in range(2):
            async with httpx.AsyncClient() as client:
                await client.post(f"{shim.url}/api/chat", json={"model": MODEL, "messages": HELLO})


async def test_one_violation_fails_the_test():
    with pytest.raises(AssertionError, match="undocumented"):
        await breaking_the_rules({"model": MODEL, "undocumented": 1})
    with pytest.raises(AssertionError, match="after the script's end"):
        await asking_too_often()


def asking_in_a_thread_without_a_script() -> None:
    with running_shim() as shim, pytest.raises(ollama.ResponseError):
        ollama.Client(shim.url).chat(MODEL, HELLO)


def test_it_runs_in_a_thread_for_those_who_block():
    with running_shim(lambda request: Say(request.last.upper())) as shim:
        assert ollama.Client(shim.url).chat(MODEL, HELLO).message.content == "HELLO"
        assert [request.last for request in shim.requests] == ["hello"]
    with pytest.raises(AssertionError, match="script's end"):
        asking_in_a_thread_without_a_script()
