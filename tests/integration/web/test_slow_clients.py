"""Clients that are slow, many, or write what two programs could read as different requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from bot.web.body import BodyError, read_body
from bot.web.connections import ConnectionLimits
from bot.web.server import WebServer

pytestmark = pytest.mark.surfaces

GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
WITHIN_S = 60
NEVER_S = 600.0


async def hook(request: Request) -> PlainTextResponse:
    try:
        body = await read_body(request, 1000, NEVER_S)
    except BodyError as error:
        return PlainTextResponse("no", error.status)
    return PlainTextResponse(f"{len(body)} bytes")


@asynccontextmanager
async def serving(**limits: Any) -> AsyncIterator[WebServer]:
    web = WebServer([Route("/hook", hook, methods=["POST"])], "127.0.0.1", 0, ConnectionLimits(**limits))
    task = asyncio.create_task(web.run())
    try:
        async with asyncio.timeout(WITHIN_S):
            await web.started.wait()
        yield web
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Client:
    """One raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def says(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        """The status and the body of the next answer."""
        async with asyncio.timeout(WITHIN_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
            return int(head.split()[1]), await self.reader.readexactly(length)

    async def is_let_go(self) -> bool:
        """True once the server has closed the connection, with nothing more said."""
        async with asyncio.timeout(WITHIN_S):
            try:
                return await self.reader.read() == b""
            except ConnectionError:
                return True


async def client(web: WebServer) -> Client:
    return Client(*await asyncio.open_connection("127.0.0.1", web.port))


@pytest.mark.parametrize("first", [b"", GET], ids=["at once", "after a good one"])
@pytest.mark.parametrize("dripped", [b"", b"POST /ho", b"POST /hook HTTP/1.1\r\nHost: a\r\nX: "])
async def test_guard_09_who_drips_a_request_is_let_go(first, dripped):
    async with serving(headers_s=0.3) as web:
        slow = await client(web)
        if first:
            await slow.says(first)
            assert (await slow.answer())[0] == 200
        await slow.says(dripped or b"P")
        assert await slow.is_let_go()


async def test_guard_09_who_drips_a_body_is_let_go():
    async with serving(request_s=0.3, headers_s=0.1) as web:
        slow = await client(web)
        await slow.says(b"POST /hook HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx")
        assert await slow.is_let_go()


async def test_guard_09_many_who_drip_a_second_request_keep_no_webhook_away():
    async with serving(connections=20, headers_s=NEVER_S) as web:
        slow = [await client(web) for _ in range(30)]
        for one in slow[-20:]:
            await one.says(GET)
            assert (await one.answer())[0] == 200
            await one.says(b"POST /hook HT")
        for _ in range(50):
            good = await client(web)
            await good.says(b"POST /hook HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
            assert await good.answer() == (200, b"3 bytes")
            slow.append(good)
        assert await slow[0].is_let_go()


async def test_guard_09_many_who_drip_a_body_keep_no_webhook_away():
    async with serving(connections=20, request_s=NEVER_S) as web:
        slow = [await client(web) for _ in range(20)]
        for one in slow:
            await one.says(b"POST /hook HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx")
        good = await client(web)
        await good.says(b"POST /hook HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        assert await good.answer() == (200, b"3 bytes")


@pytest.mark.parametrize("path", ["/nothing", "/hook"])
async def test_guard_09_below_an_answer_with_an_unread_body_the_connection_ends(path):
    async with serving(linger_s=0.2) as web:
        one = await client(web)
        await one.says(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n".encode() + b"x" * 1001)
        assert (await one.answer())[0] in (404, 413)
        await one.says(GET)
        assert await one.is_let_go()


async def test_guard_09_a_connection_is_kept_for_the_next_request():
    async with serving(headers_s=NEVER_S) as web:
        one = await client(web)
        for _ in range(3):
            await one.says(b"POST /hook HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
            assert await one.answer() == (200, b"3 bytes")
        await one.says(GET + GET)
        assert [(await one.answer())[0] for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("path", ["/hook/", "//hook", "/healthz/"])
async def test_guard_09_nobody_is_led_to_the_host_that_a_request_names(path):
    async with serving() as web:
        one = await client(web)
        await one.says(f"POST {path} HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n".encode())
        assert (await one.answer())[0] == 404


def _odd(*lines: str, body: str = "") -> bytes:
    return "".join([*(f"{line}\r\n" for line in ("POST /hook HTTP/1.1", "Host: a", *lines)), "\r\n", body]).encode()


LENGTH, CHUNKED = "Content-Length: 5", "Transfer-Encoding: chunked"
ODD = {
    "both lengths": _odd(LENGTH, CHUNKED, body="0\r\n\r\n"),
    "lengths the other way": _odd(CHUNKED, LENGTH, body="0\r\n\r\n"),
    "two lengths": _odd("Content-Length: 0", LENGTH),
    "bare line feeds": b"POST /hook HTTP/1.1\nHost: a\nContent-Length: 0\n\n",
    "one bare line feed": _odd("A: b\nX: y", "Content-Length: 0"),
    "folded": _odd("X: y", "  z", "Content-Length: 0"),
    "folded with a tab": _odd("X: y", "\tz", "Content-Length: 0"),
    "space before the colon": _odd("Content-Length : 0"),
    "signed length": _odd("Content-Length: +3", body="abc"),
    "chunked and more": _odd("Transfer-Encoding: chunked, identity", body="0\r\n\r\n"),
    "bare line feed in chunks": _odd(CHUNKED, body="1\na\n0\n\n"),
}


@pytest.mark.parametrize("request_", ODD.values(), ids=ODD)
async def test_guard_09_what_two_programs_could_read_differently_is_refused(request_):
    async with serving() as web:
        one = await client(web)
        await one.says(request_)
        assert (await one.answer())[0] == 400
        assert await one.is_let_go()


async def test_guard_09_endless_headers_are_refused():
    async with serving(header_bytes=10_000) as web:
        one = await client(web)
        await one.says(b"POST /hook HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 3000)
        assert (await one.answer())[0] == 400
