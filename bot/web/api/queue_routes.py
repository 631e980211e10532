"""Routes about the queue and the whole home: queue, endpoints, nodes, counts, and who the token is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from bot.web.api.bodies import Acting, Moving, Pausing, Reasoned, Resuming, time_of
from bot.web.api.endpoint import actor_of, endpoint, json_response, services_of, token_of
from bot.web.api.strict import StrictRoute
from bot.web.api.task_routes import Number
from core.model.api_token import TokenScope
from core.model.errors import UsageError
from core.services.queue_control import MoveTo, PauseScope, QueueMove, scope_of

router = APIRouter(route_class=StrictRoute)

EndpointName = Annotated[str, Path(min_length=1, max_length=100)]


@endpoint(router, "GET", "/token", TokenScope.READ, {200: "Token"})
async def show_token(request: Request) -> Response:
    """What this token may do, and for whom."""
    return json_response(token_of(request).to_json())


@endpoint(router, "GET", "/queue", TokenScope.READ, {200: "Queue"})
async def show_queue(request: Request) -> Response:
    """What is queued and what is running, of the tasks that the token can see."""
    view = await services_of(request).queries.queue(token_of(request).actor())
    return json_response(view.to_json())


@endpoint(router, "POST", "/queue/pause", TokenScope.OPERATE, {200: "Paused"}, whole_home=True)
async def pause(request: Request, body: Pausing) -> Response:
    """Start no more jobs, or with `lane` or `repo` no more of these; running ones finish."""
    scope = scope_of(body.lane, body.repo)
    control = services_of(request).queue_control
    paused = await control.pause(actor_of(request, body.person), body.reason.strip(), scope)
    return json_response({**_named(scope), "paused": paused.to_json()})


@endpoint(router, "POST", "/queue/resume", TokenScope.OPERATE, {200: "Paused"}, whole_home=True)
async def resume(request: Request, body: Resuming) -> Response:
    """Let what was paused run again."""
    scope = scope_of(body.lane, body.repo)
    await services_of(request).queue_control.resume(actor_of(request, body.person), scope)
    return json_response({**_named(scope), "paused": None})


@endpoint(router, "POST", "/tasks/{number}/move", TokenScope.OPERATE, {200: "Moved"}, whole_home=True)
async def move(request: Request, number: Number, body: Moving) -> Response:
    """Move the waiting job of a task to another place in the queue."""
    to, actor = MoveTo(body.to), actor_of(request, body.person)
    if (to is MoveTo.BEFORE) != (body.before is not None):
        raise UsageError("one_place", "it is not clear where to", "Send `before` with, and only with, to: before.")
    moved, services = QueueMove(to, body.before, body.reason.strip()), services_of(request)
    await services.queue_control.move(actor, number, moved)
    place = (await services.documents.document(number, actor)).queue
    return json_response(
        {"task": number, "moved": moved.to_json(), "position": place.position if place is not None else 0}
    )


@endpoint(router, "GET", "/endpoints", TokenScope.READ, {200: "Endpoints"}, whole_home=True)
async def list_endpoints(request: Request) -> Response:
    """The model servers as a worker saw them last."""
    now = datetime.now(UTC)
    statuses = await services_of(request).inventory.endpoints()
    return json_response({"endpoints": [status.to_json(now) for status in statuses]})


@endpoint(router, "POST", "/endpoints/{name}/drain", TokenScope.OPERATE, {200: "Drained"}, whole_home=True)
async def drain(request: Request, name: EndpointName, body: Reasoned) -> Response:
    """Give an endpoint no new work; what runs there finishes."""
    drained = await services_of(request).inventory.drain(actor_of(request, body.person), name, body.reason.strip())
    return json_response({"endpoint": name, "drained": drained.to_json()})


@endpoint(router, "POST", "/endpoints/{name}/resume", TokenScope.OPERATE, {200: "Drained"}, whole_home=True)
async def resume_endpoint(request: Request, name: EndpointName, body: Acting) -> Response:
    """Give a drained endpoint work again."""
    await services_of(request).inventory.resume(actor_of(request, body.person), name)
    return json_response({"endpoint": name, "drained": None})


@endpoint(router, "GET", "/nodes", TokenScope.READ, {200: "Nodes"}, whole_home=True)
async def list_nodes(request: Request) -> Response:
    """The hosts that run workers."""
    return json_response({"nodes": [status.to_json() for status in await services_of(request).inventory.nodes()]})


@endpoint(router, "GET", "/stats", TokenScope.READ, {200: "Stats"}, whole_home=True)
async def stats(
    request: Request, since: Annotated[str | None, Query(max_length=64, description="RFC 3339, with a zone.")] = None
) -> Response:
    """Counts of tasks, jobs, workers, deliveries and events, and what models cost."""
    services, begin = services_of(request), time_of(since, "since")
    actor = token_of(request).actor()
    counts = await services.home_checks.counts(begin, actor)
    spending = [total.to_json() for total in await services.spending.since(begin, actor)]
    return json_response({**counts.to_json(), "spending": spending})


def _named(scope: PauseScope | None) -> dict[str, str]:
    """The lane or repository that a pause is of, as in the command line's document."""
    return {scope.kind.value: scope.name} if scope is not None else {}
