"""The OpenAPI 3.1 description: FastAPI's, with the schemas of the documents, the token, and examples."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from bot.json_schemas import schema_of
from bot.web.api.examples import EXAMPLES
from bot.web.api.mount import PATH
from core.model.api_token import TokenScope
from core.model.errors import Kind
from core.model.lifecycle import State
from core.services.queue_control import MoveTo

_TEXT: Final = {"type": "string"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_TIME: Final = {"type": "string", "format": "date-time"}
_ABOUT: Final = (
    "Every request needs a token (`countersign tokens create`) in `Authorization: Bearer TOKEN`; `x-countersign-scope` "
    "names the scope that a route needs. A token that is limited to some repositories sees nothing of others. "
    "Problems are application/problem+json (RFC 9457). RateLimit and RateLimit-Policy follow "
    "draft-ietf-httpapi-ratelimit-headers-11, Idempotency-Key follows draft-ietf-httpapi-idempotency-key-header-07."
)


def describe(app: FastAPI) -> dict[str, Any]:
    """The description of the API, as JSON."""
    document: dict[str, Any] = get_openapi(
        title=app.title, version=app.version, openapi_version="3.1.0", description=_ABOUT, routes=app.routes
    )
    document["servers"] = [{"url": PATH}]
    document["security"] = [{"token": []}]
    components = document.setdefault("components", {})
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    schemas: dict[str, Any] = components.setdefault("schemas", {})
    schemas |= _schemas()
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path in document["paths"].values():
        for operation in path.values():
            _complete(operation)
    return document


def _complete(operation: dict[str, Any]) -> None:
    """Give an operation its examples, and take out what FastAPI adds and this API does not answer."""
    responses = operation["responses"]
    for status, response in list(responses.items()):
        if status == "304":
            response.pop("content", None)
        for media in response.get("content", {}).values():
            name = str(media.get("schema", {}).get("$ref", "")).rpartition("/")[2]
            if name == "HTTPValidationError":
                media["schema"] = {"$ref": "#/components/schemas/Problem"}
            if name in EXAMPLES:
                media["example"] = EXAMPLES[name]
        if "application/problem+json" in response.get("content", {}):
            response["content"].pop("application/json", None)


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _document(name: str) -> dict[str, Any]:
    """The schema of a document, as a component."""
    schema = dict(schema_of(name))
    schema.pop("$schema")
    return schema


def _summary() -> dict[str, Any]:
    """A task in a list."""
    return _object(
        number=_COUNT,
        state={"enum": [state.value for state in State]},
        repo=_or_null(_TEXT),
        requester=_TEXT,
        title=_TEXT,
        lane=_or_null(_TEXT),
        revision=_COUNT,
        digest=_or_null(_TEXT),
        priority={"type": "integer"},
        updated_at=_TIME,
    )


def _part() -> dict[str, Any]:
    """A part of a staged diff."""
    lines = _object(first=_COUNT, count=_COUNT)
    hunk = _or_null(_object(old=lines, new=lines))
    return _object(n=_COUNT, id=_TEXT, file=_TEXT, path=_TEXT, lines=hunk, label=_TEXT)


def _schedule() -> dict[str, Any]:
    """A recurring request."""
    return _object(
        id=_TEXT,
        person=_TEXT,
        text=_TEXT,
        repo=_or_null(_TEXT),
        state=_TEXT,
        zone=_TEXT,
        next=_or_null(_TIME),
        last=_or_null(_TIME),
    )


def _token() -> dict[str, Any]:
    """A token, without its secret."""
    return _object(
        id=_TEXT,
        name=_TEXT,
        person=_or_null(_TEXT),
        scopes=_list({"enum": [scope.value for scope in TokenScope]}),
        repositories=_or_null(_list(_TEXT)),
        created_at=_TIME,
        expires_at=_or_null(_TIME),
        last_used_at=_or_null(_TIME),
        revoked_at=_or_null(_TIME),
    )


def _schemas() -> dict[str, Any]:
    """The schemas of what the API answers, by name."""
    task = _document("task")
    open_object = {"type": "object"}
    pause = _or_null(_object(reason=_TEXT, by=_or_null(_TEXT)))
    return {
        "Task": task,
        "TaskPage": _object(tasks=_list(_summary()), next_before=_or_null(_COUNT)),
        "Parts": _object(task=_COUNT, revision=_COUNT, digest=_TEXT, parts=_list(_part())),
        "Artifacts": _object(artifacts=task["properties"]["artifacts"]),
        "EventPage": _object(events=_list(_document("event")), last_id=_COUNT),
        "Queue": _object(
            paused=pause,
            pauses=_list(open_object),
            jobs=_list(open_object),
            loading=open_object,
            others=_object(running=_COUNT, waiting=_COUNT),
        ),
        "Paused": _object(paused=pause),
        "Moved": _object(
            task=_COUNT,
            moved=_object(to={"enum": [place.value for place in MoveTo]}, before=_or_null(_COUNT), reason=_TEXT),
            position=_COUNT,
        ),
        "Endpoints": _object(endpoints=_list(_object(name=_TEXT, state=_TEXT, models=_list(open_object)))),
        "Drained": _object(endpoint=_TEXT, drained=_or_null(open_object)),
        "Nodes": _object(nodes=_list(_object(name=_TEXT, offers=_list(_TEXT), workers=_list(open_object)))),
        "Stats": _object(tasks=open_object, jobs=open_object, workers=_list(open_object), events=open_object),
        "Schedule": _schedule(),
        "Schedules": _object(schedules=_list(_schedule())),
        "Explanation": _object(
            title=_TEXT, effect=_TEXT, rule=_or_null(_TEXT), lane=_or_null(_TEXT), reason=_TEXT, trace=_list(_TEXT)
        ),
        "Token": _token(),
        "Problem": _object(
            type=_TEXT,
            title=_TEXT,
            status=_COUNT,
            detail=_TEXT,
            code=_TEXT,
            kind={"enum": [kind.value for kind in Kind]},
            mend=_TEXT,
            command=_or_null(open_object),
        ),
    }
