"""The gallery of lanes: search, export, and, for admins, import with a comparison before anything is written."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.web.pages.permissions import may_operate
from bot.web.pages.policy_words import lane_words
from bot.web.pages.task_files import attachment
from bot.web.site.render import STATUS
from bot.web.site.services import ComparedLane
from bot.web.site.session import Visitor
from bot.web.site.site_context import SiteContext, add_form, visitor_of
from core.model.errors import CountersignError, Problem, RefusedError
from core.rules.visibility import visibility_of
from core.services.web_sessions import WebSession
from core.settings import Settings


def router(site: SiteContext) -> APIRouter:
    """The routes of the gallery."""
    routes = APIRouter()

    @routes.get("/lanes")
    async def gallery(request: Request) -> Response:
        return await _page(site, request)

    @routes.get("/lanes/{name}/file")
    async def export(request: Request) -> Response:
        name, settings = request.path_params["name"], site.services.queue_control.settings()
        hidden = not _may_export(settings, visitor_of(request).session)
        text = await asyncio.to_thread(lambda: site.services.lane_gallery.exported(name, only_templates=hidden))
        return attachment(f"{name}.yaml", text.encode())

    async def check(request: Request, visitor: Visitor, form: Mapping[str, str]) -> Response:
        services = site.services
        services.lane_gallery.check(visitor.session.actor)
        text = form.get("text", "").replace("\r\n", "\n")
        try:
            if template := form.get("template", "")[:40]:
                text = await asyncio.to_thread(services.lane_gallery.exported, template, only_templates=True)
            preview = await asyncio.to_thread(services.lane_gallery.previewed, text)
        except CountersignError as error:
            return await _page(site, request, text=text, problem=error.problem)
        return await _page(site, request, text=text, preview=preview)

    async def add(request: Request, visitor: Visitor, form: Mapping[str, str]) -> Response:
        text = form.get("text", "").replace("\r\n", "\n")
        actor = visitor.session.actor
        try:
            added = await site.services.lane_gallery.add(text, form.get("replaces", "")[:64], actor)
        except RefusedError:
            raise
        except CountersignError as error:
            return await _page(site, request, text=text, problem=error.problem)
        return await _page(site, request, added=added)

    add_form(routes, "/lanes/check", check)
    add_form(routes, "/lanes/add", add)
    return routes


async def _page(
    site: SiteContext,
    request: Request,
    *,
    text: str = "",
    preview: ComparedLane | None = None,
    added: tuple[str, str | None] | None = None,
    problem: Problem | None = None,
) -> Response:
    services, session = site.services, visitor_of(request).session
    settings, word = services.queue_control.settings(), request.query_params.get("q", "").strip()[:100]
    try:
        services.lane_gallery.check(session.actor)
        may_import = True
    except RefusedError:
        may_import = False
    found = await asyncio.to_thread(services.lane_gallery.listed, word)
    may_export, sees_home = _may_export(settings, session), visibility_of(settings, session.actor).is_whole
    values: dict[str, Any] = {
        "groups": [
            (title, [(lane, _facts(settings, lane)) for each, lane in found if each is is_template], is_template)
            for title, is_template in (("Lanes of this home", False), ("Templates", True))
            if is_template or sees_home
        ],
        "word": word,
        "may_import": may_import,
        "may_export": may_export,
        "text": text,
        "preview": preview,
        "added": added,
        "problem": problem,
    }
    return site.render.page(request, "lanes.html", STATUS[problem.kind] if problem else 200, **values)


def _may_export(settings: Settings, session: WebSession) -> bool:
    """Whether a visitor may read the files of the home's lanes, which may name what is private, or another team's."""
    return may_operate(settings, session) and visibility_of(settings, session.actor).is_whole


def _facts(settings: Any, lane: Any) -> list[tuple[str, str]]:
    """What people choose a lane by: what it writes, how, and what it needs and asks for."""
    chosen = ("writes", "made by", "models", "needs", "asks for")
    return [(label, settings.mask(words)) for label, words in lane_words(lane) if label in chosen]
