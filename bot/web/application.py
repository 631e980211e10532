"""Builds the application of the pages from its parts; imported at the first request for a page."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from bot.web.body import BodyError
from bot.web.diff.files import DiffDivider
from bot.web.pages import (
    access,
    authenticator,
    comments,
    comparison,
    endpoints,
    first_steps,
    inbox,
    insight,
    lanes,
    live_output,
    new_request,
    news,
    passkeys,
    picking,
    policy,
    provider_sign_in,
    queue,
    receipt,
    runs,
    schedules,
    sessions,
    sign_in,
    static,
    task,
    task_actions,
    task_files,
    task_steps,
    tasks,
    together,
    transcripts,
    what_if,
    work,
)
from bot.web.site.headers import SecurityHeaders
from bot.web.site.live import LiveEvents
from bot.web.site.render import STATUS, Renderer
from bot.web.site.session import RequireSession
from bot.web.site.site_context import SiteContext
from core.log import fault_of, log
from core.model.errors import CountersignError, Kind, Problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from bot.web.site.services import SiteServices

PAGES = (
    inbox,
    together,
    tasks,
    task,
    task_actions,
    task_steps,
    picking,
    task_files,
    comments,
    work,
    live_output,
    transcripts,
    comparison,
    runs,
    receipt,
    queue,
    what_if,
    endpoints,
    insight,
    policy,
    lanes,
    schedules,
    sessions,
    passkeys,
    authenticator,
    sign_in,
    provider_sign_in,
    new_request,
    news,
    access,
    static,
    first_steps,
)

_STATUS_KINDS = {404: Kind.MISSING, 405: Kind.USAGE}


def build_site(services: SiteServices) -> tuple[ASGIApp, Callable[[], None]]:
    """The application, and what ends its open streams."""
    context = SiteContext(services, Renderer(), LiveEvents(services.queries), DiffDivider(), time.monotonic)
    context.render.has_sample = lambda: first_steps.sample_of(services.settings) is not None
    site = fastapi_app(context)
    guarded = RequireSession(site, services.web_sessions, lambda request: sign_in.not_signed_in(context, request))
    return SecurityHeaders(guarded), context.live.close


def fastapi_app(context: SiteContext) -> FastAPI:
    """The routes of all pages, without what guards them."""
    site = FastAPI(title="Countersign", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    for page in PAGES:
        site.include_router(page.router(context))

    def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, CountersignError)
        status = error.status if isinstance(error, BodyError) else STATUS[error.problem.kind]
        return context.render.problem(request, error.problem, status)

    def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kind = _STATUS_KINDS.get(error.status_code, Kind.USAGE)
        problem = Problem(kind, "http", "There is no such page", "Go to the inbox.")
        return context.render.problem(request, problem, error.status_code)

    def broken(request: Request, error: Exception) -> Response:
        log.error("page_broke", path=request.url.path, **fault_of(error))
        problem = Problem(Kind.FAILED, "bug", "This page failed", "See the log of `countersign serve` for details.")
        return context.render.problem(request, problem)

    handlers: dict[Any, Callable[[Request, Exception], Response]] = {
        CountersignError: known,
        HTTPException: http_error,
        Exception: broken,
    }
    for kind, handler in handlers.items():
        site.add_exception_handler(kind, handler)
    return site
