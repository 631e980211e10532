"""Updates that Telegram brings to us: real HTTP on both sides, uvicorn below."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio
import uvicorn
from starlette.applications import Starlette

from bot.surfaces.port import Place, Response
from bot.surfaces.telegram.surface import TelegramSurface
from core.model.errors import UsageError
from tests.fakes.inbox import FakeInbox
from tests.fakes.telegram import SECRET_HEADER, FakeTelegram
from tests.integration.telegram.conftest import QUICK, config_of, listening
from tests.integration.telegram.drawings import drawing

pytestmark = pytest.mark.surfaces

PUBLIC = "https://bot.example.org"
SECRET = "s3cret-_" + "x" * 24


@dataclass(slots=True)
class Hooked:
    telegram: FakeTelegram
    surface: TelegramSurface
    inbox: FakeInbox
    address: str


@asynccontextmanager
async def served(surface: TelegramSurface, inbox: FakeInbox) -> AsyncIterator[str]:
    """The surface's routes on a free port; their address."""
    app = Starlette(routes=list(surface.routes(inbox)))
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(10):
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@pytest_asyncio.fixture
async def hooked(telegram: FakeTelegram) -> AsyncIterator[Hooked]:
    config = config_of(telegram, webhook_url=PUBLIC, webhook_secret=SECRET)
    surface, inbox = TelegramSurface(config, limits=QUICK), FakeInbox()
    async with served(surface, inbox) as address:
        telegram.reach = lambda url: url.replace(PUBLIC, address)
        async with listening(surface, inbox):
            await telegram.until(lambda: telegram.webhook)
            yield Hooked(telegram, surface, inbox, address + surface.webhook_path)


def update(text="hello", number=7):
    chat = {"id": 5, "type": "private", "first_name": "Ana"}
    author = {"id": 5, "is_bot": False, "first_name": "Ana"}
    return {"update_id": 1, "message": {"message_id": number, "date": 1, "chat": chat, "from": author, "text": text}}


def said(**odd):
    found = update()
    found["message"] |= odd
    return json.dumps(found).encode()


async def sent(hooked, *, content=None, headers=None, method="POST", **rest):
    headers = {SECRET_HEADER: SECRET} if headers is None else headers
    async with httpx.AsyncClient() as client:
        return await client.request(method, hooked.address, content=content, headers=headers, **rest)


async def test_what_is_said_and_pressed_arrives(hooked):
    ana = hooked.telegram.person("Ana")
    ana.says(ana.private, "fix it")
    (heard,) = await hooked.inbox.received()
    assert heard.text == "fix it"
    hooked.inbox.answers = lambda _said: Response("Approved.")
    number = await hooked.surface.post(Place("telegram", str(ana.id)), drawing(), None)
    clicks = ana.clicks(ana.private.messages[int(number)], "Approve", times=5)
    assert {(await click.answered())["text"] for click in clicks} == {"Approved."}
    await hooked.telegram.confirmed()


async def test_the_address_does_not_show_the_token(hooked):
    assert hooked.telegram.webhook["url"] == PUBLIC + hooked.surface.webhook_path
    for part in hooked.telegram.token.split(":"):
        assert part not in hooked.surface.webhook_path
    assert hooked.telegram.webhook["allowed_updates"] == ["message", "edited_message", "callback_query"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {SECRET_HEADER: ""},
        {SECRET_HEADER: SECRET[:-1]},
        {SECRET_HEADER: SECRET.upper()},
        {SECRET_HEADER: SECRET + "x"},
        [(SECRET_HEADER.encode(), b"\xc3\xa9\xff")],
    ],
)
async def test_who_does_not_know_the_secret_is_told_nothing(hooked, headers):
    response = await sent(hooked, content=json.dumps(update()), headers=headers)
    assert response.status_code == 401
    assert hooked.inbox.messages == []


async def test_the_same_update_twice_is_kept_once(hooked):
    for _ in range(3):
        assert (await sent(hooked, json=update())).status_code == 200
    assert len(hooked.inbox.messages) == 1
    assert hooked.inbox.deliveries == 3


async def test_what_cannot_be_kept_comes_again(hooked):
    hooked.inbox.refuses = True
    assert (await sent(hooked, json=update())).status_code == 503
    ana = hooked.telegram.person("Ana")
    ana.says(ana.private, "one")
    ana.says(ana.private, "two")
    await hooked.telegram.until(lambda: hooked.inbox.deliveries >= 3)
    hooked.inbox.refuses = False
    assert [said.text for said in await hooked.inbox.received(2)] == ["one", "two"]
    await hooked.telegram.confirmed()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'"x"',
        b"{}",
        b'{"update_id": "1"}',
        b'{"update_id": 1, "message": 5}',
        b'{"update_id": 1, "message": {"message_id": 1}}',
        b'{"update_id": 1, "message": {"message_id": 1, "date": "x", "chat": []}}',
        b'{"update_id": 1, "message": {"message_id": 1, "date": 1e99, "chat": {"id": 1, "type": "private"}}}',
        b'{"update_id": 1, "callback_query": {"id": 1}}',
        b'{"update_id": 1, "message": {"message_id": {}, "date": 1, "chat": {"id": [], "type": 7}, "text": {}}}',
        said(text={}),
        said(entities=[{"type": "mention", "offset": -9, "length": 4}]),
        said(entities=[{"type": "mention", "offset": 0, "length": 400}]),
        said(reply_to_message={"message_id": 1, "date": 1, "chat": {"id": 5, "type": "private"}, "text": 7}),
        b"[" * 200_000,
        b'{"update_id": NaN}',
    ],
)
async def test_bad_bodies_are_refused_and_never_our_fault(hooked, body):
    response = await sent(hooked, content=body)
    assert response.status_code in (200, 400)
    assert all(isinstance(heard.text, str) for heard in hooked.inbox.messages)
    assert (await sent(hooked, json=update())).status_code == 200


async def test_kinds_of_updates_that_are_not_ours_are_taken_and_forgotten(hooked):
    assert (await sent(hooked, json={"update_id": 1, "new_kind": {"x": 1}})).status_code == 200
    assert hooked.inbox.messages == []


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_over_a_megabyte_is_cut_off(hooked, chunked):
    async def chunks():
        for _ in range(1001):
            yield b" " * 1000

    response = await sent(hooked, content=chunks() if chunked else b" " * 1_000_001)
    assert response.status_code == 413
    padded = json.dumps(update()).encode().ljust(1_000_000)
    assert (await sent(hooked, content=padded)).status_code == 200


async def test_only_post_is_served(hooked):
    assert (await sent(hooked, method="GET")).status_code == 405


@pytest.mark.parametrize("secret", [None, "", "with space", "x" * 257, "é"])
def test_a_webhook_without_a_good_secret_is_not_started(secret):
    config = config_of(FakeTelegram(), webhook_url=PUBLIC, webhook_secret=secret)
    with pytest.raises(UsageError) as caught:
        TelegramSurface(config)
    assert caught.value.problem.code == "telegram_secret"
