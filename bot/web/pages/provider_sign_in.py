"""Signing in at an identity provider: the form that leads there, and the address to which the provider sends back.

Both answer with a page that leads on instead of a redirect: browsers apply `form-action` to redirects after a form, and
send no SameSite=Strict cookie along a redirect that began on another site. No address on them comes from a request.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.cards.problem_text import problem_sentence
from bot.web.pages.sign_in import sign_in_page
from bot.web.site.attempts import AttemptLimits
from bot.web.site.browser_binding import bind_browser, bound_browser
from bot.web.site.csrf import read_form
from bot.web.site.hosts import host_of, is_loopback
from bot.web.site.render import STATUS
from bot.web.site.session import client_of, cookie_of, set_cookie
from bot.web.site.site_context import SiteContext
from core.model.errors import CountersignError, RefusedError
from core.services.web_sessions import ABSOLUTE_S, SURFACE, NewSession


def router(site: SiteContext) -> APIRouter:
    """The two routes of a sign-in at a provider, which are answered without a session."""
    routes, returns = APIRouter(), AttemptLimits(site.clock)

    @routes.post("/sign-in/with/{provider}")
    async def begin(request: Request) -> Response:
        await read_form(request)
        try:
            _limit(site.sign_ins, request)
            return await _leave(site, request)
        except CountersignError as error:
            return _refused(site, request, error)

    @routes.get("/sign-in/with/{provider}/callback")
    async def come_back(request: Request) -> Response:
        try:
            _limit(returns, request)
            new = await _return(site, request)
        except CountersignError as error:
            return _refused(site, request, error)
        response = _onward(site, request, "You are signed in", "Go on to the inbox", "/")
        bind_browser(request, response, "")
        set_cookie(request, response, new.secret, ABSOLUTE_S)
        return response

    return routes


async def _leave(site: SiteContext, request: Request) -> Response:
    """The page that leads to the provider; the browser is bound to what comes back."""
    name = request.path_params["provider"]
    settings, provider = site.services.identity_providers.named(name)
    challenge = await site.services.provider_sign_ins.begin(name, cookie_of(request))
    address = await provider.address(challenge, _redirect_uri(request, name))
    response = _onward(site, request, f"Sign in with {settings.label}", f"Go on to {settings.label}", address)
    bind_browser(request, response, challenge.browser)
    return response


def _onward(site: SiteContext, request: Request, heading: str, label: str, address: str) -> Response:
    """A page that leads on to `address` by itself; one on another site is named before."""
    values = {"heading": heading, "label": label, "address": address, "place": urlsplit(address).netloc}
    return site.render.page(request, "sign_in_onward.html", 200, **values)


async def _return(site: SiteContext, request: Request) -> NewSession:
    """The session of the person whom the provider's answer proves; raises `CountersignError`."""
    name = request.path_params["provider"]
    settings, provider = site.services.identity_providers.named(name)
    sign_ins, answer = site.services.provider_sign_ins, _single(request)
    returned = await sign_ins.take(name, answer.get("state", ""), bound_browser(request))
    try:
        identity = await provider.identity(answer, returned.challenge, _redirect_uri(request, name))
    except RefusedError as error:
        await sign_ins.record_refusal(name, error.problem.code, None)
        raise
    person = await sign_ins.person_of(name, settings.label, identity)
    sessions, earlier = site.services.web_sessions, returned.earlier_session
    return await sessions.sign_in_person(person, name, client_of(request), cookie_of(request), earlier)


def _single(request: Request) -> dict[str, str]:
    """The parameters of an answer; one that is there twice is left out, so that no one reads another of them."""
    pairs = request.query_params.multi_items()
    names = [name for name, _ in pairs]
    return {name: value for name, value in pairs if names.count(name) == 1}


def _redirect_uri(request: Request, name: str) -> str:
    """Where the provider sends the browser: this site by the name that the browser used, which was checked."""
    host = host_of(request.scope)
    return f"{'http' if is_loopback(host) else 'https'}://{host}/sign-in/with/{name}/callback"


def _limit(limits: AttemptLimits, request: Request) -> None:
    if not limits.allow(request.client.host if request.client else ""):
        raise RefusedError("too_many_attempts", "there were too many attempts", "Wait a minute, then try again.")


def _refused(site: SiteContext, request: Request, error: CountersignError) -> Response:
    response = sign_in_page(site, request, STATUS[error.problem.kind], problem_sentence(error.problem, SURFACE))
    bind_browser(request, response, "")
    return response
