"""Routes of the audit trail: pages of events, and a stream of new ones that a client can resume."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from bot.web.api.bodies import time_of
from bot.web.api.endpoint import endpoint, json_response, services_of, token_of
from bot.web.api.event_feed import EventFeed
from bot.web.api.problems import ApiError
from bot.web.api.services import ApiServices
from bot.web.api.strict import StrictRoute
from core.model.api_token import ApiToken, TokenScope
from core.model.event import Event

router = APIRouter(route_class=StrictRoute)

HEARTBEAT_S: Final = 15.0
MAX_ID: Final = 2**53
_RETRY_MS: Final = 2000
_TASK = Annotated[int | None, Query(ge=1, lt=2**31, description="Only events of this task.")]
_LAST_ID: Final[dict[str, Any]] = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "The id of the last event that was received; the stream goes on after it.",
    "schema": {"type": "string", "pattern": "^[0-9]{1,15}$"},
}


@endpoint(router, "GET", "/events", TokenScope.READ, {200: "EventPage"})
async def list_events(
    request: Request,
    task: _TASK = None,
    since: Annotated[str | None, Query(max_length=64, description="RFC 3339, with a zone.")] = None,
    after: Annotated[int, Query(ge=0, le=MAX_ID, description="Only events after the one with this id.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> Response:
    """The audit trail, oldest first, a page at a time; `last_id` is the `after` of the next page."""
    page = await services_of(request).queries.visible_events(
        token_of(request).actor(), after_id=after, number=task, since=time_of(since, "since"), limit=limit
    )
    return json_response({"events": [event.to_json() for event in page.events], "last_id": page.last_id})


@endpoint(router, "GET", "/events/stream", TokenScope.READ, {200: "Stream"}, parameters=(_LAST_ID,), also=(400,))
async def stream_events(request: Request, task: _TASK = None) -> Response:
    """New events as server-sent events; after a break send the last id in Last-Event-ID, and nothing is missed."""
    services, token = services_of(request), token_of(request)
    actor, header = token.actor(), request.headers.get("last-event-id")
    if header is not None and not (header.isascii() and header.isdecimal() and int(header[:16]) <= MAX_ID):
        raise ApiError(400, "bad_event_id", "Last-Event-ID is not the id of an event", "Send the id of one, or none.")
    last_id = int(header) if header is not None else await services.queries.newest_event()
    # fail before the response begins
    await services.queries.visible_events(actor, after_id=MAX_ID, number=task, limit=1)
    feed: EventFeed = request.app.state.event_feed
    feed.check(token.id)
    stream = _Stream(services, feed, token, task, last_id)
    headers = {"X-Accel-Buffering": "no"}  # else nginx holds events back
    return StreamingResponse(stream.lines(), media_type="text/event-stream", headers=headers)


@dataclass(slots=True)
class _Stream:
    """One open stream."""

    services: ApiServices
    feed: EventFeed
    token: ApiToken
    task: int | None
    last_id: int

    async def lines(self) -> AsyncIterator[str]:
        """The text of the stream; it ends when the token ceases to be valid or the server stops."""
        async with self.feed.opened(self.token.id):
            yield f"retry: {_RETRY_MS}\n\n"
            while not self.feed.is_stopping():
                async for text in self._new_events():
                    yield text
                if not await self.feed.wait_after(self.last_id, HEARTBEAT_S):
                    yield ": nothing new\n\n"
                if not await self.services.api_tokens.is_valid(self.token):
                    return

    async def _new_events(self) -> AsyncIterator[str]:
        while True:
            page = await self.services.queries.visible_events(
                self.token.actor(), after_id=self.last_id, number=self.task, limit=200
            )
            for event in page.events:
                yield _text(event)
            if page.last_id == self.last_id:
                return
            self.last_id = page.last_id


def _text(event: Event) -> str:
    """An event in the format of https://html.spec.whatwg.org/multipage/server-sent-events.html."""
    return f"id: {event.id}\nevent: {event.kind}\ndata: {json.dumps(event.to_json())}\n\n"
