"""Asking for a change from a page: the words, and where one has to choose the repository and the lane."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.web.site.render import STATUS
from bot.web.site.session import Visitor
from bot.web.site.site_context import SiteContext, add_form, see_other, visitor_of
from core.model.errors import CountersignError
from core.rules.visibility import visibility_of, visible_names
from core.services.requests import NewRequest


def router(site: SiteContext) -> APIRouter:
    """The routes of new requests."""
    routes = APIRouter()

    @routes.get("/ask")
    async def form(request: Request) -> Response:
        return _page(site, request, {})

    async def ask(request: Request, visitor: Visitor, form: Mapping[str, str]) -> Response:
        nonce = form.get("nonce", "")[:40]
        new = NewRequest(
            text=form.get("text", "").replace("\r\n", "\n"),
            actor=visitor.session.actor,
            repo=form.get("repo") or None,
            lane=form.get("lane") or None,
            dedup=f"{visitor.session.id} {nonce}" if nonce else None,  # a form that is sent twice counts once
        )
        try:
            number = await site.services.requests.ask(new)
        except CountersignError as error:
            status = STATUS[error.problem.kind]
            return _page(site, request, form, status, problem=error.problem)
        return see_other(f"/tasks/{number}")

    add_form(routes, "/ask", ask)
    return routes


def _page(
    site: SiteContext, request: Request, form: Mapping[str, str], status: int = 200, problem: Any = None
) -> Response:
    settings, actor = site.services.queue_control.settings(), visitor_of(request).session.actor
    repositories = visible_names(settings, visibility_of(settings, actor))
    lanes = {name for repository in repositories for name in settings.policy.lanes_of(repository)}
    values = {
        "repositories": repositories,
        "lanes": [(name, settings.lanes[name].describe) for name in sorted(lanes)],
        "typed": {name: form.get(name, "") for name in ("text", "repo", "lane")},
        "nonce": secrets.token_urlsafe(12),
        "problem": problem,
    }
    return site.render.page(request, "new_request.html", status, **values)
