"""The queue: what runs, what comes next and why it waits; maintainers and the operator pause and reorder it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.cards.eta import short_forecast
from bot.web.pages.permissions import may_operate
from bot.web.site.session import Visitor
from bot.web.site.site_context import MAX_NUMBER, SiteContext, add_form, see_other, visitor_of
from core.model.errors import ConflictError, UsageError
from core.model.job import JobState
from core.model.role import Role
from core.model.turn import Actor
from core.rules.visibility import visibility_of, visible_names
from core.services.queries import OtherTeamsJob
from core.services.queue_control import MoveTo, PauseScope, PauseScopeKind, QueueMove
from core.services.web_sessions import WebSession
from core.settings import Settings

if TYPE_CHECKING:
    from core.rules.queue_places import QueueRow

MAX_SHOWN: Final = 200
MAX_REASON: Final = 500


def router(site: SiteContext) -> APIRouter:
    """The routes of the queue."""
    routes = APIRouter()

    @routes.get("/queue")
    async def queue(request: Request) -> Response:
        return await _page(site, request, "")

    @routes.get("/queue/jobs")
    async def jobs(request: Request) -> Response:
        return await _page(site, request, "jobs")

    async def pause(_request: Request, visitor: Visitor, form: Mapping[str, str]) -> Response:
        await site.services.queue_control.pause(visitor.session.actor, reason_in(form), scope_in(form))
        return see_other("/queue")

    async def resume(_request: Request, visitor: Visitor, form: Mapping[str, str]) -> Response:
        await site.services.queue_control.resume(visitor.session.actor, scope_in(form))
        return see_other("/queue")

    async def move(_request: Request, visitor: Visitor, form: Mapping[str, str]) -> Response:
        number, actor = _number(form), visitor.session.actor
        wanted = await _move(site, actor, number, form.get("to", ""), reason_in(form))
        await site.services.queue_control.move(actor, number, wanted)
        return see_other(f"/queue#job-{number}")

    add_form(routes, "/queue/pause", pause)
    add_form(routes, "/queue/resume", resume)
    add_form(routes, "/queue/move", move)
    return routes


def scope_in(form: Mapping[str, str]) -> PauseScope | None:
    """What a form is about: ``lane NAME``, ``repository NAME``, or everything; raises `UsageError` for another text."""
    kind, _, name = form.get("scope", "").partition(" ")
    if not kind:
        return None
    try:
        return PauseScope(PauseScopeKind(kind), name)
    except ValueError as error:
        raise UsageError("bad_scope", "that is not a lane or a repository", "Choose one from the list.") from error


def reason_in(form: Mapping[str, str]) -> str:
    """The reason that a form gives, bounded."""
    return form.get("reason", "").strip()[:MAX_REASON]


async def _move(site: SiteContext, actor: Actor, number: int, to: str, reason: str) -> QueueMove:
    """Where a job goes, from the order as it is now; up and down are by one job of another task."""
    if to in (MoveTo.FIRST.value, MoveTo.LAST.value):
        return QueueMove(MoveTo(to), None, reason)
    if to not in ("up", "down"):
        raise UsageError("bad_place", "that is not a place in the queue", "Use the buttons of the queue.")
    rows = (await site.services.queries.queue(actor)).rows
    line = list(dict.fromkeys(row.queued.job.number for row in rows if row.queued.job.state is JobState.READY))
    return _neighbour(line, number, to, reason)


def _neighbour(line: Sequence[int], number: int, to: str, reason: str) -> QueueMove:
    if number not in line:
        raise ConflictError("not_queued", f"#{number} does not wait in the queue now", "Look at the queue again.")
    at = line.index(number)
    if to == "up":
        return QueueMove(MoveTo.BEFORE, line[at - 1], reason) if at else QueueMove(MoveTo.FIRST, None, reason)
    behind = line[at + 2] if at + 2 < len(line) else None
    return QueueMove(MoveTo.BEFORE, behind, reason) if behind is not None else QueueMove(MoveTo.LAST, None, reason)


def _number(form: Mapping[str, str]) -> int:
    value = form.get("task", "")
    if not (value.isascii() and value.isdecimal() and 0 < int(value[:12]) <= MAX_NUMBER):
        raise UsageError("bad_number", "that is not the number of a task", "Use the buttons of the queue.")
    return int(value)


def _row(row: QueueRow | OtherTeamsJob) -> tuple[QueueRow | None, str, OtherTeamsJob | None]:
    """A job of the page with its forecast, or another team's."""
    return (None, "", row) if isinstance(row, OtherTeamsJob) else (row, short_forecast(row.to_json()), None)


def _pausable(settings: Settings, session: WebSession) -> list[str]:
    """The repositories that the visitor may pause: for operators of one team, those of that team."""
    names = visible_names(settings, visibility_of(settings, session.actor))
    if may_operate(settings, session):
        return list(names)
    each = ((name, settings.people_of(name).get(session.person or "")) for name in names)
    return [name for name, person in each if person is not None and person.may(Role.OPERATOR)]


def _is_running(row: QueueRow | OtherTeamsJob) -> bool:
    return row.is_running if isinstance(row, OtherTeamsJob) else row.queued.job.state is JobState.RUNNING


async def _page(site: SiteContext, request: Request, block: str) -> Response:
    news = await site.services.queries.newest_event()
    session = visitor_of(request).session
    queue = await site.services.queries.queue(session.actor)
    settings = site.services.queue_control.settings()
    line = queue.line or queue.rows
    values: dict[str, Any] = {
        "paused": queue.paused,
        "pauses": queue.pauses,
        "loading": queue.loading,
        "rows": [_row(row) for row in line[:MAX_SHOWN]],
        "count": len(line),
        "running": sum(1 for row in line if _is_running(row)),
        "may_pause": may_operate(settings, session),
        "lanes": sorted(settings.lanes),
        "pausable": _pausable(settings, session),
        "news": news,
    }
    if block:
        return site.render.fragment(request, "queue.html", block, **values)
    return site.render.page(request, "queue.html", **values)
