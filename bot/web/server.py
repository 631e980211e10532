"""The HTTP server: Starlette's routes on uvicorn, inside our own event loop, with limits on who keeps it waiting."""

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

from bot.web.patience import MOST_CONNECTIONS, ConnectionLimits, TimeLimitedProtocol, connections_here
from core.model.errors import Kind, PermanentError

MOST_TASKS: Final = 2000
"""Requests that are answered at the same time; beyond that a request is told to come again (503)."""


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: whoever runs us decides when to stop."""

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
    """Serves `routes` on `host` and `port`; port 0 takes a free one, which `port` then says."""

    def __init__(
        self, routes: Sequence[BaseRoute], host: str, port: int, limits: ConnectionLimits | None = None
    ) -> None:
        app = Starlette(routes=[Route("/healthz", _alive), *routes])
        app.router.redirect_slashes = False  # it would lead to whatever host the request names
        limits = limits or ConnectionLimits(connections=connections_here(MOST_CONNECTIONS))
        self._config = uvicorn.Config(
            app,
            host=host,
            port=port,
            http=cast("type[asyncio.Protocol]", partial(TimeLimitedProtocol, limits=limits, waiting=OrderedDict())),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=max(MOST_TASKS, limits.connections + 1),
            timeout_keep_alive=15,
            timeout_graceful_shutdown=10,
        )
        self.started = asyncio.Event()
        self._server = _Server(self._config, self.started)
        self.port = port
        self.listening: Callable[[str], None] = lambda _address: None

    async def run(self) -> None:
        """Serve until cancelled; requests under way are finished. Raises `PermanentError` if the port is taken."""
        try:
            listening = self._config.bind_socket()
        except SystemExit as error:  # uvicorn's way to say that it cannot listen
            message = f"nothing can listen on {self._config.host}:{self._config.port}; it is in use, or not allowed"
            raise PermanentError("port_taken", message, "Choose another with --port.", kind=Kind.UNAVAILABLE) from error
        self.port = listening.getsockname()[1]
        serving = asyncio.create_task(self._server.serve(sockets=[listening]))
        ready = asyncio.create_task(self.started.wait())
        try:
            await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
            if self.started.is_set():
                self.listening(f"http://{self._config.host}:{self.port}")
            await asyncio.shield(serving)
        finally:
            ready.cancel()
            self._server.should_exit = True
            await serving
            listening.close()


async def _alive(_request: Request) -> PlainTextResponse:
    """That something answers, and nothing about it (security.md 131)."""
    return PlainTextResponse("ok")
