"""The forms of a task's page that are no verdicts: merging, undoing, repeating and cancelling."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.web.pages.task import task_page
from bot.web.site.render import STATUS
from bot.web.site.session import Visitor
from bot.web.site.site_context import SiteContext, add_form, see_other, task_number
from core.model.errors import CountersignError, NotFoundError
from core.model.turn import Actor

Step = Callable[[int, Actor, str], Awaitable[int]]
"""Takes a step on a task and returns the number of the task to look at next; the text identifies the form."""

RETRY = "retry"
"""The reply that repeats the work, as in the chats."""


def router(site: SiteContext) -> APIRouter:
    """The routes of these forms."""
    routes, requests = APIRouter(), site.services.requests

    async def merge(number: int, actor: Actor, _dedup: str) -> int:
        return (await requests.merge(number, actor)).number

    async def undo(number: int, actor: Actor, _dedup: str) -> int:
        return await requests.undo(number, actor)

    async def cancel(number: int, actor: Actor, _dedup: str) -> int:
        return (await requests.cancel(number, actor)).number

    async def retry(number: int, actor: Actor, dedup: str) -> int:
        return (await requests.reply(number, RETRY, actor, dedup or None)).number

    steps: Mapping[str, Step] = {"merge": merge, "undo": undo, "cancel": cancel, "retry": retry}
    for name, step in steps.items():
        add_form(routes, f"/tasks/{{number:int}}/{name}", _form(site, step))
    return routes


def _form(site: SiteContext, step: Step) -> Callable[[Request, Visitor, Mapping[str, str]], Awaitable[Response]]:
    async def carry_out(request: Request, visitor: Visitor, form: Mapping[str, str]) -> Response:
        nonce = form.get("nonce", "")[:40]
        dedup = f"{visitor.session.id} {nonce}" if nonce else ""
        try:
            number = await step(task_number(request), visitor.session.actor, dedup)
        except NotFoundError:
            raise
        except CountersignError as error:
            return await task_page(site, request, error.problem, STATUS[error.problem.kind])
        return see_other(f"/tasks/{number}")

    return carry_out
