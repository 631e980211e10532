"""Routes that decide: approve, reject, merge. A verdict names the document that it is about by If-Match."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from bot.web.api.bodies import Acting, Approving, Rejecting
from bot.web.api.documents import check_unchanged, rendered
from bot.web.api.endpoint import actor_of, endpoint, person_of, services_of
from bot.web.api.problems import problem_response
from bot.web.api.strict import StrictRoute
from bot.web.api.task_routes import Number
from core.model.api_token import TokenScope
from core.model.errors import CountersignError
from core.model.turn import Actor
from core.services.approvals import VerdictOutcome

router = APIRouter(route_class=StrictRoute)

_IF_MATCH: Final[dict[str, Any]] = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The ETag of the document that was read.",
    "schema": {"type": "string"},
}


@endpoint(
    router,
    "POST",
    "/tasks/{number}/approvals",
    TokenScope.APPROVE,
    {200: "Task"},
    also=(412, 428),
    parameters=(_IF_MATCH,),
)
async def approve(request: Request, number: Number, body: Approving) -> Response:
    """Approve exactly the bytes that a digest names."""
    actor = person_of(request, body.person)
    check_unchanged(request, await rendered(request, number, actor))
    return await _decided(request, actor, await services_of(request).approvals.approve(number, body.digest, actor))


@endpoint(
    router,
    "POST",
    "/tasks/{number}/rejections",
    TokenScope.APPROVE,
    {200: "Task"},
    also=(412, 428),
    parameters=(_IF_MATCH,),
)
async def reject(request: Request, number: Number, body: Rejecting) -> Response:
    """Reject what is staged."""
    actor = person_of(request, body.person)
    current = await rendered(request, number, actor)
    check_unchanged(request, current)
    staged = current.document.task.staged
    digest = staged.digest if staged is not None else None
    outcome = await services_of(request).approvals.reject(number, body.reason.strip(), actor, digest)
    return await _decided(request, actor, outcome)


@endpoint(router, "POST", "/tasks/{number}/merge", TokenScope.APPROVE, {200: "Task"})
async def merge(request: Request, number: Number, body: Acting) -> Response:
    """Merge a published task's pull request, as its forge would."""
    actor = actor_of(request, body.person)
    await services_of(request).requests.merge(number, actor)
    return (await rendered(request, number, actor)).response()


async def _decided(request: Request, actor: Actor, outcome: VerdictOutcome) -> Response:
    """The document after a verdict, or why it was refused."""
    if outcome.problem is None:
        return (await rendered(request, outcome.task.number, actor)).response()
    error = CountersignError(outcome.problem.code, outcome.problem.message, outcome.problem.mend)
    error.problem = outcome.problem
    return problem_response(error)
