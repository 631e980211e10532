"""Asking "what if" of the queue: the history replayed on other endpoints, for maintainers and the operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.cards.times import duration
from bot.web.pages.permissions import may_operate
from bot.web.site.render import STATUS
from bot.web.site.session import Visitor
from bot.web.site.site_context import SiteContext, add_form, visitor_of
from core.model.errors import CountersignError, Problem, RefusedError
from core.simulator.report import Report
from core.simulator.what_if import WhatIfAnswer, WhatIfQuestion

DAYS: Final = (1, 7, 30)
_GB: Final = 1024**3
_MAX_TEXT: Final = 500


@dataclass(frozen=True, slots=True)
class FigureRow:
    """One figure before and after, and whether it became better; None if it is neither better nor worse."""

    name: str
    before: str
    after: str
    is_better: bool | None


def router(site: SiteContext) -> APIRouter:
    """The routes of the question."""
    routes = APIRouter()

    @routes.get("/queue/what-if")
    async def ask(request: Request) -> Response:
        _check(site, visitor_of(request))
        today = await _today(site)
        return await _page(site, request, WhatIfQuestion(today, today))

    async def answer(request: Request, visitor: Visitor, form: Mapping[str, str]) -> Response:
        _check(site, visitor)
        question = question_in(form)
        try:
            found = await site.services.what_ifs.answer(question)
        except CountersignError as error:
            return await _page(site, request, question, problem=error.problem)
        return await _page(site, request, question, answer=found)

    add_form(routes, "/queue/what-if", answer)
    return routes


def question_in(form: Mapping[str, str]) -> WhatIfQuestion:
    """What a form asks; ``more`` adds an endpoint of that memory to those of today."""
    today = form.get("today", "")[:_MAX_TEXT].strip()
    more, without, other = (form.get(name, "")[:_MAX_TEXT].strip() for name in ("more", "without", "instead"))
    days = next((each for each in DAYS if form.get("days") == str(each)), DAYS[1])
    question = WhatIfQuestion(today, f"{today},more={more}" if more else today, days=days)
    return replace(question, without=f"{without}={other}" if without and other else without)


def rows_of(before: Report, after: Report) -> list[FigureRow]:
    """The figures of both runs that people ask for."""
    times = [
        ("mean time to the end", before.mean_s, after.mean_s),
        ("95% end within", before.p95_s, after.p95_s),
        ("95% of chat work ends within", before.chat_p95_s, after.chat_p95_s),
        ("mean wait", before.wait_mean_s, after.wait_mean_s),
    ]
    shares = [
        ("time of the GPUs spent on swapping", before.swap_share, after.swap_share),
        ("time of the GPUs in use", before.busy_share, after.busy_share),
    ]
    rows = [FigureRow(name, duration(one), duration(other), _better(one, other)) for name, one, other in times]
    rows.append(FigureRow("loads of models", str(before.loads), str(after.loads), _better(before.loads, after.loads)))
    swap, busy = (FigureRow(name, f"{one:.1%}", f"{other:.1%}", _better(one, other)) for name, one, other in shares)
    return [*rows, swap, replace(busy, is_better=None)]


def _better(before: float, after: float) -> bool | None:
    if abs(after - before) <= 0.01 * max(abs(before), abs(after)):
        return None
    return after < before


def _check(site: SiteContext, visitor: Visitor) -> None:
    if not may_operate(site.services.queue_control.settings(), visitor.session):
        raise RefusedError("may_not_simulate", "only maintainers and the operator ask this", "Ask one of them.")


async def _today(site: SiteContext) -> str:
    """The endpoints of today as the simulator reads them; those without a known memory are left out."""
    specs = []
    for status in await site.services.inventory.endpoints():
        capacity = status.snapshot.capacity_bytes
        if capacity:
            slots = f"+slots{status.snapshot.slots}" if status.snapshot.slots and status.snapshot.slots > 1 else ""
            specs.append(f"{status.snapshot.name}={capacity / _GB:.0f}GB{slots}")
    return ",".join(specs) or "1x48GB"


async def _page(
    site: SiteContext,
    request: Request,
    question: WhatIfQuestion,
    *,
    answer: WhatIfAnswer | None = None,
    problem: Problem | None = None,
) -> Response:
    statuses = await site.services.inventory.endpoints()
    models: Sequence[str] = sorted({model.name for status in statuses for model in status.snapshot.models})
    without, _, instead = question.without.partition("=")
    values: dict[str, Any] = {
        "question": question,
        "more": question.nodes.removeprefix(f"{question.today},more=") if question.nodes != question.today else "",
        "without": without,
        "instead": instead,
        "models": models,
        "days": DAYS,
        "answer": answer,
        "rows": rows_of(answer.before, answer.after) if answer else [],
        "problem": problem,
    }
    return site.render.page(request, "what_if.html", STATUS[problem.kind] if problem else 200, **values)
