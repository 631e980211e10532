"""How a route is declared: its scope, what it answers, and the checks and remembered responses that all share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any, Final, Literal

from fastapi import APIRouter, Depends, Request, Response

from bot.web.api.mount import TOKEN
from bot.web.api.problems import ApiError, problem_response
from bot.web.api.services import ApiServices
from core.model.api_token import ApiToken, TokenScope
from core.model.errors import CountersignError, Kind, UsageError
from core.model.turn import Actor
from core.services.api_responses import MAX_KEY, KeyReusedError, StoredResponse
from core.services.api_tokens import check_scope, check_whole_home

Answer = Callable[..., Awaitable[Response]]
Method = Literal["GET", "POST", "DELETE"]
JSON_TYPE: Final = "application/json"
_KEPT_HEADERS: Final = ("content-type", "location", "etag")
_READING: Final = (401, 403, 404, 422, 429, 500, 503)
_CHANGING: Final = (400, 408, 409, 413, 415)
_KEY_HEADER: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Repeats the first response for a day (draft-ietf-httpapi-idempotency-key-header-07).",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY, "pattern": "^[!-~]+$"},
}


def endpoint(
    router: APIRouter,
    method: Method,
    path: str,
    scope: TokenScope,
    answers: Mapping[int, str],
    *,
    whole_home: bool = False,
    also: tuple[int, ...] = (),
    parameters: tuple[dict[str, Any], ...] = (),
) -> Callable[[Answer], Answer]:
    """Declare a route for tokens with `scope`, with `whole_home` only for those without a limit to repositories.

    `answers` are the names of the schemas of its successes by status; `also` are further statuses of problems. Routes
    that change something take an Idempotency-Key.
    """
    changes = method != "GET"

    def declare(answer: Answer) -> Answer:
        statuses = {*_READING, *(_CHANGING if changes else ()), *also}
        responses: dict[int | str, dict[str, Any]] = {status: _described(name) for status, name in answers.items()}
        responses |= {status: _problem() for status in sorted(statuses)}
        added = (*parameters, _KEY_HEADER) if changes else parameters
        router.add_api_route(
            path,
            _once(answer) if changes else answer,
            methods=[method],
            status_code=min(answers),
            response_class=Response,
            responses=responses,
            dependencies=[Depends(_check(scope, whole_home=whole_home))],
            operation_id=answer.__name__,
            summary=(answer.__doc__ or "").partition("\n")[0],
            openapi_extra={"x-countersign-scope": scope.value, "parameters": list(added)},
        )
        return answer

    return declare


def _described(name: str) -> dict[str, Any]:
    if not name:
        return {"description": "The bytes of the file.", "content": {"application/octet-stream": {"schema": {}}}}
    if name == "Stream":
        return {"description": "An endless stream of events.", "content": {"text/event-stream": {"schema": {}}}}
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"description": name, "content": {JSON_TYPE: {"schema": schema}}}


def _problem() -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": "A problem", "content": {"application/problem+json": {"schema": schema}}}


def _check(scope: TokenScope, *, whole_home: bool) -> Callable[[Request], None]:
    async def check(request: Request) -> None:
        token = token_of(request)
        check_scope(token, scope)
        if whole_home:
            check_whole_home(token)

    return check  # type: ignore[return-value]  # FastAPI awaits it


def token_of(request: Request) -> ApiToken:
    """The valid token of a request."""
    token = request.scope[TOKEN]
    assert isinstance(token, ApiToken)
    return token


def services_of(request: Request) -> ApiServices:
    """The services behind the API."""
    services: ApiServices = request.app.state.services
    return services


def actor_of(request: Request, person: str | None = None) -> Actor:
    """Who acts: the owner of the token, or whom a token of the operator names; raises `UsageError` for other tokens."""
    token = token_of(request)
    if person is not None and token.person not in (None, person):
        raise UsageError("not_the_operator", "only a token of the operator may name a person", "Leave `as` out.")
    if person is not None:
        services_of(request).settings().people.named(person)
    return token.actor(person)


def person_of(request: Request, person: str | None) -> Actor:
    """Like `actor_of`, for what only a person can do."""
    actor = actor_of(request, person)
    if actor.person is None:
        mend = "Name the person in `as`, or use a token of theirs."
        raise UsageError("who", "a token of the operator does not say which person acts", mend)
    return actor


def json_response(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON document as a response."""
    return Response(json.dumps(document, ensure_ascii=False), status, dict(headers or {}), JSON_TYPE)


def dedup_of(request: Request) -> str | None:
    """The id of the message in a request with an Idempotency-Key, by which its effect happens once."""
    key = request.headers.get("idempotency-key")
    return f"{token_of(request).id}:{key}" if key is not None else None


def _once(answer: Answer) -> Answer:
    """`answer`, whose response to a request with an Idempotency-Key is stored and repeated."""

    @wraps(answer)
    async def answer_once(*args: Any, request: Request, **kwargs: Any) -> Response:
        key = request.headers.get("idempotency-key")
        if key is None:
            return await answer(*args, request=request, **kwargs)
        _check_key(request, key)
        token, stored = token_of(request).id, services_of(request).api_responses
        earlier = await _begin(request, token, key)
        if earlier is not None:
            return Response(earlier.body, earlier.status, {**earlier.headers, "Idempotency-Replayed": "true"})
        try:
            response = await answer(*args, request=request, **kwargs)
        except CountersignError as error:
            if error.problem.kind in (Kind.UNAVAILABLE, Kind.FAILED):
                await stored.forget(token, key)
                raise
            response = problem_response(error)
        except BaseException:
            await stored.forget(token, key)
            raise
        kept = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
        body = bytes(response.body).decode()
        await stored.finish(token, key, StoredResponse(response.status_code, kept, body))
        return response

    return answer_once


async def _begin(request: Request, token: str, key: str) -> StoredResponse | None:
    hashed = hashlib.sha256(f"{request.method} {request.scope['path']}?{request.url.query}\n".encode())
    hashed.update(await request.body())
    try:
        return await services_of(request).api_responses.begin(token, key, hashed.hexdigest())
    except KeyReusedError as error:
        raise ApiError(422, error.problem.code, error.problem.message, str(error.problem.mend)) from error


def _check_key(request: Request, key: str) -> None:
    is_one = len(request.headers.getlist("idempotency-key")) == 1
    if not is_one or not 1 <= len(key) <= MAX_KEY or not key.isascii() or not key.isprintable() or " " in key:
        mend = f"Send 1 to {MAX_KEY} visible ASCII characters, such as a UUID."
        raise ApiError(400, "bad_key", "the Idempotency-Key is not valid", mend)
