"""The list of tasks, the newest first, by state; a page goes on where the last one ended."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.web.site.site_context import MAX_NUMBER, SiteContext, visitor_of
from core.model.errors import UsageError
from core.model.lifecycle import State
from core.model.task_filter import TaskFilter

PAGE: Final = 50


def router(site: SiteContext) -> APIRouter:
    """The routes of the list of tasks."""
    routes = APIRouter()

    @routes.get("/tasks")
    async def tasks(request: Request) -> Response:
        state, before = _state(request), _before(request)
        wanted = TaskFilter(state=state, before=before)
        page = await site.services.task_search.page(wanted, PAGE, visitor_of(request).session.actor)
        values: dict[str, Any] = {
            "rows": page.tasks,
            "older": page.next_before,
            "before": before,
            "state": state.value if state else "",
            "states": [each.value for each in State],
        }
        return site.render.page(request, "tasks.html", **values)

    return routes


def _state(request: Request) -> State | None:
    value = request.query_params.get("state", "")
    if not value:
        return None
    try:
        return State(value)
    except ValueError as error:
        raise UsageError("bad_state", "there is no such state", "Choose one from the list.") from error


def _before(request: Request) -> int | None:
    value = request.query_params.get("before", "")
    if not value:
        return None
    if not (value.isascii() and value.isdecimal() and int(value[:12]) <= MAX_NUMBER):
        raise UsageError("bad_number", "that is not the number of a task", "Begin with the newest tasks.")
    return int(value)
