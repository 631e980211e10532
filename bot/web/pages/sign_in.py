"""Signing in: how to get a link, the page that the link opens, and the form on it that uses the link up."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.web.site.csrf import read_form
from bot.web.site.session import client_of, cookie_of, set_cookie
from bot.web.site.site_context import SiteContext, see_other
from core.services.web_sessions import ABSOLUTE_S


def router(site: SiteContext) -> APIRouter:
    """The routes of signing in, the only ones that are answered without a session."""
    routes = APIRouter()

    @routes.get("/sign-in")
    async def how_to(request: Request) -> Response:
        return sign_in_page(site, request)

    @routes.get("/sign-in/{token}")
    async def open_link(request: Request) -> Response:
        return sign_in_page(site, request, token=request.path_params["token"])

    @routes.post("/sign-in")
    async def use_link(request: Request) -> Response:
        form = await read_form(request)
        address = request.client.host if request.client else ""
        if not site.sign_ins.allow(address):
            reason = "Too many attempts. Wait a minute, then open your link again; it stays valid."
            return sign_in_page(site, request, 429, reason)
        new = await site.services.web_sessions.sign_in(form.get("token", ""), client_of(request), cookie_of(request))
        if new is None:
            reason = "This link was used already, or is older than ten minutes."
            return sign_in_page(site, request, 403, reason)
        response = see_other("/")
        set_cookie(request, response, new.secret, ABSOLUTE_S)
        return response

    @routes.post("/sign-in/password")
    async def use_password(request: Request) -> Response:
        form = await read_form(request)
        address = request.client.host if request.client else ""
        if not site.sign_ins.allow(address):
            reason = "Too many attempts. Wait a minute, then try again."
            return sign_in_page(site, request, 429, reason)
        person = await site.services.accounts.signed_in_by(form.get("name", ""), form.get("password", ""))
        if person is None:
            reason = "Wrong name or password, or too many wrong ones within a minute."
            return sign_in_page(site, request, 403, reason)
        client, earlier = client_of(request), cookie_of(request)
        new = await site.services.web_sessions.sign_in_person(person, "password", client, earlier)
        response = see_other("/")
        set_cookie(request, response, new.secret, ABSOLUTE_S)
        return response

    return routes


def sign_in_page(
    site: SiteContext, request: Request, status: int = 200, reason: str = "", token: str | None = None
) -> Response:
    """The page of signing in, with why it did not work; with the `token` of a link, the form that uses it up."""
    providers = site.services.identity_providers.listed()
    return site.render.page(request, "sign_in.html", status, token=token, reason=reason, providers=providers)


def not_signed_in(site: SiteContext, request: Request) -> Response:
    """The answer to a request without a session for anything but signing in."""
    reason = "You are not signed in, or your session has ended."
    return sign_in_page(site, request, 401, reason)
