"""The stream of news for open pages (see `bot.web.site.live`)."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response, StreamingResponse

from bot.web.site.site_context import SiteContext, visitor_of


def router(site: SiteContext) -> APIRouter:
    """The route of the stream."""
    routes = APIRouter()

    @routes.get("/news")
    async def news(request: Request) -> Response:
        if site.live.is_full:
            return PlainTextResponse("Too many pages are open.\n", 503, {"retry-after": "60"})
        visitor = visitor_of(request)
        cookie = visitor.cookie

        async def still_allowed() -> bool:
            return await site.services.web_sessions.of_cookie(cookie) is not None

        after = request.headers.get("last-event-id") or request.query_params.get("after", "")
        last = int(after) if after.isascii() and after.isdecimal() and len(after) < 16 else 0
        if not last:
            last = await site.services.queries.newest_event()
        stream = site.live.stream(last, visitor.session.actor, still_allowed)
        return StreamingResponse(stream, media_type="text/event-stream")

    return routes
