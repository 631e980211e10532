"""The canary's own test: a leak is found at each of the places where it is looked for, however it is spelled."""

from __future__ import annotations

import base64
import sqlite3
from contextlib import closing
from urllib.parse import quote

import httpx
import pytest

from lanes.models import ChatMessage, ChatRequest
from tests import canary
from tests.canary import CANARY
from tests.conftest import pytest_runtest_makereport
from tests.fakes.github.server import FakeGitHub
from tests.fakes.models.server import serving
from tests.fakes.obedient import ObedientModel
from tests.fakes.ollama import MODEL, OllamaShim, Say
from tests.fakes.openai import FakeOpenAi, chunk
from tests.fakes.scripted import ScriptedModel
from tests.fakes.slack.proxy import Proxy
from tests.fakes.telegram.server import TOKEN, FakeTelegram
from tests.homes import Said, copy_home
from tests.integration.builtin_agent.conftest import Scripted
from tests.integration.outbound.receiver import Receiver

pytestmark = pytest.mark.lanes
RAW = CANARY.encode()


def caught(*where: str) -> None:
    """The canary was found, at each of these places and nowhere else."""
    found = canary.taken()
    assert found
    assert [any(place in line for line in found) for place in where] == [True] * len(where), found


async def posted(url: str, **request: object) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.post(url, **request)  # type: ignore[arg-type]


@pytest.mark.parametrize("before", [b"", b"a", b"ab", b"abc"])
@pytest.mark.parametrize(
    "spell",
    [
        bytes,
        base64.b64encode,
        base64.urlsafe_b64encode,
        lambda raw: raw.hex().encode(),
        lambda raw: raw.hex().upper().encode(),
        lambda raw: quote(raw, safe="").encode(),
        lambda raw: raw[::-1],
    ],
    ids=["raw", "base64", "base64 for URLs", "hex", "HEX", "URL", "backwards"],
)
def test_every_spelling_is_found_wherever_it_begins(spell, before):
    assert canary.spelling_in(b"so " + spell(before + RAW + b" and on") + b" so")
    assert not canary.spelling_in(spell(before + RAW[:10] + b" and on"))


async def test_in_what_chats_receive():
    async with FakeTelegram() as telegram:
        url = f"{telegram.base_url}/bot{TOKEN}"
        await posted(f"{url}/sendMessage", data={"chat_id": 1, "text": f"look: {CANARY}"})
        caught("Telegram's sendMessage")
        await posted(f"{url}/sendDocument", data={"chat_id": 1}, files={"document": ("a.patch", RAW)})
        caught("Telegram's sendDocument")
        telegram.expected_violations()
    slack = Proxy("http://127.0.0.1:9")
    await slack.start()
    try:
        await posted(f"{slack.url}chat.postMessage", json={"channel": "C1", "text": CANARY})
        caught("Slack's chat.postMessage")
        await posted(slack.url.replace("/api/", "/upload/v1/x"), content=RAW)  # 500: there is no program behind it
        caught("Slack's upload")
    finally:
        await slack.stop()


def test_in_what_a_forge_receives_and_in_what_is_pushed_to_it():
    with FakeGitHub(audit=False) as hub:
        hub.repository("org/web", {"docs/a.md": f"{CANARY}\n"})
        httpx.post(f"{hub.url}/repos/org/web/issues/1/comments", json={"body": CANARY}, trust_env=False)
        caught("GitHub's /repos/org/web/issues/1/comments")
    caught("GitHub's git")


async def test_in_what_a_receiver_of_webhooks_receives():
    async with Receiver() as receiver:
        await posted(receiver.url(), content=base64.b64encode(b"x" + RAW))
    caught("a receiver of webhooks")


async def test_in_what_models_are_told():
    message = {"role": "user", "content": CANARY}
    async with OllamaShim(Say("no")) as shim:
        await posted(f"{shim.url}/api/chat", json={"model": MODEL, "messages": [message], "stream": False})
    caught("Ollama's /api/chat")
    async with FakeOpenAi([chunk("stop")]) as server:
        await posted(f"{server.url}/chat/completions", json={"model": "x", "messages": [message]})
    caught("OpenAI's chat")
    async with serving() as models:
        for path in ("/v1/messages", "/v1/chat/completions", "/v1/responses", "/v1beta/models/x:generateContent"):
            await posted(f"{models.url}{path}", json={"messages": [message]}, headers={"x-told": CANARY})
            caught(f"the models' {path}")
    ask = ChatRequest((ChatMessage("user", f"so {CANARY}"),))
    for model in (ScriptedModel(["no"]), ObedientModel({}), Scripted(["no"])):
        await model.ask(ask)
        caught("model")


def test_in_what_a_home_keeps(template_home, tmp_path):
    home = copy_home(template_home, tmp_path / "one")
    (home.root / "state" / "artifacts").mkdir(exist_ok=True)
    (home.root / "state" / "artifacts" / "check.log").write_bytes(b"env: " + RAW[::-1])
    with closing(sqlite3.connect(home.database)) as database, database:
        row = ("leak", f'"{RAW.hex()}"', 1)
        database.execute("INSERT INTO settings (name, value, updated_ms) VALUES (?, ?, ?)", row)
    home.commit({"docs/a.md": f"so {CANARY}"})
    canary.home_over(home.folder)
    caught("check.log", "countersign.sqlite", "objects/")


def test_in_a_home_that_nobody_looked_through(template_home, tmp_path):
    home = copy_home(template_home, tmp_path / "two")
    (home.root / "worker.log").write_bytes(RAW)
    canary.home_over(home.folder)
    caught("worker.log")


def test_in_what_a_command_says_and_in_what_a_test_prints():
    Said(("list",), 0, "", f"countersign: {quote(CANARY, safe='')}\n").checked()
    caught("who ran list")
    report = pytest.TestReport("x", ("x.py", 1, "x"), {}, "passed", None, "call", [("Captured log call", CANARY)])
    wrapper = pytest_runtest_makereport()
    next(wrapper)
    with pytest.raises(StopIteration) as stopped:
        wrapper.send(report)
    assert stopped.value.value.failed


def test_nothing_is_found_where_nothing_is():
    canary.seen("somebody", b"canary", "a secret", {"text": "plain"})
    assert canary.taken() == []
