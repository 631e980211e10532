"""Who visits: a session cookie leads to a person, and no page but the sign-in is reachable without one.

By https the cookie is ``__Host-countersign``: Secure, for this host alone. By plain http, which is accepted on this
machine's own names only, it is ``countersign-PORT`` without Secure, because Safari keeps no Secure cookie from http.
Browsers do not separate cookies by port, so any other server on this machine that the same browser visits receives that
cookie; use https, or a browser profile of its own, on a machine that others share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Final

from bot.web.site.csrf import token_of
from bot.web.site.hosts import host_of, is_loopback

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from core.services.web_sessions import BrowserClient, WebSession, WebSessions

PUBLIC: Final = ("/sign-in", "/static/")
"""What is answered without a session: how to sign in, and files that everyone can have from the package."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """The person behind a request, with the cookie of their session."""

    session: WebSession
    cookie: str

    @property
    def csrf(self) -> str:
        """The token for the forms of their pages."""
        return token_of(self.cookie)


class RequireSession:
    """Passes requests to `app` with their `Visitor`, and those without one to `refuse`, unless the path is public."""

    def __init__(self, app: ASGIApp, sessions: WebSessions, refuse: Callable[[Request], Response]) -> None:
        self.app, self._sessions, self._refuse = app, sessions, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        from starlette.requests import Request

        request = Request(scope, receive)
        cookie = cookie_of(request)
        session = await self._sessions.of_cookie(cookie) if cookie else None
        if session is not None and cookie is not None:
            request.state.visitor = Visitor(session, cookie)
        elif not is_public(path_of(scope)):
            await self._refuse(request)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def is_public(path: str) -> bool:
    """Whether a path is answered without a session."""
    return path == PUBLIC[0] or path.startswith((f"{PUBLIC[0]}/", PUBLIC[1]))


def path_of(scope: Scope) -> str:
    """The path of a request, whatever the pages are mounted under."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")) or "/"


def cookie_name(request: Request) -> str:
    """The name of the session's cookie under the host of this request."""
    host = host_of(request.scope)
    if not is_loopback(host):
        return "__Host-countersign"
    port = host.rpartition(":")[2]
    return f"countersign-{port}" if port.isdecimal() else "countersign"


def cookie_of(request: Request) -> str | None:
    """The session's cookie, or None."""
    return cookie_value(request, cookie_name(request))


def cookie_value(request: Request, name: str) -> str | None:
    """The value of a cookie, or None if there is none or it is longer than ours are."""
    jar: SimpleCookie = SimpleCookie()
    try:
        for header in request.headers.getlist("cookie"):
            jar.load(header)
    except CookieError:
        return None
    morsel = jar.get(name)
    return morsel.value if morsel is not None and len(morsel.value) <= 200 else None


def client_of(request: Request) -> BrowserClient:
    """The browser of a request; its address is that of the connection, because no header is trusted."""
    from core.services.web_sessions import BrowserClient

    return BrowserClient(request.headers.get("user-agent", ""), request.client.host if request.client else "")


def set_cookie(request: Request, response: Response, secret: str, max_age_s: int) -> None:
    """Set the session's cookie; with `max_age_s` 0 it is removed."""
    response.set_cookie(
        cookie_name(request),
        secret,
        max_age=max_age_s,
        path="/",
        secure=not is_loopback(host_of(request.scope)),
        httponly=True,
        samesite="strict",
    )
