"""Passkeys: the visitor's own, registering one, signing in with one, and what a passkey is asked to sign."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from bot.cards.problem_text import problem_sentence
from bot.web.pages.sign_in import sign_in_page
from bot.web.pages.task_actions import hidden_problem
from bot.web.site.csrf import read_form
from bot.web.site.headers import FILE_POLICY
from bot.web.site.relying_party import needed_relying_party, relying_party_of
from bot.web.site.render import STATUS
from bot.web.site.session import Visitor, client_of, cookie_of, set_cookie
from bot.web.site.site_context import SiteContext, add_form, see_other, task_number, visitor_of
from core.model.approval import Verdict
from core.model.errors import CountersignError, NotFoundError, Problem, RefusedError
from core.services.web_sessions import ABSOLUTE_S, SURFACE

Form = Mapping[str, str]


def router(site: SiteContext) -> APIRouter:
    """The routes of passkeys; each ceremony is one that gives options, and one that takes the answer."""
    routes = APIRouter()

    @routes.get("/passkeys")
    async def passkeys(request: Request) -> Response:
        return await _page(site, request)

    @routes.get("/passkeys/{passkey}/public-key")
    async def public_key(request: Request) -> Response:
        return await _public_key(site, request)

    async def register_options(request: Request, visitor: Visitor, _form: Form) -> Response:
        party = needed_relying_party(request)
        session = visitor.session
        return await _options(site.services.passkeys.begin_registration(session.actor, session.id, party))

    async def register(request: Request, visitor: Visitor, form: Form) -> Response:
        party, session = needed_relying_party(request), visitor.session
        name, credential = form.get("name", ""), form.get("credential", "")
        try:
            await site.services.passkeys.register(session.actor, session.id, party, name, credential)
        except CountersignError as error:
            return await _page(site, request, error.problem)
        return see_other("/passkeys")

    async def revoke(_request: Request, visitor: Visitor, form: Form) -> Response:
        await site.services.passkeys.revoke(form.get("passkey", ""), visitor.session.actor)
        return see_other("/passkeys")

    async def sign_options(request: Request, visitor: Visitor, form: Form) -> Response:
        return await _options(_approval_options(site, request, visitor, form.get("digest", "")))

    add_form(routes, "/passkeys/register-options", register_options)
    add_form(routes, "/passkeys/register", register)
    add_form(routes, "/passkeys/revoke", revoke)
    add_form(routes, "/tasks/{number:int}/sign-options", sign_options)
    _add_sign_in(site, routes)
    return routes


def _add_sign_in(site: SiteContext, routes: APIRouter) -> None:
    """The two routes of signing in with a passkey, which are answered without a session."""

    @routes.post("/sign-in/passkey-options")
    async def sign_in_options(request: Request) -> Response:
        await read_form(request)
        return await _options(_begin_sign_in(site, request))

    @routes.post("/sign-in/passkey")
    async def sign_in(request: Request) -> Response:
        form = await read_form(request)
        try:
            _limit(site, request)
            person = await site.services.passkeys.signed_in_by(
                needed_relying_party(request), form.get("credential", "")
            )
            new = await site.services.web_sessions.sign_in_person(
                person, "passkey", client_of(request), cookie_of(request)
            )
        except CountersignError as error:
            reason = problem_sentence(error.problem, SURFACE)
            return sign_in_page(site, request, STATUS[error.problem.kind], reason)
        response = see_other("/")
        set_cookie(request, response, new.secret, ABSOLUTE_S)
        return response


async def _begin_sign_in(site: SiteContext, request: Request) -> dict[str, Any]:
    _limit(site, request)
    return await site.services.passkeys.begin_sign_in(needed_relying_party(request))


def _limit(site: SiteContext, request: Request) -> None:
    """Raise `RefusedError` after too many sign-ins from this address."""
    if not site.sign_ins.allow(request.client.host if request.client else ""):
        raise RefusedError("too_many_attempts", "there were too many attempts", "Wait a minute, then try again.")


async def _approval_options(site: SiteContext, request: Request, visitor: Visitor, digest: str) -> dict[str, Any]:
    """What the visitor's passkey is asked to sign; refused for what an approval would be refused for."""
    number, session = task_number(request), visitor.session
    approvals = site.services.approvals
    obstacle = await approvals.obstacle(number, session.actor, Verdict.APPROVE, digest, will_sign=True)
    problem = obstacle or await hidden_problem(site, number, digest, visitor)
    if problem is not None:
        raise RefusedError(problem.code, problem.message, problem.mend)
    party = needed_relying_party(request)
    return await site.services.passkey_approvals.begin(number, digest, session.actor, session.id, party)


async def _options(begun: Awaitable[dict[str, Any]]) -> Response:
    """Options as JSON for our script, or the sentence that it shows instead."""
    try:
        return JSONResponse({"publicKey": await begun})
    except CountersignError as error:
        sentence = problem_sentence(error.problem, SURFACE)
        return JSONResponse({"problem": sentence}, STATUS[error.problem.kind])


async def _page(site: SiteContext, request: Request, problem: Problem | None = None) -> Response:
    session = visitor_of(request).session
    values = {
        "rows": await site.services.passkeys.listed(session.actor),
        "own": session.person,
        "site": relying_party_of(request),
        "problem": problem,
    }
    return site.render.page(request, "passkeys.html", STATUS[problem.kind] if problem else 200, **values)


async def _public_key(site: SiteContext, request: Request) -> Response:
    """One passkey as a file for `countersign verify --passkey`."""
    rows = await site.services.passkeys.listed(visitor_of(request).session.actor)
    found = next((row for row in rows if row.id == request.path_params["passkey"]), None)
    if found is None:
        raise NotFoundError("no_such_passkey", "there is no such passkey", "Look for it in the list of passkeys.")
    content = json.dumps({"passkeys": [found.trusted().to_json()]}, indent=2) + "\n"
    headers = {
        "content-disposition": f'attachment; filename="passkey-{found.person}-{found.id}.json"',
        "content-security-policy": FILE_POLICY,
    }
    return Response(content, media_type="application/json", headers=headers)
