"""Several low-risk diffs on one page of confirmation: each whole, each with its own digest, each approved by itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.cards.build import build_card
from bot.cards.model import Card
from bot.web.pages.task_diff import DiffPart, diff_part
from bot.web.site.session import Visitor
from bot.web.site.site_context import MAX_NUMBER, SiteContext, add_form, visitor_of
from core.model.errors import CountersignError, Kind, Problem, UsageError

_FIELD: Final = re.compile(r"t([1-9]\d{0,9})")


@dataclass(frozen=True, slots=True)
class JointDiff:
    """A task on the page: its diff, or why it cannot be approved together with the others."""

    number: int
    card: Card | None
    part: DiffPart | None
    problem: Problem | None


@dataclass(frozen=True, slots=True)
class JointResult:
    """The outcome for one task of a confirmation; `problem` is None if it was approved."""

    number: int
    digest: str
    problem: Problem | None


def router(site: SiteContext) -> APIRouter:
    """The routes of approving together."""
    routes = APIRouter()

    @routes.get("/together")
    async def confirm(request: Request) -> Response:
        numbers = _numbers(request.query_params.getlist("t"), site.services.joint_approvals.limit)
        diffs = [await _diff(site, request, number) for number in numbers]
        return site.render.page(request, "together.html", **_split(diffs))

    async def approve(request: Request, visitor: Visitor, form: Mapping[str, str]) -> Response:
        session, joint = visitor.session, site.services.joint_approvals
        named = {int(found[1]): digest for name, digest in form.items() if (found := _FIELD.fullmatch(name))}
        results = []
        for number in _numbers(map(str, named), joint.limit):
            outcome = await joint.approve(session.id, number, named[number], session.actor)
            problem = outcome if isinstance(outcome, Problem) else None
            results.append(JointResult(number, named[number], problem))
        status = 200 if any(result.problem is None for result in results) else 409
        return site.render.page(request, "together_done.html", status, results=results)

    add_form(routes, "/together", approve)
    return routes


def _numbers(values: Any, limit: int) -> Sequence[int]:
    """Different task numbers; raises `UsageError` if there are none, too many, or others than numbers."""
    texts = dict.fromkeys(values)
    if not texts:
        raise UsageError("none_ticked", "no task is ticked", "Go back to the inbox and tick some.")
    if len(texts) > limit:
        raise UsageError("too_many", f"at most {limit} tasks are approved together", "Tick fewer.")
    if not all(text.isascii() and text.isdecimal() and 0 < int(text[:12]) <= MAX_NUMBER for text in texts):
        raise UsageError("bad_number", "that is not the number of a task", "Go back to the inbox.")
    return [int(text) for text in texts]


async def _diff(site: SiteContext, request: Request, number: int) -> JointDiff:
    actor, card, part = visitor_of(request).session.actor, None, None
    try:
        document = await site.services.documents.document(number, actor)
        card = build_card(document.to_json(), now=datetime.now(UTC))
        staged = document.task.staged
        digest = staged.digest if staged is not None else None
        problem = await site.services.joint_approvals.objection(number, digest, actor)
        if problem is None:
            part = await diff_part(site, request, document.task, card)
    except CountersignError as error:
        return JointDiff(number, card, None, error.problem)
    if problem is None and (part is None or part.count != 1):
        problem = Problem(Kind.REFUSED, "alone", f"#{number} is too long for this page", "Open it by itself.")
    return JointDiff(number, card, part if problem is None else None, problem)


def _split(diffs: Sequence[JointDiff]) -> dict[str, Any]:
    return {
        "ready": [each for each in diffs if each.problem is None],
        "left_out": [each for each in diffs if each.problem is not None],
    }
