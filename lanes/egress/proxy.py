"""The proxy to the hosts that a lane's file lists: it opens https connections to them, and logs each one.

Only CONNECT is served. The proxy itself looks the name up and connects; the TLS ClientHello that follows must name the
same host. A name with an address in a private network is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from lanes.egress.client_hello import ClientHello
from lanes.egress.log import EgressLog
from lanes.sandbox.folders import SOCKET_PREFIX, locked_folder, remove_abandoned

_HEAD_S: Final = 10.0
_CONNECT_S: Final = 10.0
_SILENT_S: Final = 120.0
_MAX_HEAD_BYTES: Final = 16 * 1024
_MAX_BYTES: Final = 1024 * 1024 * 1024
_AT_ONCE: Final = 32
_CHUNK: Final = 64 * 1024
_HTTPS: Final = 443
_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
_TUNNELS: Final = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16")))

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def look_up(host: str) -> list[str]:
    """The addresses of a host."""
    entries = await asyncio.get_running_loop().getaddrinfo(host, _HTTPS, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


async def reach(address: str) -> Streams:
    """A connection to the https port of an address."""
    return await asyncio.open_connection(address, _HTTPS)


class EgressProxy:
    """Serves one run. `hosts` are names, or ``*.name`` for everything below one. Used as an async context."""

    def __init__(
        self,
        hosts: tuple[str, ...],
        log: EgressLog | None = None,
        find: Callable[[str], Awaitable[list[str]]] = look_up,
        connect: Callable[[str], Awaitable[Streams]] = reach,
    ) -> None:
        self._hosts = tuple(host.casefold() for host in hosts)
        self.log = log or EgressLog()
        self._find, self._connect = find, connect
        self._folder, self._stack = Path(), contextlib.ExitStack()
        self._server: asyncio.Server | None = None
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def socket(self) -> Path:
        """The socket it listens on."""
        return self._folder / "hosts.sock"

    async def __aenter__(self) -> Self:
        """Listen."""
        await asyncio.to_thread(remove_abandoned, None, SOCKET_PREFIX)
        self._folder = self._stack.enter_context(locked_folder(prefix=SOCKET_PREFIX))
        self._server = await asyncio.start_unix_server(self._accept, path=self.socket, limit=_MAX_HEAD_BYTES)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening, and close every connection."""
        if self._server is not None:
            self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await asyncio.to_thread(self._stack.close)

    def refusal(self, host: str, port: str) -> str:
        """Why a host may not be reached; empty when it may."""
        if port != str(_HTTPS):
            return f"only port {_HTTPS} is open"
        if not _NAME.fullmatch(host):
            return "it is not a host name"
        if not any(_covers(pattern, host) for pattern in self._hosts):
            return "it is not among the lane's hosts"
        return ""

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        began_s = time.monotonic()
        words: list[object] = ["CONNECT"]
        try:
            async with self._slots:
                await self._serve(reader, writer, words)
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
            words.append(f"ended: {type(error).__name__}")
        finally:
            self.log.add(*words, f"{int((time.monotonic() - began_s) * 1000)}ms")
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, words: list[object]) -> None:
        async with asyncio.timeout(_HEAD_S):
            head = await reader.readuntil(b"\r\n\r\n")
        request = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(request) != 3 or request[0] != "CONNECT":
            _refuse(writer, words, "405 Method Not Allowed", "only CONNECT, for https, is served")
            return
        host, _, port = request[1].rpartition(":")
        host = host.casefold().removesuffix(".")
        words.append(request[1])
        why = self.refusal(host, port)
        if why:
            _refuse(writer, words, "403 Forbidden", why)
            return
        try:
            streams = await self._open(host, words)
        except (OSError, TimeoutError) as error:
            _refuse(writer, words, "502 Bad Gateway", f"it cannot be reached ({type(error).__name__})")
            return
        if streams is None:
            _refuse(writer, words, "403 Forbidden", "it leads nowhere public")
            return
        try:
            await self._pass(host, reader, writer, streams, words)
        finally:
            streams[1].close()

    async def _pass(
        self,
        host: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        streams: Streams,
        words: list[object],
    ) -> None:
        """Pass a connection on whose ClientHello names `host`; any other gets no further."""
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            async with asyncio.timeout(_HEAD_S):
                hello = await ClientHello.read(reader)
        except (ValueError, asyncio.IncompleteReadError):
            words.append("REFUSED: it does not begin with a ClientHello of TLS")
            return
        if hello.server_name != host:
            words.append(f"REFUSED: its ClientHello is for {hello.server_name or 'nobody'}")
            return
        streams[1].write(hello.raw)
        sent, received = await _both(reader, writer, *streams)
        words.append(f"{len(hello.raw) + sent}B out {received}B in")

    async def _open(self, host: str, words: list[object]) -> Streams | None:
        """A connection to the first public address of `host`; None when any of its addresses is not public."""
        async with asyncio.timeout(_CONNECT_S):
            addresses = await self._find(host)
            if not addresses or not all(map(public, addresses)):
                return None
            words.append(addresses[0])
            return await self._connect(addresses[0])


def _refuse(writer: asyncio.StreamWriter, words: list[object], status: str, why: str) -> None:
    """Answer with the reason where programs show it: behind the status, and as the body."""
    words.append(f"REFUSED: {why}")
    body = f"The lane's proxy refuses this host: {why}.\n".encode()
    head = f"HTTP/1.1 {status}: {why}\r\ncontent-type: text/plain\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)


def public(address: str) -> bool:
    """True for an address of the open internet; False for private, local, metadata, multicast and tunnelled ones."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and (
        parsed.ipv4_mapped is not None or any(parsed in network for network in _TUNNELS)
    ):
        return False
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved


def _covers(pattern: str, host: str) -> bool:
    return host == pattern or (pattern.startswith("*.") and host.endswith(pattern[1:]))


async def _both(
    inner: asyncio.StreamReader,
    inner_out: asyncio.StreamWriter,
    outer: asyncio.StreamReader,
    outer_out: asyncio.StreamWriter,
) -> tuple[int, int]:
    """Pass bytes both ways until one side ends or is silent for too long; returns how many went each way."""
    counts = [0, 0]

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, n: int) -> None:
        while counts[n] < _MAX_BYTES:
            async with asyncio.timeout(_SILENT_S):
                chunk = await reader.read(_CHUNK)
                if not chunk:
                    break
                counts[n] += len(chunk)
                writer.write(chunk)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()

    with contextlib.suppress(OSError, TimeoutError):
        await asyncio.gather(pump(inner, outer_out, 0), pump(outer, inner_out, 1))
    return counts[0], counts[1]
