"""Routes that read tasks, and make and change them."""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Path, Query, Request, Response

from bot.web.api.bodies import Acting, Asking, Extending, Picking, Replying, time_of
from bot.web.api.documents import conditional, etag_of, rendered
from bot.web.api.endpoint import actor_of, dedup_of, endpoint, json_response, person_of, services_of, token_of
from bot.web.api.mount import PATH
from bot.web.api.strict import StrictRoute
from core.model.api_token import TokenScope
from core.model.budget import Spending
from core.model.errors import NotFoundError, UsageError
from core.model.lifecycle import State
from core.model.part_choice import PartChoice
from core.model.search_query import MAX_QUERY_CHARS, SearchQuery
from core.model.task import FailureRule
from core.model.task_filter import TaskFilter
from core.services.requests import NewRequest

router = APIRouter(route_class=StrictRoute)

Number = Annotated[int, Path(ge=1, lt=2**31, description="The task's number.")]
Part = Annotated[str | None, Query(min_length=1, max_length=200)]
_DOCUMENT: Final = {200: "Task", 304: "Unchanged"}
_FILE: Final = {200: "", 304: "Unchanged"}
_IF_NONE_MATCH: Final[dict[str, Any]] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "ETags; 304 if one of them is current.",
    "schema": {"type": "string"},
}


@endpoint(router, "GET", "/tasks", TokenScope.READ, {200: "TaskPage"})
async def list_tasks(
    request: Request,
    state: State | None = None,
    repo: Part = None,
    lane: Part = None,
    person: Annotated[str | None, Query(min_length=1, max_length=200, description="Who requested it.")] = None,
    since: Annotated[str | None, Query(max_length=64, description="RFC 3339, with a zone.")] = None,
    search: Annotated[str | None, Query(max_length=MAX_QUERY_CHARS, description="Words, a phrase in quotes.")] = None,
    before: Annotated[int | None, Query(ge=1, lt=2**31, description="Only tasks with smaller numbers.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """List tasks, the newest first, a page at a time."""
    wanted = TaskFilter(
        state=state,
        repo=repo,
        lane=lane,
        person=person,
        since=time_of(since, "since"),
        search=SearchQuery.parse(search) if search is not None else None,
        before=before,
    )
    page = await services_of(request).task_search.page(wanted, limit, token_of(request).actor())
    following = {} if page.next_before is None else {"Link": _link(request, page.next_before)}
    tasks = [task.to_json() for task in page.tasks]
    return json_response({"tasks": tasks, "next_before": page.next_before}, headers=following)


@endpoint(router, "POST", "/tasks", TokenScope.REQUEST, {201: "Task"})
async def ask(request: Request, body: Asking) -> Response:
    """Ask for a change; the document says what it became by now, and the queue goes on with it."""
    actor = person_of(request, body.person)
    number = await services_of(request).requests.ask(
        NewRequest(
            text=body.text,
            actor=actor,
            repo=body.repo,
            lane=body.lane,
            priority=body.priority,
            deadline_at=time_of(body.deadline, "deadline"),
            after=body.after,
            if_failed=FailureRule(body.if_failed) if body.if_failed else None,
            dedup=dedup_of(request),
            parameters=body.parameters,
        )
    )
    task = await rendered(request, number, actor)
    return task.response(201, {"Location": f"{PATH}/tasks/{number}"})


@endpoint(router, "GET", "/tasks/{number}", TokenScope.READ, _DOCUMENT, parameters=(_IF_NONE_MATCH,))
async def show(request: Request, number: Number) -> Response:
    """Everything about one task, with an ETag."""
    task = await rendered(request, number, token_of(request).actor())
    return conditional(request, task.etag, task.response())


@endpoint(router, "GET", "/tasks/{number}/diff", TokenScope.READ, _FILE, parameters=(_IF_NONE_MATCH,))
async def diff(request: Request, number: Number) -> Response:
    """The whole staged diff as git's bytes."""
    services = services_of(request)
    document = await services.documents.document(number, token_of(request).actor())
    patch = await services.diffs.of(document.task)
    if patch is None:
        raise NotFoundError("no_diff", f"#{number} has nothing staged", "See its state in its document.")
    return conditional(request, etag_of(patch), _file(patch, f"countersign-{number}.patch"))


@endpoint(router, "GET", "/tasks/{number}/artifacts", TokenScope.READ, {200: "Artifacts"})
async def list_artifacts(request: Request, number: Number) -> Response:
    """The files that are kept with a task."""
    document = await services_of(request).documents.document(number, token_of(request).actor())
    return json_response({"artifacts": [artifact.to_json() for artifact in document.artifacts]})


@endpoint(
    router,
    "GET",
    "/tasks/{number}/artifacts/{revision}/{name}",
    TokenScope.READ,
    _FILE,
    parameters=(_IF_NONE_MATCH,),
)
async def artifact(
    request: Request,
    number: Number,
    revision: Annotated[int, Path(ge=1, lt=2**31)],
    name: Annotated[str, Path(max_length=255)],
) -> Response:
    """One file that is kept with a task, as a download."""
    queries = services_of(request).queries
    kept = await queries.artifact_of(number, revision, name, token_of(request).actor())
    content = await queries.artifact(kept)
    return conditional(request, etag_of(content), _file(content, kept.name))


@endpoint(router, "POST", "/tasks/{number}/replies", TokenScope.REQUEST, {200: "Task"})
async def reply(request: Request, number: Number, body: Replying) -> Response:
    """Reply to a task: begins its next revision, at once or when a model has read it."""
    actor = person_of(request, body.person)
    await services_of(request).requests.reply(number, body.text, actor, dedup_of(request))
    return (await rendered(request, number, actor)).response()


@endpoint(router, "GET", "/tasks/{number}/parts", TokenScope.READ, {200: "Parts"})
async def list_parts(request: Request, number: Number) -> Response:
    """The parts of the staged diff: its hunks and whole files, with the ids that name them."""
    staged = await services_of(request).partial_changes.parts_of(number, token_of(request).actor())
    return json_response(staged.to_json())


@endpoint(router, "POST", "/tasks/{number}/picks", TokenScope.REQUEST, {200: "Task"})
async def pick(request: Request, number: Number, body: Picking) -> Response:
    """Begin the revision that has only some parts of the staged diff; it is checked and approved anew."""
    if sum(map(bool, (body.keep, body.leave_out, body.words))) != 1:
        message = "one of `keep`, `leave_out` and `words` has to name parts"
        raise UsageError("bad_pick", message, "Name them in one of the three.")
    choice = PartChoice(body.words, tuple(body.keep or body.leave_out), leaves_out=bool(body.leave_out))
    actor = person_of(request, body.person)
    await services_of(request).partial_changes.pick(number, choice, actor, body.digest, dedup_of(request))
    return (await rendered(request, number, actor)).response()


@endpoint(router, "POST", "/tasks/{number}/extensions", TokenScope.APPROVE, {200: "Task"})
async def extend(request: Request, number: Number, body: Extending) -> Response:
    """Extend the used-up budget of a task that asks for it; its work continues where it stopped."""
    actor = actor_of(request, body.person)
    await services_of(request).budgets.extend(number, actor, Spending(body.steps, body.tokens, body.usd))
    return (await rendered(request, number, actor)).response()


@endpoint(router, "POST", "/tasks/{number}/cancel", TokenScope.REQUEST, {200: "Task"})
async def cancel(request: Request, number: Number, body: Acting) -> Response:
    """Stop a task that is not published."""
    actor = actor_of(request, body.person)
    await services_of(request).requests.cancel(number, actor)
    return (await rendered(request, number, actor)).response()


@endpoint(router, "POST", "/tasks/{number}/undo", TokenScope.REQUEST, {200: "Task"})
async def undo(request: Request, number: Number, body: Acting) -> Response:
    """Close a published task's pull request, or revert a merged one by a new task, whose document is the answer."""
    actor = actor_of(request, body.person)
    following = await services_of(request).requests.undo(number, actor)
    return (await rendered(request, following, actor)).response()


def _link(request: Request, before: int) -> str:
    """The Link header of the next page (RFC 8288)."""
    others = [(name, value) for name, value in request.query_params.multi_items() if name != "before"]
    return f'<{PATH}/tasks?{urlencode([*others, ("before", str(before))])}>; rel="next"'


def _file(content: bytes, name: str) -> Response:
    """Bytes as a download, which no browser shows or guesses the type of."""
    plain = "".join(char if char.isascii() and (char.isalnum() or char in "._-") else "_" for char in name)
    disposition = f"attachment; filename=\"{plain[:100] or 'file'}\"; filename*=UTF-8''{quote(name[:255], safe='')}"
    headers = {"Content-Disposition": disposition, "ETag": etag_of(content)}
    return Response(content, headers=headers, media_type="application/octet-stream")
