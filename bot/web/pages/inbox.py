"""The inbox: what waits for the person who looks, that for them alone first."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.cards.build import build_card
from bot.cards.times import duration
from bot.web.site.site_context import SiteContext, visitor_of
from core.services.attention import InboxItem, PersonalInbox

VERBS = {"approve": "Review", "answer": "Answer", "reply": "Look", "merge": "Look", "extend": "Answer"}
"""What the button of an item says."""
REASONS = {
    "approve": "waits for your approval",
    "answer": "asks you something",
    "reply": "did not work out; reply to it, or leave it",
    "merge": "may be merged",
    "extend": "used up its budget; extend it, or end it",
}
"""Why an item is in the inbox."""


def router(site: SiteContext) -> APIRouter:
    """The routes of the inbox."""
    routes = APIRouter()

    @routes.get("/")
    async def inbox(request: Request) -> Response:
        return site.render.page(request, "inbox.html", **await _values(site, request))

    @routes.get("/inbox")
    async def inbox_items(request: Request) -> Response:
        return site.render.fragment(request, "inbox.html", "items", **await _values(site, request))

    return routes


async def _values(site: SiteContext, request: Request) -> dict[str, Any]:
    person = visitor_of(request).session.person
    news = await site.services.queries.newest_event()
    inbox = await site.services.attention.inbox(person) if person is not None else PersonalInbox((), False)
    return {
        "inbox": inbox,
        "items": [_item(item) for item in inbox.items],
        "news": news,
        "minutes": lambda count: duration(60 * count),
    }


def _item(item: InboxItem) -> dict[str, Any]:
    card = build_card(item.document.to_json(), now=datetime.now(UTC))
    action = item.action.value
    return {"card": card, "item": item, "verb": VERBS[action], "reason": REASONS[action]}
