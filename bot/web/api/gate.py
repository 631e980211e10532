"""The gate of the API: decides who calls before anything else happens, FastAPI's import included.

Tokens come in the Authorization header alone. Cookies are never read, so another site cannot act for a signed-in
person; a request that a web page of any origin made is refused, and no CORS header is ever sent.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.routing import BaseRoute, Mount

from bot.web.api.mount import PATH, TOKEN
from bot.web.api.problems import ApiError, problem_response
from bot.web.api.rates import ApiQuotas, Quotas, QuotaState
from core.model.api_token import ApiToken
from core.model.errors import CountersignError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from bot.web.api.services import ApiServices

_IN_QUERY: Final = frozenset({"token", "access_token", "api_key", "apikey", "api_token", "authorization", "bearer"})
_CHALLENGE: Final = 'Bearer realm="countersign"'
_MAX_TOKEN: Final = 200
_SAFE: Final = frozenset({"GET", "HEAD"})
_ALWAYS: Final = {
    b"x-content-type-options": b"nosniff",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'; sandbox",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
}


Build = Callable[[Any], "ASGIApp"]
"""Builds what is behind a gate, for the server's Starlette application; called in a thread, once."""


def api_routes(services: ApiServices, quotas: ApiQuotas | None = None) -> list[BaseRoute]:
    """The routes of the API, for the web server."""
    return [_WholePath(PATH, ApiGate(services, lambda server: _build(services, server), quotas or ApiQuotas()))]


class _WholePath(Mount):
    """A mount that also takes paths with line breaks, so that the API answers them as it answers all others."""

    def __init__(self, path: str, app: ASGIApp) -> None:
        super().__init__(path, app)
        self.path_regex = re.compile(self.path_regex.pattern, re.DOTALL)


class ApiGate:
    """The ASGI application at a path: authenticates, limits, and hands on to what `build` returns."""

    def __init__(self, services: ApiServices, build: Build, policies: ApiQuotas) -> None:
        self._services = services
        self._build = build
        self._policies = policies
        self._quotas = Quotas(time.monotonic)
        self._building = asyncio.Lock()
        self._application: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        quota: QuotaState | None = None

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_headers(message, quota)
            await send(message)

        try:
            token = await self._token(scope)
            policy = self._policies.read if scope["method"] in _SAFE else self._policies.write
            quota = self._quotas.take(policy, token.id)
            if quota.is_exceeded:
                message = f"this token made more than {policy.quota} requests in {policy.window_s} s"
                raise ApiError(429, "too_many_requests", message, f"Wait {quota.reset_s} s.")
        except CountersignError as error:
            await problem_response(error)(scope, receive, send_with_headers)
            return
        await (await self._built(scope["app"]))({**scope, TOKEN: token}, receive, send_with_headers)

    async def _token(self, scope: Scope) -> ApiToken:
        """The valid token of a request; raises `ApiError`."""
        headers = Headers(scope=scope)
        if "origin" in headers:
            mend = "Call the API from a program, with a token in the Authorization header."
            raise ApiError(403, "from_a_page", "the API does not answer web pages", mend)
        names = {name.lower() for name, _ in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)}
        if names & _IN_QUERY:
            mend = "Send it in the Authorization header, and revoke it: addresses are logged on the way."
            raise _unauthorized("token_in_query", "a token must not be in the address", mend)
        token = await self._authenticated(headers.getlist("authorization"))
        if token is not None:  # also where others behind the same proxy send wrong ones
            return token
        failures = self._quotas.take(self._policies.wrong_tokens, scope["client"][0] if scope.get("client") else "")
        if failures.is_exceeded:
            message = "too many requests with a wrong token came from this address"
            raise ApiError(429, "too_many_failures", message, f"Wait {failures.reset_s} s.", failures.headers)
        mend = "Create one with `countersign tokens create`, and send it as `Authorization: Bearer TOKEN`."
        raise _unauthorized("bad_token", "the token is missing, unknown, expired or revoked", mend)

    async def _authenticated(self, values: list[str]) -> ApiToken | None:
        if len(values) != 1:
            return None
        scheme, _, text = values[0].partition(" ")
        if scheme.lower() != "bearer" or len(text) > _MAX_TOKEN:
            return None
        return await self._services.api_tokens.authenticate(text.strip())

    async def _built(self, server: Any) -> ASGIApp:
        """The application behind the gate, imported and built in a thread for the first request."""
        if self._application is None:
            async with self._building:
                if self._application is None:
                    self._application = await asyncio.to_thread(self._build, server)
        return self._application


def _build(services: ApiServices, server: Any) -> ASGIApp:
    """The application for the Starlette application `server`, which knows whether it is stopping."""
    from bot.web.api.application import build_application

    return build_application(services, getattr(server.state, "is_stopping", lambda: False))


def _unauthorized(code: str, message: str, mend: str) -> ApiError:
    return ApiError(401, code, message, mend, {"WWW-Authenticate": _CHALLENGE})


def _add_headers(message: MutableMapping[str, Any], quota: QuotaState | None) -> None:
    """Add what every response has: against sniffing and caching, and the state of the quota."""
    headers: list[tuple[bytes, bytes]] = list(message["headers"])
    present = {name.lower() for name, _ in headers}
    headers += [item for item in _ALWAYS.items() if item[0] not in present]
    if b"cache-control" not in present:
        headers.append((b"cache-control", b"no-store"))
    if quota is not None:
        headers += [(name.lower().encode(), value.encode()) for name, value in quota.headers.items()]
    message["headers"] = headers
