"""The sessions of the visitor, and for maintainers and the operator those of everyone; each can be ended."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.web.pages.permissions import may_operate
from bot.web.site.session import Visitor, set_cookie
from bot.web.site.site_context import SiteContext, add_form, see_other, visitor_of


def router(site: SiteContext) -> APIRouter:
    """The routes of sessions."""
    routes = APIRouter()

    @routes.get("/sessions")
    async def sessions(request: Request) -> Response:
        session = visitor_of(request).session
        rows = await site.services.web_sessions.listed(session.actor)
        may_see_all = may_operate(site.services.queue_control.settings(), session)
        return site.render.page(request, "sessions.html", rows=rows, own=session, may_see_all=may_see_all)

    async def revoke(request: Request, visitor: Visitor, form: Mapping[str, str]) -> Response:
        session = form.get("session", "")
        await site.services.web_sessions.revoke(session, visitor.session.actor)
        return _signed_out(request) if session == visitor.session.id else see_other("/sessions")

    async def revoke_all(_request: Request, visitor: Visitor, form: Mapping[str, str]) -> Response:
        own = visitor.session
        person = form.get("person", own.person or "") or None
        await site.services.web_sessions.revoke_all(person, own.actor, keep=own.id)
        return see_other("/sessions")

    async def sign_out(request: Request, visitor: Visitor, _form: Mapping[str, str]) -> Response:
        await site.services.web_sessions.revoke(visitor.session.id, visitor.session.actor)
        return _signed_out(request)

    add_form(routes, "/sessions/revoke", revoke)
    add_form(routes, "/sessions/revoke-all", revoke_all)
    add_form(routes, "/sign-out", sign_out)
    return routes


def _signed_out(request: Request) -> Response:
    response = see_other("/sign-in")
    set_cookie(request, response, "", 0)
    return response
