"""Time and size limits for HTTP connections, and which connection is closed when there are too many.

uvicorn waits forever for a request's headers and body, keeps a connection open after a response whose request was not
read, and answers 503 to all clients while too many connections are open, even if one client holds them all.
"""

from __future__ import annotations

import asyncio
import sys
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_CONNECTIONS: Final = 2000


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits of one client's request: times in seconds, sizes in bytes.

    `headers_s` limits the request's headers and `request_s` the whole request, both measured from its first byte or
    from the start of the connection (security.md 120). For `linger_s` after an early response, further bytes are
    accepted and discarded so that the response arrives. At most `connections` are open: a new one closes the one whose
    request has been incomplete for longest.
    """

    headers_s: float = 10.0
    request_s: float = 30.0
    linger_s: float = 2.0
    header_bytes: int = 64 * 1024
    connections: int = MAX_CONNECTIONS


IncompleteRequests = OrderedDict["TimeLimitedProtocol", None]
"""The connections whose request is incomplete, the oldest first."""


class TimeLimitedProtocol(HttpToolsProtocol):
    """One connection with limits; httptools refuses ambiguous requests.

    Ambiguous are Content-Length beside Transfer-Encoding, bare line feeds and folded headers (RFC 9112, 2.2, 5.2, 6.3).
    """

    def __init__(self, *args: Any, limits: ConnectionLimits, incomplete: IncompleteRequests, **rest: Any) -> None:
        super().__init__(*args, **rest)
        self._limits, self._incomplete = limits, incomplete
        self._deadline: asyncio.TimerHandle | None = None
        self._header_bytes = 0
        self._complete = False  # the current request was received whole
        self._ending = False  # it was answered before that: further bytes are discarded

    def connection_made(self, transport: Any) -> None:
        """Accept a connection; when there are too many, close the one that is slowest."""
        while len(self.connections) >= self._limits.connections and self._incomplete:
            oldest, _ = self._incomplete.popitem(last=False)
            self.connections.discard(oldest)  # it stays open briefly but no longer counts
            oldest.disconnect()
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:  # all others have a request under way
            transport.abort()
        self._start_deadline(self._limits.headers_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection was closed."""
        self._clear_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of a request arrived, or bytes to discard."""
        if self._ending:
            return
        if self._deadline is None and self._is_idle():
            self._start_deadline(self._limits.headers_s)  # the first bytes of the next request
        self._header_bytes += len(data)
        super().data_received(data)
        if self._header_bytes > self._limits.header_bytes and not self.transport.is_closing():
            self.send_400_response("The headers are too long.")

    def on_message_begin(self) -> None:
        """A request begins."""
        self._complete = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The headers were received and the request goes to the routes."""
        self._header_bytes = -sys.maxsize
        self._start_deadline(self._limits.request_s - self._limits.headers_s)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request was received whole."""
        self._complete, self._header_bytes = True, 0
        self._clear_deadline()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The response was sent; the connection ends if its request was not read to the end."""
        if self._complete or self.transport.is_closing():
            super().on_response_complete()
            if self._is_idle():  # until the next request or uvicorn's keep-alive limit
                self._incomplete[self] = None
            return
        self._ending = True
        self._clear_deadline()
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._deadline = self.loop.call_later(self._limits.linger_s, self.disconnect)

    def disconnect(self) -> None:
        """Close the connection now."""
        if not self.transport.is_closing():
            self.transport.abort() if self._ending else self.transport.close()

    def _is_idle(self) -> bool:
        """Whether no request is under way."""
        cycle: object = self.cycle  # None before the first request, which uvicorn's types do not say
        return cycle is None or self.cycle.response_complete

    def _start_deadline(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, self.disconnect)
        self._incomplete.setdefault(self)

    def _clear_deadline(self) -> None:
        """Stop the deadline of the request."""
        self._incomplete.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def connection_limit(requested: int) -> int:
    """`requested`, or half of the file descriptors that the process may open if that is less."""
    if sys.platform == "win32":
        return requested
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return requested if soft == resource.RLIM_INFINITY else max(16, min(requested, soft // 2))
