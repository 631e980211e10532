"""Builds the application behind the gate; importing this module imports FastAPI."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from bot.web.api import event_routes, queue_routes, schedule_routes, task_routes, verdict_routes
from bot.web.api.description import describe
from bot.web.api.endpoint import json_response
from bot.web.api.event_feed import EventFeed
from bot.web.api.problems import ApiError, problem_response
from bot.web.api.services import ApiServices
from bot.web.api.strict import invalid
from core.log import fault_of, log
from core.model.errors import CountersignError, PermanentError

ROUTERS: Final = (
    task_routes.router,
    verdict_routes.router,
    event_routes.router,
    queue_routes.router,
    schedule_routes.router,
)


def build_application(services: ApiServices, is_stopping: Callable[[], bool] = lambda: False) -> FastAPI:
    """The application that answers requests whose token is in the ASGI scope."""
    app = FastAPI(
        title="Countersign",
        version="1",
        openapi_url=None,  # with a token only, see below
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would use the Host header of the request
    )
    app.state.services = services
    app.state.event_feed = EventFeed(services.queries.newest_event, is_stopping)
    app.add_exception_handler(CountersignError, _answer_problem)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(Exception, _answer_bug)
    for router in ROUTERS:
        app.include_router(router)
    app.add_api_route("/openapi.json", _openapi, include_in_schema=False)
    return app


async def _openapi(request: Request) -> Response:
    """The description of this API."""
    return json_response(describe(request.app))


async def _answer_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, CountersignError)
    return problem_response(error)


async def _answer_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem_response(invalid(error))


async def _answer_http(_request: Request, error: Exception) -> Response:
    """What Starlette refuses: paths and methods that do not exist, bodies that were cut."""
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, CountersignError):  # FastAPI wraps what reading the body raises
        return problem_response(error.__cause__)
    if error.status_code == 405:
        return problem_response(ApiError(405, "bad_method", "this method is not allowed here", headers=error.headers))
    if error.status_code == 404:
        mend = "GET /api/v1/openapi.json describes what there is."
        return problem_response(ApiError(404, "no_such_path", "there is no such path", mend))
    return problem_response(ApiError(error.status_code, "malformed", "the request is malformed"))


async def _answer_bug(_request: Request, error: Exception) -> Response:
    """A fault of ours: its details are in the log and not in the answer."""
    log.error("api_request_broke", **fault_of(error))
    return problem_response(PermanentError("bug", "Countersign failed unexpectedly", "See the log of the server."))
