"""The egress proxy: https to the hosts that a lane lists, and to nothing else."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager

import pytest

from lanes.egress import EgressProxy
from lanes.egress.proxy import is_public

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

    async with server, EgressProxy(hosts, resolve_host=find, connect=connect) as made:
        yield made, did


def client_hello(host: str | None) -> bytes:
    """What a client says first in TLS, to `host`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    said = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), said, server_hostname=host).do_handshake()
    return said.read()


HELLO = client_hello("mirror.example")


async def ask(made: EgressProxy, head: str, then: bytes = HELLO) -> bytes:
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
        hello = client_hello(host.casefold().removesuffix(":443"))
        assert (await ask(made, connect(host), hello)).endswith(hello[::-1])
        assert did == [f"look up {host.casefold()[:-4]}", f"connect {PUBLIC}"]
    log = made.log.content().decode()
    assert f"CONNECT {host} {PUBLIC} {len(hello)}B out {len(hello)}B in" in log


@pytest.mark.parametrize(
    "host",
    ["evil.org:443", "mirror.example.evil.org:443", "xmirror.example:443", "files.example:443", "evilfiles.example:443",
     "mirror.example:80", "mirror.example:22", "mirror.example", "mirror.example:443:443", "1.2.3.4:443",
     "[::1]:443", "2130706433:443", "0x7f.1:443", "localhost:443", "127.1:443", "mirror.example%00.evil.org:443",
     "mirror\xad.example:443", "user@mirror.example:443", ":443", "*.files.example:443", "-.files.example:443"],
)  # fmt: skip
async def test_no_other_host_is_even_looked_up(host):
    async with proxy("mirror.example", "*.files.example", "1.2.3.4") as (made, did):
        said = await ask(made, connect(host))
        assert b" 403 Forbidden: " in said
        assert b"The lane's proxy refuses this host: " in said
        assert did == []
    assert "REFUSED" in made.log.content().decode()


NO_TLS = "it does not begin with a TLS ClientHello"
STRANGE = {
    "another's": (client_hello("evil.example"), "its ClientHello is for evil.example"),
    "alike": (client_hello("mirror.example.evil.example"), "its ClientHello is for mirror.example.evil.example"),
    "nobody's": (client_hello(None), "its ClientHello is for no host"),
    "http": (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", NO_TLS),
    "ssh": (b"SSH-2.0-x\r\n" * 100, NO_TLS),
    "nothing": (b"", NO_TLS),
    "half": (HELLO[:60], NO_TLS),
    "empty records": (b"\x16\x03\x01\x00\x00" * 9, NO_TLS),
    "a server's": (b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", NO_TLS),
    "empty": (b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", NO_TLS),
    "broken": (b"\x16\x03\x01\x00\x2c\x01\x00\x00\x28" + b"\xff" * 40, NO_TLS),
}


@pytest.mark.parametrize("name", list(STRANGE))
async def test_a_connection_whose_client_hello_is_for_another_gets_no_further(name):
    said, why = STRANGE[name]
    async with proxy("mirror.example") as (made, _):
        got = await ask(made, connect("mirror.example:443"), said)
        assert got == b"HTTP/1.1 200 Connection established\r\n\r\n", "nothing came back, for nothing went out"
    assert why in made.log.content().decode()


async def test_a_client_hello_in_many_pieces_and_records_is_one():
    body = HELLO[5:]
    pieces = [b"\x16\x03\x01" + len(body[at : at + 50]).to_bytes(2, "big") + body[at : at + 50]
              for at in range(0, len(body), 50)]  # fmt: skip
    async with proxy("mirror.example") as (made, _):
        whole = b"".join(pieces)
        assert (await ask(made, connect("mirror.example:443"), whole)).endswith(whole[::-1])


async def test_a_host_that_cannot_be_found_or_reached_is_said_to_be_so():
    async def fails(_what: str) -> list[str]:
        raise OSError("no such name")

    async def found(_host: str) -> list[str]:
        return [PUBLIC]

    for others in ({"resolve_host": fails}, {"resolve_host": found, "connect": fails}):
        async with EgressProxy(("mirror.example",), **others) as made:
            assert b" 502 Bad Gateway: it cannot be reached" in await ask(made, connect("mirror.example:443"))
        assert "REFUSED: it cannot be reached (OSError)" in made.log.content().decode()


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
    assert is_public(PUBLIC)
    assert is_public("2606:2800:220:1::1")
    assert not is_public("192.0.2.1")
