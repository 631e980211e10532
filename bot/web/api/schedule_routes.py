"""Routes of recurring requests, and of what policy would decide."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from bot.interpret import GrammarInterpreter
from bot.interpret.explanation import explanation_of, read_request
from bot.web.api.bodies import Acting, Explaining, Scheduling
from bot.web.api.documents import rendered
from bot.web.api.endpoint import actor_of, dedup_of, endpoint, json_response, person_of, services_of, token_of
from bot.web.api.mount import PATH
from bot.web.api.strict import StrictRoute
from core.model.api_token import ApiToken, TokenScope
from core.model.errors import NotFoundError, UsageError
from core.model.schedule import Schedule
from core.model.turn import API, Actor
from core.rules.planning import RequestOrigin
from core.services.request_checks import checked_text, requested_repository
from core.services.schedules import WantedSchedule

router = APIRouter(route_class=StrictRoute)

ScheduleId = Annotated[str, Path(min_length=1, max_length=100)]


@endpoint(router, "GET", "/schedules", TokenScope.READ, {200: "Schedules"})
async def list_schedules(request: Request) -> Response:
    """The recurring requests of the repositories that the token can see."""
    token = token_of(request)
    listed = await services_of(request).schedules.list(token.actor())
    return json_response({"schedules": [_document(each) for each in listed if _is_visible(each, token)]})


@endpoint(router, "POST", "/schedules", TokenScope.REQUEST, {201: "Schedule"})
async def add_schedule(request: Request, body: Scheduling) -> Response:
    """Ask for a change regularly."""
    actor = person_of(request, body.person)
    repo = _repository(request, actor, body.repo)
    wanted = WantedSchedule(
        when=body.when,
        text=body.text,
        actor=actor,
        repo=repo,
        lane=body.lane,
        zone=body.zone,
        missed=body.missed,
        parameters=body.parameters,
    )
    return json_response(_document(await services_of(request).schedules.add(wanted)), 201)


@endpoint(router, "POST", "/schedules/{schedule}/pause", TokenScope.REQUEST, {200: "Schedule"})
async def pause_schedule(request: Request, schedule: ScheduleId, body: Acting) -> Response:
    """Skip a recurring request until it is resumed."""
    name = await _visible_id(request, schedule)
    return json_response(_document(await services_of(request).schedules.pause(name, actor_of(request, body.person))))


@endpoint(router, "POST", "/schedules/{schedule}/resume", TokenScope.REQUEST, {200: "Schedule"})
async def resume_schedule(request: Request, schedule: ScheduleId, body: Acting) -> Response:
    """Continue a paused recurring request with its next time."""
    name = await _visible_id(request, schedule)
    return json_response(_document(await services_of(request).schedules.resume(name, actor_of(request, body.person))))


@endpoint(router, "POST", "/schedules/{schedule}/run", TokenScope.REQUEST, {201: "Task"})
async def run_schedule(request: Request, schedule: ScheduleId, body: Acting) -> Response:
    """Make a recurring request now, in its author's name; its times stay as they are."""
    name, actor = await _visible_id(request, schedule), actor_of(request, body.person)
    number = await services_of(request).schedule_runs.run_now(name, actor, dedup_of(request))
    task = await rendered(request, number, actor)
    return task.response(201, {"Location": f"{PATH}/tasks/{number}"})


@endpoint(router, "DELETE", "/schedules/{schedule}", TokenScope.REQUEST, {200: "Schedule"})
async def remove_schedule(request: Request, schedule: ScheduleId) -> Response:
    """Delete a recurring request; the tasks that it made stay."""
    name = await _visible_id(request, schedule)
    removed = await services_of(request).schedules.remove(name, actor_of(request))
    return json_response(_document(removed) | {"state": "deleted", "next": None})


@endpoint(router, "POST", "/policy/explain", TokenScope.READ, {200: "Explanation"})
async def explain_policy(request: Request, body: Explaining) -> Response:
    """What policy would decide about a request, and why, rule by rule; changes nothing."""
    actor, services = person_of(request, body.person), services_of(request)
    settings = services.settings()
    repo = _repository(request, actor, body.repo)
    if repo is None:
        raise UsageError("which_repository", "several repositories are configured", "Name one in `repo`.")
    origin = RequestOrigin(actor.person or "", API, repo, body.lane)
    intent = await read_request(services.preview, origin, checked_text(body.text), GrammarInterpreter())
    plan = await services.preview.plan(origin, intent)
    trace = list(settings.policy.trace(plan.request))
    return json_response({"title": intent.title, **explanation_of(plan), "trace": trace})


def _repository(request: Request, actor: Actor, repo: str | None) -> str | None:
    """The repository of a request; a token that is limited to several must name one, because it is stored with it."""
    name = requested_repository(services_of(request).settings(), actor, repo)
    if name is None and actor.scope.names is not None:
        known = ", ".join(actor.scope.names)
        raise UsageError("which_repository", "this token is for several repositories", f"Name one in `repo`: {known}.")
    return name


async def _visible_id(request: Request, name: str) -> str:
    """The whole id of a recurring request that the token can see; raises `NotFoundError`."""
    token = token_of(request)
    for schedule in await services_of(request).schedules.list(token.actor()):
        if schedule.id == name and _is_visible(schedule, token):
            return schedule.id
    mend = "List them with GET /api/v1/schedules."
    raise NotFoundError("no_such_schedule", "there is no such recurring request", mend)


def _is_visible(schedule: Schedule, token: ApiToken) -> bool:
    return token.sees_everything or (schedule.repo is not None and token.repositories.covers(schedule.repo))


def _document(schedule: Schedule) -> dict[str, Any]:
    times = {"next": schedule.next_ms, "last": schedule.last_ms, "created": schedule.created_ms}
    return schedule.to_json() | {
        name: datetime.fromtimestamp(ms / 1000, UTC).isoformat() if ms else None for name, ms in times.items()
    }
