"""Recurring requests: the list, and running, changing and deleting one for its author and those who operate."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.schedule.next_time import next_words
from bot.web.pages.permissions import may_operate
from bot.web.site.session import Visitor
from bot.web.site.site_context import SiteContext, add_form, see_other, visitor_of
from core.model.errors import UsageError
from core.model.schedule import PAUSED

MAX_SHOWN: Final = 500


def router(site: SiteContext) -> APIRouter:
    """The routes of recurring requests."""
    routes = APIRouter()

    @routes.get("/schedules")
    async def schedules(request: Request) -> Response:
        session = visitor_of(request).session
        settings = site.services.queue_control.settings()
        listed = await site.services.schedules.list(session.actor)
        operates, own = may_operate(settings, session), session.person
        values: dict[str, Any] = {
            "rows": [
                (
                    schedule,
                    next_words(schedule),
                    settings.mask(schedule.text),
                    operates or schedule.person == own,
                )
                for schedule in listed[:MAX_SHOWN]
            ],
            "more": max(0, len(listed) - MAX_SHOWN),
            "paused": PAUSED,
            "nonce": secrets.token_urlsafe(12),
        }
        return site.render.page(request, "schedules.html", **values)

    async def change(_request: Request, visitor: Visitor, form: Mapping[str, str]) -> Response:
        service, actor = site.services.schedules, visitor.session.actor
        changes = {"pause": service.pause, "resume": service.resume, "delete": service.remove}
        wanted = changes.get(form.get("do", ""))
        if wanted is None:
            raise UsageError("bad_change", "that cannot be done with a schedule", "Use the buttons of the page.")
        await wanted(form.get("schedule", "")[:100], actor)
        return see_other("/schedules")

    async def run(_request: Request, visitor: Visitor, form: Mapping[str, str]) -> Response:
        name, nonce = form.get("schedule", "")[:100], form.get("nonce", "")[:40]
        once = f"{visitor.session.id} {nonce}" if nonce else None  # a form that is sent twice counts once
        number = await site.services.schedule_runs.run_now(name, visitor.session.actor, once)
        return see_other(f"/tasks/{number}")

    add_form(routes, "/schedules/change", change)
    add_form(routes, "/schedules/run", run)
    return routes
