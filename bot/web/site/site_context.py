"""What every page gets: core's services, the templates, the live news, and how a form is registered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from bot.web.diff.files import DiffDivider
from bot.web.site.attempts import AttemptLimits
from bot.web.site.csrf import read_own_form
from bot.web.site.live import LiveEvents
from bot.web.site.render import Renderer
from bot.web.site.services import SiteServices
from bot.web.site.session import Visitor
from core.model.errors import NotFoundError

MAX_NUMBER: Final = 2**31 - 1
"""The largest task number, the largest integer of PostgreSQL."""

FormAction = Callable[[Request, Visitor, Mapping[str, str]], Awaitable[Response]]
"""Carries out a form that a visitor's own page sent."""


@dataclass(slots=True)
class SiteContext:
    """Shared by all pages; `clock` is monotonic, in seconds."""

    services: SiteServices
    render: Renderer
    live: LiveEvents
    divider: DiffDivider
    clock: Callable[[], float]
    sign_ins: AttemptLimits = field(init=False)

    def __post_init__(self) -> None:
        self.sign_ins = AttemptLimits(self.clock)


def visitor_of(request: Request) -> Visitor:
    """Who sent a request that passed `RequireSession`."""
    visitor: Visitor = request.state.visitor
    return visitor


def task_number(request: Request) -> int:
    """The task's number in the path; raises `NotFoundError` for one that no task can have."""
    number = int(request.path_params["number"])
    if not 0 < number <= MAX_NUMBER:
        raise NotFoundError("no_such_task", "there is no such task", "Look for it in the list of tasks.")
    return number


def add_form(router: APIRouter, path: str, action: FormAction, many: str = "") -> None:
    """Register a form: `action` is called only if the visitor's own page sent it (see `csrf`).

    It gets the values of the field `many`, such as those of checkboxes, joined by spaces.
    """

    async def receive(request: Request) -> Response:
        visitor = visitor_of(request)
        return await action(request, visitor, await read_own_form(request, visitor.cookie, many))

    router.add_api_route(path, receive, methods=["POST"], name=path)


def see_other(path: str) -> RedirectResponse:
    """Go to a page of ours after a form; `path` never comes from a request, so it leads nowhere else."""
    return RedirectResponse(path, 303)
