"""Patience with clients: how long a connection may take over a request, and who leaves when there are too many.

uvicorn waits for ever for a request's headers and body, keeps a connection open below an answer whose request was not
read, and answers 503 to everybody while too many connections are open, whoever holds them.
"""

from __future__ import annotations

import asyncio
import sys
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_CONNECTIONS: Final = 2000


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How long a client may take, in seconds, and how much it may bring.

    `headers_s` is for a request's headers and `request_s` for all of it, from its first byte or from the connection's
    beginning on (security.md 120). `linger_s` is how long bytes that nobody reads are still taken after an answer, so
    that the answer arrives. Of `connections` the one that has been at its request for longest leaves for a new one.
    """

    headers_s: float = 10.0
    request_s: float = 30.0
    linger_s: float = 2.0
    header_bytes: int = 64 * 1024
    connections: int = MOST_CONNECTIONS


Waiting = OrderedDict["TimeLimitedProtocol", None]
"""The connections whose request is not complete, the longest at it first."""


class TimeLimitedProtocol(HttpToolsProtocol):
    """One connection, with limits. httptools refuses what two programs could read as different requests.

    So are Content-Length beside Transfer-Encoding, bare line feeds and folded headers (RFC 9112, 2.2, 5.2, 6.3).
    """

    def __init__(self, *args: Any, limits: ConnectionLimits, waiting: Waiting, **rest: Any) -> None:
        super().__init__(*args, **rest)
        self._limits, self._waiting = limits, waiting
        self._deadline: asyncio.TimerHandle | None = None
        self._header_bytes = 0
        self._complete = False  # the request of now has come whole
        self._ending = False  # it was answered before that: whatever still comes is not read

    def connection_made(self, transport: Any) -> None:
        """Somebody has connected: where there are too many, the slowest leaves."""
        while len(self.connections) >= self._limits.connections and self._waiting:
            oldest, _ = self._waiting.popitem(last=False)
            self.connections.discard(oldest)  # it is still open for a moment, and counts no more
            oldest.leave()
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:  # every other one has its request under way
            transport.abort()
        self._wait(self._limits.headers_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._rest()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some bytes of a request, or what nobody reads any more."""
        if self._ending:
            return
        if self._deadline is None and self._is_idle():
            self._wait(self._limits.headers_s)  # the first bytes of another request
        self._header_bytes += len(data)
        super().data_received(data)
        if self._header_bytes > self._limits.header_bytes and not self.transport.is_closing():
            self.send_400_response("The headers are too long.")

    def on_message_begin(self) -> None:
        """A request begins."""
        self._complete = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The headers are there, and the request is on its way to the routes."""
        self._header_bytes = -sys.maxsize
        self._wait(self._limits.request_s - self._limits.headers_s)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request has come whole."""
        self._complete, self._header_bytes = True, 0
        self._rest()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer is sent; where the request was not read to its end, the connection ends with it."""
        if self._complete or self.transport.is_closing():
            super().on_response_complete()
            if self._is_idle():  # until the next request or uvicorn's own limit for that
                self._waiting[self] = None
            return
        self._ending = True
        self._rest()
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._deadline = self.loop.call_later(self._limits.linger_s, self.leave)

    def leave(self) -> None:
        """Close the connection now."""
        if not self.transport.is_closing():
            self.transport.abort() if self._ending else self.transport.close()

    def _is_idle(self) -> bool:
        """Whether no request is under way."""
        cycle: object = self.cycle  # None before the first request, which uvicorn's types do not say
        return cycle is None or self.cycle.response_complete

    def _wait(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, self.leave)
        self._waiting.setdefault(self)

    def _rest(self) -> None:
        """Nothing is waited for."""
        self._waiting.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def connections_here(wanted: int) -> int:
    """As many connections as the process may have open files for, with half of those left to everything else."""
    if sys.platform == "win32":
        return wanted
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else max(16, min(wanted, soft // 2))
