"""Strict requests: a bounded body that is one JSON object, and query parameters that the route knows, each once."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from bot.web.api.problems import ApiError
from bot.web.body import BodyError, read_body
from core.strict_json import NotJsonError, read_object

MAX_BODY_BYTES: Final = 512 * 1024
"""A text of 64 KiB in which every byte is escaped, and the rest."""
BODY_WITHIN_S: Final = 10.0
MAX_DEPTH: Final = 8
JSON_TYPE: Final = "application/json"


class StrictRequest(Request):
    """A request whose body is read within limits and parsed strictly."""

    async def body(self) -> bytes:
        """The body; raises `ApiError` for one that is too large, too slow or not JSON by its type."""
        if not hasattr(self, "_body"):
            try:
                self._body = await read_body(self, MAX_BODY_BYTES, BODY_WITHIN_S)
            except BodyError as error:
                raise ApiError(error.status, error.problem.code, error.problem.message) from error
            declared = self.headers.get("content-type", "")
            if self._body and declared.split(";")[0].strip().lower() != JSON_TYPE:
                raise ApiError(415, "not_json", f"the body is not declared as {JSON_TYPE}", "Set Content-Type.")
        return self._body

    async def json(self) -> Any:
        """The JSON object of the body; raises `ApiError` for anything else."""
        try:
            text = (await self.body()).decode()
            value = read_object(text, max_chars=MAX_BODY_BYTES, max_depth=MAX_DEPTH, what="The body")
        except UnicodeDecodeError as error:
            raise ApiError(400, "not_utf8", "the body is not UTF-8") from error
        except NotJsonError as error:
            raise ApiError(400, "bad_json", str(error).rstrip(".")) from error
        if any("\0" in text for text in _texts(value)):
            raise ApiError(422, "not_text", "a text in the body contains the character NUL")
        return value


class StrictRoute(APIRoute):
    """A route whose requests are strict."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's function for the route, behind the checks."""
        answer, known = super().get_route_handler(), frozenset(_query_names(self.dependant))
        has_body = self.body_field is not None

        async def strict(request: Request) -> Response:
            names = [name for name, _ in request.query_params.multi_items()]
            if unknown := sorted(set(names) - known):
                mend = f"Known: {', '.join(sorted(known)) or 'none'}."
                raise ApiError(422, "unknown_parameter", f"there is no query parameter {unknown[0][:40]!r}", mend)
            if len(names) > len(set(names)):
                raise ApiError(422, "repeated_parameter", "a query parameter is given twice", "Give it once.")
            if "\0" in request.scope["path"] or any("\0" in value for value in request.query_params.values()):
                raise ApiError(422, "not_text", "the address contains the character NUL")
            strict_request = StrictRequest(request.scope, request.receive)
            if not has_body and await strict_request.body():
                raise ApiError(422, "no_body_here", "this request takes no body", "Leave the body out.")
            return await answer(strict_request)

        return strict


def invalid(error: RequestValidationError) -> ApiError:
    """The problem of a request that does not fit its description; it quotes names but no values."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    message = str(first["msg"]).partition("\n")[0]
    return ApiError(422, "invalid", f"{where[:100]}: {message[:200]}", "See GET /api/v1/openapi.json.")


def _query_names(dependant: Any) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _query_names(inner)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
