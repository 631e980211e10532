"""Two revisions of a task compared: the same view of lines as a diff, from one staged tree to the other."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from markupsafe import Markup

from bot.web.diff.files import DiffFile
from bot.web.diff.rows_html import Gap
from bot.web.diff.view import DiffFrame, view_part
from bot.web.pages.task_diff import chosen_view
from bot.web.site.site_context import SiteContext, task_number, visitor_of
from core.model.errors import NotFoundError
from core.services.revision_comparison import RevisionComparison


def router(site: SiteContext) -> APIRouter:
    """The route of comparisons."""
    routes = APIRouter()

    @routes.get("/tasks/{number:int}/compare")
    async def compare(request: Request) -> Response:
        number, actor = task_number(request), visitor_of(request).session.actor
        work = await site.services.task_works.of(number, actor)
        staged = [each.n for each in work.revisions if each.staged is not None and not each.staged.guard.blocked]
        values: dict[str, Any] = {
            "task": work.task,
            "staged": staged,
            "view": chosen_view(request),
            "compared": None,
            "files": [],
            "part": 0,
            "count": 0,
        }
        if len(staged) > 1 or "from" in request.query_params:
            first = _number(request, "from", staged[-2] if len(staged) > 1 else 0)
            second = _number(request, "to", staged[-1] if staged else 0)
            compared = await site.services.comparisons.of(number, first, second, actor)
            values |= await _shown(site, request, compared)
        return site.render.page(request, "comparison.html", **values)

    return routes


async def _shown(site: SiteContext, request: Request, compared: RevisionComparison) -> dict[str, Any]:
    """The chosen part of the differences."""
    key = f"{compared.first.staged.digest} {compared.second.staged.digest}"
    divided = await site.divider.divide(key, compared.content, [])
    part = _number(request, "part", 1) - 1
    if not 0 <= part < len(divided.parts):
        raise NotFoundError("no_such_part", "the comparison has no such part", "Begin with its first part.")
    files = await view_part(compared.content, divided.parts[part], {}, DiffFrame(chosen_view(request), _gap))
    return {"compared": compared, "files": files, "part": part, "count": len(divided.parts)}


def _gap(_file: DiffFile, gap: Gap) -> str:
    plural = "" if gap.count == 1 else "s"
    return Markup("⋯ {} unchanged line{}").format(gap.count, plural)


def _number(request: Request, name: str, default: int) -> int:
    value = request.query_params.get(name, "")
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 7 else default
