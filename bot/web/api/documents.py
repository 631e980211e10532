"""Task documents as responses, with ETags, and the preconditions that requests put on them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from fastapi import Request, Response

from bot.web.api.endpoint import JSON_TYPE, services_of
from bot.web.api.problems import ApiError
from core.model.turn import Actor
from core.services.task_document import TaskDocument


@dataclass(frozen=True, slots=True)
class RenderedDocument:
    """A task document, its bytes and its ETag."""

    document: TaskDocument
    body: bytes
    etag: str

    def response(self, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        """The document as a response."""
        return Response(self.body, status, {"ETag": self.etag, **(headers or {})}, JSON_TYPE)


async def rendered(request: Request, number: int, actor: Actor) -> RenderedDocument:
    """The document of a task that the actor can see; raises `NotFoundError`."""
    document = await services_of(request).documents.document(number, actor)
    body = json.dumps(document.to_json(), ensure_ascii=False).encode()
    return RenderedDocument(document, body, etag_of(body))


def etag_of(body: bytes) -> str:
    """A strong ETag of a response's bytes."""
    return f'"{hashlib.sha256(body).hexdigest()[:40]}"'


def conditional(request: Request, etag: str, response: Response) -> Response:
    """`response`, or 304 if the client has it already (RFC 9110, 13.1.2)."""
    if _names(request.headers.get("if-none-match"), etag, weak=True):
        return Response(status_code=304, headers={"ETag": etag})
    return response


def check_unchanged(request: Request, current: RenderedDocument) -> None:
    """Raise `ApiError` unless If-Match names the document as it is (RFC 9110, 13.1.1)."""
    expected = request.headers.get("if-match")
    if expected is None:
        mend = f"Read GET /api/v1/tasks/{current.document.task.number}, and send its ETag in If-Match."
        raise ApiError(428, "if_match_required", "a verdict needs If-Match", mend)
    if not _names(expected, current.etag, weak=False):
        number = current.document.task.number
        mend = "Read it again, and decide on what it says now."
        raise ApiError(412, "changed", f"#{number} changed since you read it", mend)


def _names(header: str | None, etag: str, *, weak: bool) -> bool:
    """Whether a list of ETags contains `etag`; `*` contains all."""
    if header is None:
        return False
    tags = [tag.strip() for tag in header.split(",")]
    return "*" in tags or etag in tags or (weak and f"W/{etag}" in tags)
