"""The authenticator app of the visitor: enrolling it, its recovery codes, removing it; and stepping up the session."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from bot.cards.problem_text import problem_sentence
from bot.web.graphics.qr_code import qr_svg
from bot.web.site.hosts import host_of
from bot.web.site.relying_party import needed_relying_party, relying_party_of
from bot.web.site.render import STATUS
from bot.web.site.session import Visitor, set_cookie
from bot.web.site.site_context import SiteContext, add_form, see_other, visitor_of
from core.model.errors import CountersignError, Problem
from core.services.web_sessions import ABSOLUTE_S, SURFACE

Form = Mapping[str, str]


def router(site: SiteContext) -> APIRouter:
    """The routes of the app's page, and of the page on which a session steps up."""
    routes, apps = APIRouter(), site.services.authenticators

    @routes.get("/authenticator")
    async def authenticator(request: Request) -> Response:
        return await _page(site, request)

    async def begin(request: Request, visitor: Visitor, _form: Form) -> Response:
        return await _tried(
            site, request, lambda: apps.begin(visitor.session.actor, visitor.session.id, _host(request))
        )

    async def confirm(request: Request, visitor: Visitor, form: Form) -> Response:
        actor, code = visitor.session.actor, form.get("code", "")
        return await _tried(site, request, lambda: apps.confirm(actor, code), shows=True)

    async def renew(request: Request, visitor: Visitor, _form: Form) -> Response:
        actor, session = visitor.session.actor, visitor.session.id
        return await _tried(site, request, lambda: apps.renew_recovery_codes(actor, session), shows=True)

    async def remove(request: Request, visitor: Visitor, _form: Form) -> Response:
        return await _tried(site, request, lambda: apps.remove_own(visitor.session.actor, visitor.session.id))

    add_form(routes, "/authenticator/begin", begin)
    add_form(routes, "/authenticator/confirm", confirm)
    add_form(routes, "/authenticator/recovery-codes", renew)
    add_form(routes, "/authenticator/remove", remove)
    _add_step_up(site, routes)
    return routes


def _add_step_up(site: SiteContext, routes: APIRouter) -> None:
    step_ups = site.services.step_ups

    @routes.get("/step-up")
    async def how_to(request: Request) -> Response:
        return await _step_up_page(site, request)

    async def step_up(request: Request, visitor: Visitor, form: Form) -> Response:
        session, credential = visitor.session, form.get("credential", "")
        try:
            if credential:
                party = needed_relying_party(request)
                secret = await step_ups.by_passkey(session.actor, session.id, party, credential)
            else:
                secret = await step_ups.by_code(session.actor, session.id, form.get("code", ""))
        except CountersignError as error:
            return await _step_up_page(site, request, error.problem)
        response = see_other("/sessions")
        set_cookie(request, response, secret, ABSOLUTE_S)
        return response

    async def options(request: Request, visitor: Visitor, _form: Form) -> Response:
        session = visitor.session
        try:
            party = needed_relying_party(request)
            return JSONResponse({"publicKey": await step_ups.begin_passkey(session.actor, session.id, party)})
        except CountersignError as error:
            return JSONResponse({"problem": problem_sentence(error.problem, SURFACE)}, STATUS[error.problem.kind])

    add_form(routes, "/step-up", step_up)
    add_form(routes, "/step-up/options", options)


async def _tried(
    site: SiteContext, request: Request, work: Callable[[], Awaitable[Any]], *, shows: bool = False
) -> Response:
    """The page after `work`; with `shows` its recovery codes are on it, this once, and otherwise it is opened anew."""
    try:
        done = await work()
    except CountersignError as error:
        return await _page(site, request, error.problem)
    return await _page(site, request, codes=done) if shows else see_other("/authenticator")


async def _page(
    site: SiteContext, request: Request, problem: Problem | None = None, codes: tuple[str, ...] = ()
) -> Response:
    session, apps = visitor_of(request).session, site.services.authenticators
    app = await apps.own(session.actor)
    pending = await apps.pending(session.actor, _host(request)) if session.person and app is None else None
    values = {
        "app": app,
        "pending": pending,
        "qr": qr_svg(pending.address, "The secret as a QR code") if pending else "",
        "codes": codes,
        "problem": problem,
    }
    return site.render.page(request, "authenticator.html", STATUS[problem.kind] if problem else 200, **values)


async def _step_up_page(site: SiteContext, request: Request, problem: Problem | None = None) -> Response:
    actor = visitor_of(request).session.actor
    values = {
        "app": await site.services.authenticators.own(actor),
        "passkeys": len(await site.services.passkeys.own(actor, relying_party_of(request))),
        "problem": problem,
    }
    return site.render.page(request, "step_up.html", STATUS[problem.kind] if problem else 200, **values)


def _host(request: Request) -> str:
    """The name under which the app lists this site."""
    return host_of(request.scope)
