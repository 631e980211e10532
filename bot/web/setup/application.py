"""The application of the setup page; importing this module imports FastAPI."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response

from bot.web.setup.link import SetupLink
from bot.web.site.asset_response import asset_response
from bot.web.site.csrf import read_form
from bot.web.site.headers import SecurityHeaders
from bot.web.site.hosts import host_of, is_loopback
from bot.web.site.render import STATUS, Renderer
from bot.web.site.session import set_cookie
from bot.web.site.site_context import see_other
from core.log import fault_of, log
from core.model.errors import CountersignError, Kind, NotFoundError, Problem
from core.services.web_sessions import ABSOLUTE_S

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

FIRST_PAGE: Final = "/first-steps"
MakeHome = Callable[[str, str], Awaitable[str]]
"""Makes the home for a person, with the name of their browser; returns the secret of the session's cookie."""
_GONE: Final = "This link was used already, or is older than ten minutes. The terminal shows the one that works."


@dataclass(slots=True)
class SetupPage:
    """One form that names the first person; `done` is set once the home exists.

    The form is answered only when `stopped` returns: from then on the browser's next connection waits for the server
    that takes over.
    """

    link: SetupLink
    make_home: MakeHome
    stopped: Callable[[], Awaitable[None]]
    done: asyncio.Event = field(default_factory=asyncio.Event)
    _render: Renderer = field(default_factory=Renderer)
    _making: asyncio.Lock = field(default_factory=asyncio.Lock)

    def application(self) -> ASGIApp:
        """The ASGI application, which answers on this machine's own names only."""
        app = FastAPI(title="Countersign", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
        app.add_api_route("/setup/{secret}", self._open, methods=["GET"])
        app.add_api_route("/setup", self._set_up, methods=["POST"])
        app.add_api_route("/static/{name:path}", self._static, methods=["GET"])
        app.add_api_route("/{path:path}", self._elsewhere, methods=["GET", "POST"])
        app.add_exception_handler(CountersignError, self._problem)
        app.add_exception_handler(Exception, self._broken)
        return _OwnNamesOnly(SecurityHeaders(app))

    async def _open(self, request: Request) -> Response:
        secret = request.path_params["secret"]
        if not self.link.accepts(secret):
            return self._page(request, 403, "", reason=_GONE)
        return self._page(request, 200, secret)

    async def _set_up(self, request: Request) -> Response:
        form = await read_form(request)
        secret, name = form.get("secret", ""), form.get("name", "").strip()
        async with self._making:  # a form that is sent twice makes one home
            if not self.link.accepts(secret):
                return self._page(request, 403, "", reason=_GONE)
            try:
                cookie = await self.make_home(name, request.headers.get("user-agent", ""))
            except CountersignError as error:
                return self._page(request, STATUS[error.problem.kind], secret, name=name, problem=error.problem)
            self.link.end()
        response = see_other(FIRST_PAGE)
        response.headers["connection"] = "close"
        set_cookie(request, response, cookie, ABSOLUTE_S)
        self.done.set()
        await self.stopped()
        return response

    async def _static(self, request: Request) -> Response:
        return asset_response(self._render, request)

    async def _elsewhere(self, request: Request) -> Response:
        return self._page(request, 404, "", reason="This Countersign is not set up yet.")

    async def _problem(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, CountersignError)
        status = 404 if isinstance(error, NotFoundError) else STATUS[error.problem.kind]
        return self._page(request, status, "", problem=error.problem)

    async def _broken(self, request: Request, error: Exception) -> Response:
        log.error("setup_broke", **fault_of(error))
        problem = Problem(Kind.FAILED, "bug", "Setting up failed", "See the log of `countersign serve` for details.")
        return self._page(request, 500, "", problem=problem)

    def _page(
        self,
        request: Request,
        status: int,
        secret: str,
        *,
        name: str = "",
        reason: str = "",
        problem: Problem | None = None,
    ) -> Response:
        values = {"secret": secret, "name": name, "reason": reason, "problem": problem}
        return self._render.page(request, "setup.html", status, **values)


class _OwnNamesOnly:
    """Refuses requests that call this machine by another name (DNS rebinding, security.md 132)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not is_loopback(host_of(scope)):
            answer = PlainTextResponse("A new home is set up on the machine itself.\n", status_code=421)
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)
