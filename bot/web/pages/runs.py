"""Two runs beside each other: revisions of a task, tasks of one schedule, or any two tasks that the visitor can see."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.cards.safe import one_line
from bot.web.pages.insight import short_time
from bot.web.site.site_context import MAX_NUMBER, SiteContext, task_number, visitor_of
from core.model.errors import UsageError
from core.model.provenance import CheckResult
from core.services.run_comparison import RunFigures

MAX_FILES: Final = 100
"""The most files that are listed of one run."""
_RUN: Final = re.compile(r"#?(\d{1,10})(?:\.(\d{1,6}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ComparedLine:
    """One line of the table: what it is, and its value in both runs."""

    label: str
    first: str
    second: str

    @property
    def differs(self) -> bool:
        """Whether the runs differ in it."""
        return self.first != self.second


def router(site: SiteContext) -> APIRouter:
    """The route of the comparison."""
    routes = APIRouter()

    @routes.get("/tasks/{number:int}/runs")
    async def runs(request: Request) -> Response:
        number, actor = task_number(request), visitor_of(request).session.actor
        service, work = site.services.run_comparisons, await site.services.task_works.of(number, actor)
        siblings = await service.siblings(number, actor)
        own = [f"{number}.{each.n}" for each in work.revisions]
        known = [*own, *(f"{each}.{revision}" for each, revision in siblings)]
        first = _run(request, "run", number) or (number, work.task.revision)
        default = next((name for name in reversed(known[: len(own)]) if name != f"{first[0]}.{first[1]}"), "")
        default = default or next((name for name in known if name != f"{first[0]}.{first[1]}"), "")
        second = _run(request, "with", number) or _parsed(default, number)
        figures = [await _figures(site, request, each) for each in (first, second) if each is not None]
        values: dict[str, Any] = {
            "task": work.task,
            "known": known,
            "runs": figures,
            "sections": sections_of(*figures) if len(figures) == 2 else [],
        }
        return site.render.page(request, "runs.html", **values)

    return routes


async def _figures(site: SiteContext, request: Request, run: tuple[int, int | None]) -> RunFigures:
    number, revision = run
    actor = visitor_of(request).session.actor
    if revision is None:
        revision = (await site.services.task_works.of(number, actor)).task.revision
    return await site.services.run_comparisons.of(number, revision, actor)


def _run(request: Request, name: str, number: int) -> tuple[int, int | None] | None:
    """The run that a field names: ``12.2``, ``12`` for its current revision; None if it is empty."""
    text = request.query_params.get(name, "").strip()
    return _parsed(text, number)


def _parsed(text: str, number: int) -> tuple[int, int | None] | None:
    if not text:
        return None
    match = _RUN.fullmatch(text)
    if match is None or not 0 < int(match[1]) <= MAX_NUMBER:
        mend = f"Write the number of a task and of its revision, such as {number}.1."
        raise UsageError("bad_run", f"{one_line(text, 40)!r} is not a run", mend)
    return int(match[1]), int(match[2]) if match[2] else None


def sections_of(first: RunFigures, second: RunFigures) -> list[tuple[str, Sequence[ComparedLine]]]:
    """The lines of the table, by section."""

    def line(label: str, value: Callable[[RunFigures], str]) -> ComparedLine:
        return ComparedLine(label, value(first), value(second))

    return [
        (
            "How",
            (
                line("State", lambda run: run.state),
                line("By", lambda run: run.revision.author),
                line("Lane", lambda run: one_line(run.revision.lane or "", 80)),
                line("Rule", lambda run: one_line(run.revision.rule or "", 80)),
                line(
                    "Executor",
                    lambda run: one_line(run.revision.provenance.executor, 80) if run.revision.provenance else "",
                ),
                line("Tries", lambda run: str(run.tries)),
                line(
                    "Taken over",
                    lambda run: f"{run.rescues} time{'' if run.rescues == 1 else 's'}" if run.rescues else "",
                ),
            ),
        ),
        (
            "Time",
            (
                line("Waited for a worker", lambda run: short_time(run.phases.queued_s)),
                line("Waited for a model", lambda run: _time(run.phases.asks_s)),
                line("Used a model", lambda run: _time(run.phases.model_s)),
                line("Other work", lambda run: short_time(run.phases.works_s)),
                line("Together", lambda run: short_time(run.phases.total_s)),
            ),
        ),
        ("Cost", _costs(first, second)),
        ("Checks", _checks(first, second)),
        ("Change", _change(first, second)),
    ]


def _executor(run: RunFigures) -> str:
    return one_line(run.revision.provenance.executor, 80) if run.revision.provenance else ""


def _taken_over(run: RunFigures) -> str:
    return f"{run.rescues} time{'' if run.rescues == 1 else 's'}" if run.rescues else ""


def _time(seconds: float) -> str:
    return short_time(seconds) if seconds else ""


def _costs(first: RunFigures, second: RunFigures) -> list[ComparedLine]:
    def words(run: RunFigures, model: str | None) -> str:
        of_model = {usage.model: usage for usage in run.costs}
        usage = run.total if model is None else of_model.get(model)
        if usage is None or not usage.calls:
            return ""
        usd = f", ${usage.usd:.4f}" if usage.usd is not None else ""
        return f"{usage.tokens:,} tokens in {usage.calls} call{'' if usage.calls == 1 else 's'}{usd}"

    models = list(dict.fromkeys(usage.model for run in (first, second) for usage in run.costs))
    lines = [ComparedLine(one_line(model, 80), words(first, model), words(second, model)) for model in models]
    return [*lines, ComparedLine("All models", words(first, None), words(second, None))]


def _checks(first: RunFigures, second: RunFigures) -> list[ComparedLine]:
    def own(run: RunFigures) -> dict[str, str]:
        results = {one_line(check.name, 80): _result(check) for check in run.checks}
        staged = run.revision.staged
        for finding in staged.guard.findings if staged is not None else ():
            if finding.verdict.value != "pass":
                name = f"guard: {one_line(finding.check, 60)}"
                results[name] = "✗ blocks" if finding.verdict.value == "block" else results.get(name, "! warns")
        return results

    one, other = own(first), own(second)
    return [ComparedLine(name, one.get(name, ""), other.get(name, "")) for name in dict.fromkeys((*one, *other))]


def _result(check: CheckResult) -> str:
    return f"{'✓ passed' if check.passed else '✗ failed'}, {short_time(check.wall_s)}"


def _change(first: RunFigures, second: RunFigures) -> list[ComparedLine]:
    def counts(run: RunFigures) -> dict[str, str]:
        staged = run.revision.staged
        if staged is None:
            return {}
        shown = staged.files[:MAX_FILES]
        files = {one_line(str(file["path"]), 200): _counts(file["added"], file["removed"]) for file in shown}
        added, removed = (sum(file[name] or 0 for file in staged.files) for name in ("added", "removed"))
        many = len(staged.files)
        return {"All files": f"{many} file{'' if many == 1 else 's'}, +{added} -{removed}", **files}

    one, other = counts(first), counts(second)
    lines = [ComparedLine(name, one.get(name, ""), other.get(name, "")) for name in dict.fromkeys((*one, *other))]
    return lines or [ComparedLine("All files", "nothing staged", "nothing staged")]


def _counts(added: int | None, removed: int | None) -> str:
    return "binary" if added is None else f"+{added} -{removed or 0}"
