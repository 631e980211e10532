"""Comments on lines of a diff: the form for one, and sending all of them as one reply, or discarding them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.cards.safe import visible
from bot.interpret.courtesy import is_courtesy
from bot.interpret.grammar import NotUnderstood, parse
from bot.web.diff.files import DiffFile, DividedDiff
from bot.web.diff.hunks import ADDED, REMOVED, LineRow
from bot.web.diff.rows_html import FileLines, key_of
from bot.web.diff.view import SPLIT, UNIFIED, read_lines
from bot.web.pages.diff_margin import line_of
from bot.web.pages.task import task_page
from bot.web.pages.task_diff import chosen_view
from bot.web.pages.task_files import current_diff, file_at
from bot.web.site.render import STATUS
from bot.web.site.session import Visitor
from bot.web.site.site_context import SiteContext, add_form, see_other, task_number, visitor_of
from core.model.diff_comment import DiffSide, LineAnchor
from core.model.errors import CountersignError, NotFoundError

Form = Mapping[str, str]

_AT: Final = re.compile(r"([on])([1-9]\d{0,8})")
_SIDES: Final = {"o": DiffSide.OLD, "n": DiffSide.NEW}


def router(site: SiteContext) -> APIRouter:
    """The routes of comments."""
    routes = APIRouter()

    @routes.get("/tasks/{number:int}/comment")
    async def write(request: Request) -> Response:
        values = await _values(site, request)
        if request.headers.get("hx-request"):
            return site.render.fragment(request, "comment.html", "row", **values)
        return site.render.page(request, "comment.html", **values)

    async def save(request: Request, visitor: Visitor, form: Form) -> Response:
        number, text, actor = task_number(request), form.get("text", ""), visitor.session.actor
        try:
            line = await _line(site, request, form)
            if form.get("do") == "remove":
                await site.services.diff_comments.remove(number, line.digest, line.anchor, actor)
            else:
                await site.services.diff_comments.put(number, line.digest, line.anchor, line.quote, text, actor)
        except CountersignError as error:
            return await _refused(site, request, error, text)
        view = SPLIT if form.get("view") == SPLIT else UNIFIED
        return see_other(f"/tasks/{number}?part={line.part + 1}&view={view}#{line.target}")

    async def send(request: Request, visitor: Visitor, form: Form) -> Response:
        number, opening = task_number(request), form.get("text", "").replace("\r\n", "\n")
        actor = visitor.session.actor
        try:
            await site.services.diff_comments.send(number, form.get("digest", ""), opening, actor, is_request)
        except CountersignError as error:
            return await _refused(site, request, error, opening)
        return see_other(f"/tasks/{number}")

    async def discard(request: Request, visitor: Visitor, form: Form) -> Response:
        number = task_number(request)
        await site.services.diff_comments.discard(number, form.get("digest", ""), visitor.session.actor)
        return see_other(f"/tasks/{number}#comments")

    add_form(routes, "/tasks/{number:int}/comment", save)
    add_form(routes, "/tasks/{number:int}/comments/send", send)
    add_form(routes, "/tasks/{number:int}/comments/discard", discard)
    return routes


def is_request(text: str) -> bool:
    """Whether a text is a complete request without what it was written on."""
    return not is_courtesy(text) and not isinstance(parse(text), NotUnderstood)


@dataclass(frozen=True, slots=True)
class CommentedLine:
    """A line of the current diff, whose digest is `digest`.

    `quote` is its text from the blob in visible characters; `part` has it, `target` is its place on that page.
    """

    digest: str
    anchor: LineAnchor
    quote: str
    file: int
    part: int
    target: str


async def _values(site: SiteContext, request: Request) -> dict[str, Any]:
    """What the form for a comment shows: the line, and what the visitor wrote on it already."""
    number, session = task_number(request), visitor_of(request).session
    await site.services.requests.check_speaking(number, session.actor)
    line = await _line(site, request, request.query_params)
    drafts = await site.services.diff_comments.drafts(number, session.actor)
    written = [c.text for d in drafts if d.is_current for c in d.comments if c.anchor == line.anchor]
    return {
        "number": number,
        "line": line,
        "at": line_of(line.anchor),
        "text": written[0] if written else "",
        "view": chosen_view(request),
    }


async def _line(site: SiteContext, request: Request, given: Mapping[str, str]) -> CommentedLine:
    """The line that a query or a form names; raises `NotFoundError` if the diff does not have it."""
    index, place = given.get("file", ""), given.get("at") or f"{given.get('side', '')}{given.get('line', '').strip()}"
    at = _AT.fullmatch(place)
    if at is None or not (index.isascii() and index.isdecimal() and len(index) < 9):
        raise NotFoundError("no_such_line", "the diff has no such line", "Choose a line of the diff.")
    card, content, diff = await current_diff(site, request, given.get("digest", ""))
    assert card.staged is not None
    file = file_at(diff, int(index))
    lines = await read_lines(content, file)
    anchor = LineAnchor(file.path, _SIDES[at[1]], int(at[2]))
    part, is_shown = _place(diff, file, anchor)
    target = f"c-{file.index}-{line_of(anchor)}" if is_shown else f"f{file.index}"
    return CommentedLine(card.staged.digest, anchor, _text(lines, anchor), file.index, part, target)


def _text(lines: FileLines, anchor: LineAnchor) -> str:
    is_old = anchor.side is DiffSide.OLD
    if anchor.line > len(lines.old if is_old else lines.new):
        mend = "Choose a line of the diff."
        raise NotFoundError("no_such_line", f"{anchor.path} has no line {anchor.line} there", mend)
    row = LineRow(REMOVED, anchor.line, 0) if is_old else LineRow(ADDED, 0, anchor.line)
    return visible(lines.text(row).expandtabs(4))


def _place(diff: DividedDiff, file: DiffFile, anchor: LineAnchor) -> tuple[int, bool]:
    """The part of the diff that shows a line, and True; else the one in which its file begins, and False."""
    holding = [(n, one) for n, part in enumerate(diff.parts) for one in part if one.file.index == file.index]
    wanted = (REMOVED if anchor.side is DiffSide.OLD else ADDED, anchor.line)
    for n, one in holding:
        if any(key_of(row) == wanted for hunk in one.hunks() for row in hunk):
            return n, True
    return holding[0][0], False


async def _refused(site: SiteContext, request: Request, error: CountersignError, text: str) -> Response:
    """The task's page with the problem on top; what was typed is kept in the form of the reply."""
    if isinstance(error, NotFoundError):
        raise error
    return await task_page(site, request, error.problem, STATUS[error.problem.kind], text)
