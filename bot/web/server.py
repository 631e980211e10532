"""The HTTP server: Starlette routes on uvicorn inside our own event loop, with limits for slow clients."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, cast

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Route

from bot.web.connections import MAX_CONNECTIONS, ConnectionLimits, TimeLimitedProtocol, connection_limit
from core.model.errors import Kind, PermanentError

MAX_TASKS: Final = 2000
"""Requests that are answered at the same time; further requests get status 503."""


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers, because the process decides when to stop."""

    def __init__(self, config: uvicorn.Config, ready: asyncio.Event) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class WebServer:
    """Serves `routes` on `host` and `port`; with port 0 the system chooses one, and `port` then holds it.

    With `listening` it serves that socket instead and leaves it open at the end, so that another server can take over
    without refusing a connection in between.

    `on_listening` is called with the base URL once the server accepts connections, `on_stopping` before it waits for
    open responses, so that endless ones end.
    """

    def __init__(
        self,
        routes: Sequence[BaseRoute],
        host: str,
        port: int,
        limits: ConnectionLimits | None = None,
        listening: socket.socket | None = None,
    ) -> None:
        self._listening = listening
        app = Starlette(routes=[Route("/healthz", _health), *routes])
        app.router.redirect_slashes = False  # a redirect would use the Host header of the request
        limits = limits or ConnectionLimits(connections=connection_limit(MAX_CONNECTIONS))
        self._config = uvicorn.Config(
            app,
            host=host,
            port=port,
            http=cast("type[asyncio.Protocol]", partial(TimeLimitedProtocol, limits=limits, incomplete=OrderedDict())),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=max(MAX_TASKS, limits.connections + 1),
            timeout_keep_alive=15,
            timeout_graceful_shutdown=10,
        )
        self.started = asyncio.Event()
        self._server = _Server(self._config, self.started)
        app.state.is_stopping = lambda: self._server.should_exit  # endless responses end then
        self.port = port
        self.on_listening: Callable[[str], None] = lambda _address: None
        self.on_stopping: Callable[[], None] = lambda: None

    async def run(self) -> None:
        """Serve until cancelled and finish requests under way; raises `PermanentError` if the port is taken."""
        bound = self._listening.dup() if self._listening is not None else self.bind()
        self.port = bound.getsockname()[1]
        server = asyncio.create_task(self._server.serve(sockets=[bound]))
        ready = asyncio.create_task(self.started.wait())
        try:
            await asyncio.wait({server, ready}, return_when=asyncio.FIRST_COMPLETED)
            if self.started.is_set():
                self.on_listening(f"http://{self._config.host}:{self.port}")
            await asyncio.shield(server)
        finally:
            ready.cancel()
            self.on_stopping()
            self._server.should_exit = True
            await server
            bound.close()

    @property
    def accepts(self) -> bool:
        """Whether new connections are still accepted; while it stops, only open ones are answered."""
        return any(server.is_serving() for server in self._server.servers)

    def bind(self) -> socket.socket:
        """A socket at the server's address; raises `PermanentError` if the port is taken."""
        try:
            return self._config.bind_socket()
        except SystemExit as error:  # uvicorn exits when it cannot bind the socket
            message = f"cannot listen on {self._config.host}:{self._config.port}: it is in use, or not permitted"
            raise PermanentError("port_taken", message, "Choose another --port.", kind=Kind.UNAVAILABLE) from error


async def _health(_request: Request) -> PlainTextResponse:
    """Answer that the server runs, and reveal nothing else (security.md 131)."""
    return PlainTextResponse("ok")
