"""Parts of a task's files: unchanged lines, a whole file, and downloads, which are never shown by the browser."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from bot.cards.build import build_card
from bot.cards.model import Card
from bot.web.diff.files import DiffFile, DividedDiff
from bot.web.diff.rows_html import Gap
from bot.web.diff.view import EXPANDED, context_hunk, read_lines, rendered, whole_hunk
from bot.web.pages.task_diff import chosen_view, divided, gap_link, rows_of
from bot.web.site.headers import FILE_POLICY
from bot.web.site.site_context import SiteContext, task_number, visitor_of
from core.model.artifact import Artifact
from core.model.errors import ConflictError, NotFoundError
from core.model.staged_diff import TYPED_DIGITS
from core.services.staged_diffs import StagedContent
from core.services.task_document import TaskDocument

PACK: Final = "change.pack"
MAX_WHOLE_ROWS: Final = 6_000
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")


def router(site: SiteContext) -> APIRouter:
    """The routes of a task's files."""
    routes = APIRouter()

    @routes.get("/tasks/{number:int}/context/{index:int}")
    async def context(request: Request) -> Response:
        _, content, file = await _file(site, request)
        lines = await read_lines(content, file)
        old, new, count = (_count(request, name) for name in ("old", "new", "count"))
        first = context_hunk(old, new, min(count, EXPANDED), lines)
        rest = Gap(old + len(first), new + len(first), count - len(first))
        link = gap_link(task_number(request), request.query_params["digest"], chosen_view(request))
        more = f"<tr class=gap><td colspan=4>{link(file, rest)}</td>\n" if first and rest.count > 0 else ""
        html = rendered(lines, [first], chosen_view(request), ["", more]) if first else ""
        return HTMLResponse(html.encode("utf-8", "backslashreplace"))

    @routes.get("/tasks/{number:int}/files/{index:int}")
    async def whole_file(request: Request) -> Response:
        card, content, file = await _file(site, request)
        lines = await read_lines(content, file)
        hunk = whole_hunk(file, lines)
        view = chosen_view(request)
        html = rendered(lines, [hunk[:MAX_WHOLE_ROWS]], view, ["", ""]) if hunk else ""
        values: dict[str, Any] = {
            "card": card,
            "file": file,
            "row": rows_of(card).get(file.path),
            "html": html,
            "view": view,
        }
        cut = max(0, len(hunk) - MAX_WHOLE_ROWS)
        return site.render.page(request, "file.html", **values, cut=cut, digest=request.query_params["digest"])

    @routes.get("/tasks/{number:int}/files/{index:int}/{side}")
    async def download(request: Request) -> Response:
        _, content, file = await _file(site, request)
        sides = {"old": file.old_blob, "new": file.new_blob}
        oid = sides.get(request.path_params["side"])
        if oid is None:
            raise NotFoundError("no_such_side", "the file does not exist on that side", "Go back to the task.")
        return attachment(file.path.rpartition("/")[2], await content.blob(oid))

    @routes.get("/tasks/{number:int}/artifacts/{sha256}")
    async def artifact(request: Request) -> Response:
        document = await _document(site, request)
        sha256 = request.path_params["sha256"]
        found = [each for each in downloadable(document) if each.sha256 == sha256]
        if not found:
            raise NotFoundError("no_such_artifact", "the task has no such file", "Go back to the task.")
        return attachment(found[-1].name, await site.services.queries.artifact(found[-1]))

    return routes


def downloadable(document: TaskDocument) -> list[Artifact]:
    """The files of a task that people get; its git objects are not masked where the guard found a secret."""
    return [artifact for artifact in document.artifacts if artifact.name != PACK]


def attachment(name: str, content: bytes) -> Response:
    """A file to download; whatever its name and content, no browser shows it as a page (security.md 127, 130)."""
    plain = _UNSAFE.sub("_", name)[-100:].lstrip(".") or "file"
    encoded = quote(name.encode("utf-8", "surrogateescape")[-200:], safe="")
    headers = {
        "content-disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}",
        "content-security-policy": FILE_POLICY,
    }
    return Response(content, media_type="application/octet-stream", headers=headers)


async def _document(site: SiteContext, request: Request) -> TaskDocument:
    return await site.services.documents.document(task_number(request), visitor_of(request).session.actor)


def _index(request: Request) -> int:
    return int(request.path_params["index"])


async def current_diff(site: SiteContext, request: Request, digest: str) -> tuple[Card, StagedContent, DividedDiff]:
    """The current diff of the request's task, which `digest` names by at least `TYPED_DIGITS` digits.

    Raises `ConflictError` if that diff is not current.
    """
    document = await _document(site, request)
    staged = document.task.staged
    if staged is None or len(digest) < TYPED_DIGITS or not staged.digest.startswith(digest):
        number = document.task.number
        raise ConflictError("stale_digest", f"that is not the current diff of #{number}", "Open the task again.")
    card = build_card(document.to_json(), now=datetime.now(UTC))
    found = await divided(site, document.task, card)
    if found is None:
        raise NotFoundError("no_such_file", "the diff has no such file", "Go back to the task.")
    return card, *found


async def _file(site: SiteContext, request: Request) -> tuple[Card, StagedContent, DiffFile]:
    """The file that a request names by its place in the current diff; raises what `current_diff` raises."""
    card, content, diff = await current_diff(site, request, request.query_params.get("digest", ""))
    return card, content, file_at(diff, int(request.path_params["index"]))


def file_at(diff: DividedDiff, index: int) -> DiffFile:
    """The file at a place of a diff; raises `NotFoundError`."""
    if index >= len(diff.files):
        raise NotFoundError("no_such_file", "the diff has no such file", "Go back to the task.")
    return diff.files[index]


def _count(request: Request, name: str) -> int:
    value = request.query_params.get(name, "")
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 9 else 0
