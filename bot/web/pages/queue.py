"""The queue: what runs, what comes next and why it waits; maintainers and the operator can pause and resume it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.cards.eta import short_forecast
from bot.web.site.session import Visitor
from bot.web.site.site_context import SiteContext, add_form, see_other, visitor_of
from core.model.job import JobState
from core.model.role import Role
from core.settings import SettingsSource

MAX_SHOWN: Final = 200


def router(site: SiteContext) -> APIRouter:
    """The routes of the queue."""
    routes = APIRouter()

    @routes.get("/queue")
    async def queue(request: Request) -> Response:
        return await _page(site, request, "")

    @routes.get("/queue/jobs")
    async def jobs(request: Request) -> Response:
        return await _page(site, request, "jobs")

    async def pause(_request: Request, visitor: Visitor, form: Mapping[str, str]) -> Response:
        await site.services.queue_control.pause(visitor.session.actor, form.get("reason", "").strip()[:500])
        return see_other("/queue")

    async def resume(_request: Request, visitor: Visitor, _form: Mapping[str, str]) -> Response:
        await site.services.queue_control.resume(visitor.session.actor)
        return see_other("/queue")

    add_form(routes, "/queue/pause", pause)
    add_form(routes, "/queue/resume", resume)
    return routes


async def _page(site: SiteContext, request: Request, block: str) -> Response:
    news = await site.services.queries.newest_event()
    queue = await site.services.queries.queue()
    session = visitor_of(request).session
    values: dict[str, Any] = {
        "paused": queue.paused,
        "pauses": queue.pauses,
        "rows": [(row, short_forecast(row.to_json())) for row in queue.rows[:MAX_SHOWN]],
        "count": len(queue.rows),
        "running": sum(1 for row in queue.rows if row.queued.job.state is JobState.RUNNING),
        "may_pause": may_pause(site.services.queue_control.settings, session.person, is_operator=session.is_operator),
        "news": news,
    }
    if block:
        return site.render.fragment(request, "queue.html", block, **values)
    return site.render.page(request, "queue.html", **values)


def may_pause(settings: SettingsSource, person: str | None, *, is_operator: bool) -> bool:
    """Whether to offer the form; the service decides when it is sent."""
    known = settings().people.get(person or "")
    return is_operator or (known is not None and known.may(Role.OPERATOR))
