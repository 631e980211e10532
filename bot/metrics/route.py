"""The route /metrics, for those who have the token, or without a token for programs on this host."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from bot.metrics.settings import MetricsSettings
from bot.web.site.hosts import host_of, is_loopback
from core.log import log
from core.model.errors import CountersignError

if TYPE_CHECKING:
    from core.model.metric import MetricSample

PATH: Final = "/metrics"
_LOCAL: Final = frozenset({"127.0.0.1", "::1"})
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
ReadSamples = Callable[[], Awaitable[Sequence["MetricSample"]]]


def metrics_routes(settings: Callable[[], MetricsSettings | None], read: ReadSamples) -> list[BaseRoute]:
    """The route, for the web server; each scrape reads the database once, one at a time."""
    lock = asyncio.Lock()

    async def metrics(request: Request) -> Response:
        current = settings()
        if current is None:
            return PlainTextResponse("Metrics are off. Add the section metrics: to countersign.yaml.\n", 404)
        if not _may_read(request, current):
            return _refusal(current)
        from bot.metrics.exposition import CONTENT_TYPE, exposition

        try:
            async with lock:
                samples = await read()
        except CountersignError as error:
            log.warning("metrics_not_read", problem=error.problem.message)
            return PlainTextResponse("The database cannot be read now.\n", 503)
        return Response(exposition(samples), headers={"content-type": CONTENT_TYPE, "cache-control": "no-store"})

    return [Route(PATH, metrics, methods=["GET"])]


def _refusal(settings: MetricsSettings) -> Response:
    if settings.token is None:
        return PlainTextResponse("Without a token, metrics are answered to programs on this host only.\n", 403)
    message = "Send the token of the metrics as a bearer token.\n"
    return PlainTextResponse(message, 401, {"www-authenticate": "Bearer"})


def _may_read(request: Request, settings: MetricsSettings) -> bool:
    """Whether a request has the token or, where none is set, comes from this host and not through a proxy on it."""
    if settings.token is not None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        is_given = hmac.compare_digest(given.strip().encode(), settings.token.encode())
        return scheme.lower() == "bearer" and is_given
    is_forwarded = any(name in request.headers for name in _FORWARDED)
    is_local = request.client is not None and request.client.host in _LOCAL
    return is_local and is_loopback(host_of(request.scope)) and not is_forwarded
