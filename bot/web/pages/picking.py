"""The form that keeps only the ticked parts of a diff, or leaves them out."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.web.pages.part_ticks import FIELD
from bot.web.pages.task_actions import finished, problem_of
from bot.web.site.session import Visitor
from bot.web.site.site_context import SiteContext, add_form, task_number
from core.model.errors import CountersignError, UsageError
from core.model.part_choice import PartChoice


def router(site: SiteContext) -> APIRouter:
    """The route of picking parts."""
    routes = APIRouter()

    async def pick(request: Request, visitor: Visitor, form: Mapping[str, str]) -> Response:
        number, names, actor = task_number(request), tuple(form[FIELD].split()), visitor.session.actor
        choice = PartChoice(names=names, leaves_out=form.get("do") == "leave")
        dedup = f"{visitor.session.id} {form.get('nonce', '')[:40]}"  # a form that is sent twice counts once
        try:
            if not names:
                raise UsageError("none_ticked", "nothing is ticked", "Tick the files or hunks that you mean.")
            await site.services.partial_changes.pick(number, choice, actor, form.get("digest", ""), dedup)
        except CountersignError as error:
            return await finished(site, request, problem_of(error))
        return await finished(site, request, None)

    add_form(routes, "/tasks/{number:int}/pick", pick, many=FIELD)
    return routes
