"""The receipt of a task, and whether it can be verified: the checks of `countersign verify`, run when a person asks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.web.site.site_context import SiteContext, task_number, visitor_of
from core.model.errors import CountersignError, Kind, NotFoundError, Problem
from core.rules.receipt import ARTIFACT

WITHIN_S: Final = 60.0
"""The longest that the checks may take, which ask the forge."""
AT_ONCE: Final = 2
"""How many receipts are verified at the same time."""


def router(site: SiteContext) -> APIRouter:
    """The route of receipts."""
    routes = APIRouter()
    room = asyncio.Semaphore(AT_ONCE)

    @routes.get("/tasks/{number:int}/receipt")
    async def receipt(request: Request) -> Response:
        number = task_number(request)
        document = await site.services.documents.document(number, visitor_of(request).session.actor)
        receipts = [artifact for artifact in document.artifacts if artifact.name == ARTIFACT]
        if not receipts:
            raise NotFoundError("no_receipt", f"#{number} was not published, so it has no receipt", "Approve it first.")
        checks: Sequence[dict[str, Any]] = ()
        problem: Problem | None = None
        try:
            async with asyncio.timeout(WITHIN_S), room:
                checks = await site.services.verified(number)
        except TimeoutError:
            mend = "Run `countersign verify` in the terminal, which has no such limit."
            problem = Problem(Kind.UNAVAILABLE, "too_slow", f"the checks took longer than {WITHIN_S:.0f} s", mend)
        except CountersignError as error:
            problem = error.problem
        values: dict[str, Any] = {
            "task": document.task,
            "receipt": receipts[-1],
            "checks": checks,
            "problem": problem,
            "is_good": bool(checks) and all(check["verdict"] == "ok" for check in checks),
            "is_bad": any(check["verdict"] == "fail" for check in checks),
        }
        return site.render.page(request, "receipt.html", **values)

    return routes
