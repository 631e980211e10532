"""The sessions of the visitor, and for maintainers and the operator those of everyone; each can be ended."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.web.site.session import Visitor, set_cookie
from bot.web.site.site_context import SiteContext, add_form, see_other, visitor_of


def router(site: SiteContext) -> APIRouter:
    """The routes of sessions."""
    routes = APIRouter()

    @routes.get("/sessions")
    async def sessions(request: Request) -> Response:
        session = visitor_of(request).session
        rows = await site.services.web_sessions.listed(session.actor)
        return site.render.page(request, "sessions.html", rows=rows, own=session.id)

    async def revoke(request: Request, visitor: Visitor, form: Mapping[str, str]) -> Response:
        session = form.get("session", "")
        await site.services.web_sessions.revoke(session, visitor.session.actor)
        return _signed_out(request) if session == visitor.session.id else see_other("/sessions")

    async def sign_out(request: Request, visitor: Visitor, _form: Mapping[str, str]) -> Response:
        await site.services.web_sessions.revoke(visitor.session.id, visitor.session.actor)
        return _signed_out(request)

    add_form(routes, "/sessions/revoke", revoke)
    add_form(routes, "/sign-out", sign_out)
    return routes


def _signed_out(request: Request) -> Response:
    response = see_other("/sign-in")
    set_cookie(request, response, "", 0)
    return response
