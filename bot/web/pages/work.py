"""The work on a task: decisions with their rule, jobs by phase, checks, cost, what runs now, and its dependencies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response
from markupsafe import Markup

from bot.cards.parts import ICONS
from bot.cards.safe import one_line
from bot.web.graphics.tree import Box, tree
from bot.web.pages.job_bars import PHASES, job_bars, state_words
from bot.web.pages.live_output import output_of
from bot.web.pages.step_bars import run_bars
from bot.web.pages.transcripts import TranscriptEntry, message_text, readable, shown_text
from bot.web.site.site_context import SiteContext, task_number, visitor_of
from core.model.lifecycle import State
from core.model.masking import Mask
from core.model.provenance import Usage, summed
from core.model.task import Revision
from core.model.worked import JournalEntry
from core.rules.receipt import ARTIFACT
from core.services.task_work import TaskGraph, TaskWork

MAX_RESULT_CHARS: Final = 1_500


@dataclass(frozen=True, slots=True)
class RunningPart:
    """What a running job did: when, in which part of the work, and its messages."""

    at_ms: int
    part: str
    messages: Sequence[TranscriptEntry]


def router(site: SiteContext) -> APIRouter:
    """The routes of the work on a task."""
    routes = APIRouter()

    @routes.get("/tasks/{number:int}/work")
    async def work(request: Request) -> Response:
        news = await site.services.queries.newest_event()
        values = await _values(site, request)
        values["output"] = await output_of(site, request)
        return site.render.page(request, "work.html", **values, news=news)

    @routes.get("/tasks/{number:int}/work/now")
    async def now(request: Request) -> Response:
        return site.render.fragment(request, "work.html", "live", **await _values(site, request))

    return routes


async def _values(site: SiteContext, request: Request) -> dict[str, Any]:
    number, actor = task_number(request), visitor_of(request).session.actor
    work = await site.services.task_works.of(number, actor)
    document = await site.services.documents.document(number, actor)
    graph = await site.services.task_works.graph(number, actor)
    mask = site.services.queries.settings().mask
    staged = [each for each in work.revisions if each.staged is not None and not each.staged.guard.blocked]
    return {
        "task": work.task,
        "title": mask(work.task.title),
        "work": work,
        "bars": job_bars(work),
        "phases": PHASES,
        "workflows": run_bars(await site.services.step_times.of(number, actor)),
        "state_words": state_words,
        "running": [_running_part(entry, mask) for entry in work.journal],
        "in_work": [each for each in work.jobs if each.progress and each.finished_ms is None],
        "spent": spent_in(work),
        "total": total_of(work),
        "guards": {each.n: findings_of(each) for each in work.revisions},
        "pairs": [(one.n, other.n) for one, other in pairwise(staged)],
        "transcripts": readable(document.artifacts),
        "has_receipt": any(artifact.name == ARTIFACT for artifact in document.artifacts),
        "graph": graph_of(graph, number),
        "linked": graph,
        "icons_of": lambda state: ICONS[State(state)],
    }


def findings_of(revision: Revision) -> list[tuple[str, str, str]]:
    """The guard's checks of a revision that did not pass, and how many did: check, verdict, detail."""
    if revision.staged is None:
        return []
    findings = revision.staged.guard.findings
    passed = len({f.check for f in findings} - {f.check for f in findings if f.verdict.value != "pass"})
    named = [(f.check, f.verdict.value, f.detail) for f in findings if f.verdict.value != "pass"]
    return [*named, *([(f"{passed} checks of the guard", "pass", "")] if passed else [])]


def spent_in(work: TaskWork) -> dict[int, list[Usage]]:
    """What the models cost, by revision."""
    spent: dict[int, list[Usage]] = {}
    for cost in work.costs:
        spent.setdefault(cost.revision, []).append(cost.usage)
    return spent


def total_of(work: TaskWork) -> Usage | None:
    """What all models cost together; None if none was asked."""
    whole: Usage | None = None
    for usage in summed(cost.usage for cost in work.costs):
        whole = usage if whole is None else whole.plus(usage)
    return whole


def graph_of(graph: TaskGraph, number: int) -> Markup:
    """The tasks around one as a graph; empty if nothing waits for anything."""
    if len(graph.tasks) < 2:
        return Markup("")
    boxes = [
        Box(
            each.number,
            each.after,
            f"#{each.number} {each.state}",
            one_line(each.title, 80),
            f"/tasks/{each.number}",
            "here" if each.number == number else "",
        )
        for each in graph.tasks
    ]
    return tree(boxes, "Which task waits for which, from left to right")


def _running_part(entry: JournalEntry, mask: Mask) -> RunningPart:
    return RunningPart(entry.at_ms, one_line(entry.part, 80), _messages(entry.body, mask))


def _messages(body: dict[str, Any], mask: Mask) -> list[TranscriptEntry]:
    """The messages in an entry of the journal: a model's reply, the results of its tools, or any other piece."""
    reply, results = body.get("reply"), body.get("results")
    if isinstance(reply, dict):
        return [TranscriptEntry("model", shown_text(message_text(_message_of(reply)), mask))]
    if isinstance(results, list):
        return [TranscriptEntry("tools", shown_text(_short(each), mask)) for each in results]
    return [TranscriptEntry("", shown_text(_short({k: v for k, v in body.items() if k != "v"}), mask))]


def _message_of(reply: dict[str, Any]) -> dict[str, Any]:
    inner = reply.get("message")
    return inner if isinstance(inner, dict) else reply


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_RESULT_CHARS else f"{text[:MAX_RESULT_CHARS]} …"
