"""The proxy to the hosts that a lane file lists: opens https connections to them and logs each one.

Only CONNECT is supported. The proxy resolves the name and connects; then the TLS ClientHello must name the same host. A
name with an address in a private network is refused.
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

_HEADER_S: Final = 10.0
_CONNECT_S: Final = 10.0
_IDLE_S: Final = 120.0
_MAX_HEADER_BYTES: Final = 16 * 1024
_MAX_BYTES: Final = 1024 * 1024 * 1024
_MAX_CONNECTIONS: Final = 32
_CHUNK: Final = 64 * 1024
_HTTPS: Final = 443
_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
_TUNNELS: Final = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16")))

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def resolve(host: str) -> list[str]:
    """The addresses of a host."""
    entries = await asyncio.get_running_loop().getaddrinfo(host, _HTTPS, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


async def connect_https(address: str) -> Streams:
    """A connection to the https port of an address."""
    return await asyncio.open_connection(address, _HTTPS)


class EgressProxy:
    """The proxy of one run, an async context manager; `hosts` are names, or ``*.name`` for all names below one."""

    def __init__(
        self,
        hosts: tuple[str, ...],
        log: EgressLog | None = None,
        resolve_host: Callable[[str], Awaitable[list[str]]] = resolve,
        connect: Callable[[str], Awaitable[Streams]] = connect_https,
    ) -> None:
        self._hosts = tuple(host.casefold() for host in hosts)
        self.log = log or EgressLog()
        self._resolve, self._connect = resolve_host, connect
        self._folder, self._stack = Path(), contextlib.ExitStack()
        self._server: asyncio.Server | None = None
        self._slots = asyncio.Semaphore(_MAX_CONNECTIONS)
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def socket(self) -> Path:
        """The unix socket of the proxy."""
        return self._folder / "hosts.sock"

    async def __aenter__(self) -> Self:
        """Start listening."""
        await asyncio.to_thread(remove_abandoned, None, SOCKET_PREFIX)
        self._folder = self._stack.enter_context(locked_folder(prefix=SOCKET_PREFIX))
        self._server = await asyncio.start_unix_server(self._accept, path=self.socket, limit=_MAX_HEADER_BYTES)
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
        """Why a host is refused; empty if it is allowed."""
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
        started_s = time.monotonic()
        log_fields: list[object] = ["CONNECT"]
        try:
            async with self._slots:
                await self._serve(reader, writer, log_fields)
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
            log_fields.append(f"ended: {type(error).__name__}")
        finally:
            self.log.add(*log_fields, f"{int((time.monotonic() - started_s) * 1000)}ms")
            writer.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, log_fields: list[object]
    ) -> None:
        async with asyncio.timeout(_HEADER_S):
            head = await reader.readuntil(b"\r\n\r\n")
        request = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(request) != 3 or request[0] != "CONNECT":
            _refuse(writer, log_fields, "405 Method Not Allowed", "only CONNECT, for https, is supported")
            return
        host, _, port = request[1].rpartition(":")
        host = host.casefold().removesuffix(".")
        log_fields.append(request[1])
        reason = self.refusal(host, port)
        if reason:
            _refuse(writer, log_fields, "403 Forbidden", reason)
            return
        try:
            streams = await self._open(host, log_fields)
        except (OSError, TimeoutError) as error:
            _refuse(writer, log_fields, "502 Bad Gateway", f"it cannot be reached ({type(error).__name__})")
            return
        if streams is None:
            _refuse(writer, log_fields, "403 Forbidden", "it has no public address")
            return
        try:
            await self._relay(host, reader, writer, streams, log_fields)
        finally:
            streams[1].close()

    async def _relay(
        self,
        host: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        streams: Streams,
        log_fields: list[object],
    ) -> None:
        """Relay a connection if its ClientHello names `host`."""
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            async with asyncio.timeout(_HEADER_S):
                hello = await ClientHello.read(reader)
        except (ValueError, asyncio.IncompleteReadError):
            log_fields.append("REFUSED: it does not begin with a TLS ClientHello")
            return
        if hello.server_name != host:
            log_fields.append(f"REFUSED: its ClientHello is for {hello.server_name or 'no host'}")
            return
        streams[1].write(hello.raw)
        sent, received = await _relay_both_ways(reader, writer, *streams)
        log_fields.append(f"{len(hello.raw) + sent}B out {received}B in")

    async def _open(self, host: str, log_fields: list[object]) -> Streams | None:
        """A connection to the first public address of `host`; None when any of its addresses is not public."""
        async with asyncio.timeout(_CONNECT_S):
            addresses = await self._resolve(host)
            if not addresses or not all(map(is_public, addresses)):
                return None
            log_fields.append(addresses[0])
            return await self._connect(addresses[0])


def _refuse(writer: asyncio.StreamWriter, log_fields: list[object], status: str, reason: str) -> None:
    """Answer with the reason in the status line and the body, since programs show one of them."""
    log_fields.append(f"REFUSED: {reason}")
    body = f"The lane's proxy refuses this host: {reason}.\n".encode()
    head = f"HTTP/1.1 {status}: {reason}\r\ncontent-type: text/plain\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)


def is_public(address: str) -> bool:
    """True for a public internet address; False for private, local, metadata, multicast and tunnelled addresses."""
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


async def _relay_both_ways(
    inner: asyncio.StreamReader,
    inner_out: asyncio.StreamWriter,
    outer: asyncio.StreamReader,
    outer_out: asyncio.StreamWriter,
) -> tuple[int, int]:
    """Relay bytes both ways until one side ends or is idle for too long; the number of bytes sent and received."""
    counts = [0, 0]

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, n: int) -> None:
        while counts[n] < _MAX_BYTES:
            async with asyncio.timeout(_IDLE_S):
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
