"""The second door: https to the hosts that a lane lists, and to nothing else."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from lanes.broker import Proxy
from lanes.broker.proxy import public

pytestmark = pytest.mark.lanes
PUBLIC = "93.184.216.34"


@asynccontextmanager
async def proxy(*hosts: str, addresses: tuple[str, ...] = (PUBLIC,)):
    """A proxy to a server that turns around what it is told; and what it looked up and connected to."""
    did: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read(1000))[::-1])
        writer.close()

    async def find(host: str) -> list[str]:
        did.append(f"look up {host}")
        return list(addresses)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def connect(address: str):
        did.append(f"connect {address}")
        return await asyncio.open_connection("127.0.0.1", port)

    async with server, Proxy(hosts, find=find, connect=connect) as made:
        yield made, did


async def ask(made: Proxy, head: str, then: bytes = b"hello") -> bytes:
    reader, writer = await asyncio.open_unix_connection(made.socket)
    writer.write(head.encode("latin-1"))
    first = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " in first:
        writer.write(then)
        writer.write_eof()
    rest = await reader.read()
    writer.close()
    return first + rest


def connect(host: str) -> str:
    return f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n"


@pytest.mark.parametrize(
    "host", ["mirror.example:443", "Mirror.Example:443", "files.files.example:443", "a.b.files.example:443"]
)
async def test_a_listed_host_is_reached_at_the_address_that_was_looked_up(host):
    async with proxy("mirror.example", "*.files.example") as (made, did):
        assert (await ask(made, connect(host))).endswith(b"olleh")
        assert did == [f"look up {host.casefold()[:-4]}", f"connect {PUBLIC}"]
    log = made.log.content().decode()
    assert f"CONNECT {host} {PUBLIC} 5B out 5B in" in log
    assert "hello" not in log


@pytest.mark.parametrize(
    "host",
    ["evil.org:443", "mirror.example.evil.org:443", "xmirror.example:443", "files.example:443", "evilfiles.example:443",
     "mirror.example:80", "mirror.example:22", "mirror.example", "mirror.example:443:443", "1.2.3.4:443",
     "[::1]:443", "2130706433:443", "0x7f.1:443", "localhost:443", "127.1:443", "mirror.example%00.evil.org:443",
     "mirror\xad.example:443", "user@mirror.example:443", ":443", "*.files.example:443", "-.files.example:443"],
)  # fmt: skip
async def test_no_other_host_is_even_looked_up(host):
    async with proxy("mirror.example", "*.files.example", "1.2.3.4") as (made, did):
        assert b" 403 " in await ask(made, connect(host))
        assert did == []
    assert "REFUSED" in made.log.content().decode()


@pytest.mark.parametrize(
    "addresses",
    [("127.0.0.1",), ("10.0.0.1",), ("192.168.1.1",), ("169.254.169.254",), ("100.64.0.1",), ("0.0.0.0",), ("::1",),
     ("fe80::1",), ("fc00::1",), ("::ffff:127.0.0.1",), ("64:ff9b::7f00:1",), ("2002:7f00:1::",), ("224.0.0.1",),
     ("255.255.255.255",), ("fe80::1%eth0",), ("not an address",), (), (PUBLIC, "10.0.0.1")],
)  # fmt: skip
async def test_a_name_that_leads_into_a_private_network_leads_nowhere(addresses):
    async with proxy("mirror.example", addresses=addresses) as (made, did):
        assert b" 403 " in await ask(made, connect("mirror.example:443"))
        assert did == ["look up mirror.example"]


@pytest.mark.parametrize(
    "head", ["GET http://mirror.example/ HTTP/1.1\r\n\r\n", "CONNECT\r\n\r\n", "POST / HTTP/1.1\r\n\r\n"]
)
async def test_nothing_but_connect_is_served(head):
    async with proxy("mirror.example") as (made, did):
        assert b" 405 " in await ask(made, head)
        assert did == []


async def test_a_head_without_end_is_cut():
    async with proxy("mirror.example") as (made, did):
        reader, writer = await asyncio.open_unix_connection(made.socket)
        writer.write(b"CONNECT mirror.example:443 HTTP/1.1\r\n" + b"x: y\r\n" * 10_000)
        async with asyncio.timeout(30):
            assert await reader.read() == b""
        writer.close()
        assert did == []


async def test_leaving_drops_what_is_open():
    async with proxy("mirror.example") as (made, _):
        reader, writer = await asyncio.open_unix_connection(made.socket)
        writer.write(connect("mirror.example:443").encode())
        await reader.readuntil(b"\r\n\r\n")
    assert not made.socket.exists()
    async with asyncio.timeout(30):
        await reader.read()
    writer.close()


def test_public_addresses():
    assert public(PUBLIC)
    assert public("2606:2800:220:1::1")
    assert not public("192.0.2.1")
