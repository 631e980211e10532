"""Problems as the API answers them: `application/problem+json` (RFC 9457) with code, mend and a suggested command."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from core.model.advice import Advice, CommandName, Suggestion, advise
from core.model.errors import CountersignError, Kind, Problem

MEDIA_TYPE: Final = "application/problem+json"
STATUS: Final[Mapping[Kind, int]] = {
    Kind.FAILED: 500,
    Kind.USAGE: 422,
    Kind.REFUSED: 403,
    Kind.BLOCKED: 409,
    Kind.CONFLICT: 409,
    Kind.MISSING: 404,
    Kind.UNAVAILABLE: 503,
}
_TITLES: Final[Mapping[int, str]] = {
    400: "The request is malformed",
    401: "The token is missing or not valid",
    403: "Not allowed",
    404: "There is no such thing",
    405: "The method is not allowed here",
    408: "The request came too slowly",
    409: "This conflicts with the present state",
    412: "The precondition does not hold",
    413: "The body is too large",
    415: "The media type is not supported",
    422: "The request cannot be processed as it is",
    428: "A precondition is required",
    429: "Too many requests",
    500: "Something failed",
    503: "Something is unavailable now",
}
_HIDDEN: Final = frozenset({"not_here", "no_such_task"})
"""Codes that are answered alike, so that a token cannot tell a task of another repository from none."""


class ApiError(CountersignError):
    """A problem of the request itself, with the HTTP status and further headers of its response."""

    def __init__(
        self, status: int, code: str, message: str, mend: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(code, message, mend)
        self.problem = Problem(_kind_of(status), code, message, mend)
        self.status, self.headers = status, dict(headers or {})


def _kind_of(status: int) -> Kind:
    """The kind of a problem, which gives `countersign --server` its exit status."""
    kinds = {401: Kind.REFUSED, 403: Kind.REFUSED, 404: Kind.MISSING, 405: Kind.MISSING, 409: Kind.CONFLICT}
    return kinds.get(status) or {412: Kind.CONFLICT, 429: Kind.UNAVAILABLE}.get(status, Kind.USAGE)


def problem_response(error: CountersignError) -> Response:
    """The response for an error."""
    problem = hidden(error.problem)
    status = STATUS[problem.kind]
    headers: dict[str, str] = {}
    if isinstance(error, ApiError):
        status, headers = error.status, error.headers
    retry_after_s = getattr(error, "retry_after_s", None)
    if status == 503:
        headers = {"Retry-After": str(math.ceil(retry_after_s or 5)), **headers}
    return render(problem, status, headers)


def hidden(problem: Problem) -> Problem:
    """The problem without what it would reveal of tasks in other repositories."""
    if problem.kind is not Kind.MISSING or problem.code not in _HIDDEN:
        return problem
    mend = advise("See them with ", Suggestion(CommandName.PROGRESS), ".")
    return Problem(Kind.MISSING, "no_such_task", "there is no such task", mend)


def render(problem: Problem, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """A problem as a response."""
    return Response(json.dumps(document_of(problem, status)), status, dict(headers or {}), MEDIA_TYPE)


def document_of(problem: Problem, status: int) -> dict[str, Any]:
    """The members of RFC 9457, and those of the ``error`` object of the task document."""
    document: dict[str, Any] = {
        "type": f"urn:countersign:problem:{problem.code}",
        "title": _TITLES.get(status, "The request failed"),
        "status": status,
        "detail": problem.message,
        "code": problem.code,
        "kind": problem.kind.value,
        "mend": str(problem.mend),
        "command": None,
    }
    if isinstance(problem.mend, Advice):
        document["advice"] = problem.mend.to_json()
        suggestions = [part for part in problem.mend.parts if isinstance(part, Suggestion)]
        if suggestions:
            document["command"] = {**suggestions[0].to_json(), "line": suggestions[0].line()}
    return document
