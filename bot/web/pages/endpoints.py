"""The model servers and the hosts of workers, with their memory as bars; maintainers and the operator drain servers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.cards.inventory import endpoint_heading, endpoint_lines, node_lines
from bot.cards.safe import one_line
from bot.web.pages.memory_bars import endpoint_bars, node_bars
from bot.web.pages.permissions import may_operate
from bot.web.pages.queue import reason_in
from bot.web.site.session import Visitor
from bot.web.site.site_context import SiteContext, add_form, see_other, visitor_of


def router(site: SiteContext) -> APIRouter:
    """The routes of the endpoints."""
    routes = APIRouter()

    @routes.get("/endpoints")
    async def endpoints(request: Request) -> Response:
        now = datetime.now(UTC)
        rows = [status.to_json(now) for status in await site.services.inventory.endpoints()]
        nodes = [status.to_json() for status in await site.services.inventory.nodes()]
        values: dict[str, Any] = {
            "endpoints": [(row, endpoint_heading(row), endpoint_lines(row, now), endpoint_bars(row)) for row in rows],
            "nodes": [(one_line(row["name"]), node_lines(row, now), node_bars(row)) for row in nodes],
            "may_drain": may_operate(site.services.queue_control.settings(), visitor_of(request).session),
        }
        return site.render.page(request, "endpoints.html", **values)

    async def drain(_request: Request, visitor: Visitor, form: Mapping[str, str]) -> Response:
        await site.services.inventory.drain(visitor.session.actor, form.get("endpoint", ""), reason_in(form))
        return see_other("/endpoints")

    async def resume(_request: Request, visitor: Visitor, form: Mapping[str, str]) -> Response:
        await site.services.inventory.resume(visitor.session.actor, form.get("endpoint", ""))
        return see_other("/endpoints")

    add_form(routes, "/endpoints/drain", drain)
    add_form(routes, "/endpoints/resume", resume)
    return routes
