"""Insight: throughput, waits, swaps, decisions, errors and spending of the last days, each plot with its table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.cards.safe import one_line
from bot.cards.times import duration
from bot.web.graphics.plot import Plot, Series, line_plot, stack_plot, time_top_of
from bot.web.pages.objective_rows import evaluated_at, objective_rows
from bot.web.pages.permissions import may_operate
from bot.web.site.site_context import SiteContext, visitor_of
from core.model.insight import QUANTILE_ERROR, Measure
from core.services.insight import InsightFigures, TimeFigures

PERIODS: Final = (7, 30, 90)
MAX_SERIES: Final = 7
"""Names that a plot tells apart; the others are one series together."""
_THROUGHPUT: Final = (
    ("task.requested", "requested"),
    ("task.published", "published"),
    ("task.merged", "merged"),
    ("task.failed", "failed"),
)


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """A lane or a model: its jobs, waits and runs, and what it cost."""

    name: str
    jobs: int
    wait: TimeFigures | None
    run: TimeFigures | None
    tokens: int
    usd: float


@dataclass(frozen=True, slots=True)
class CriticalStep:
    """A step of a workflow: in how many runs it was on the critical path, and its share of the time of all runs."""

    name: str
    runs: int
    share: float
    times: TimeFigures | None


@dataclass(frozen=True, slots=True)
class WorkflowFigures:
    """A lane's workflow: its runs, and the steps that decided their duration; the first one is the bottleneck."""

    name: str
    runs: int
    steps: Sequence[CriticalStep]


def router(site: SiteContext) -> APIRouter:
    """The route of the insights."""
    routes = APIRouter()

    @routes.get("/insight")
    async def insight(request: Request) -> Response:
        days = next((each for each in PERIODS if request.query_params.get("days") == str(each)), PERIODS[1])
        actor = visitor_of(request).session.actor
        figures = await site.services.insight.figures(days, actor)
        objectives, incidents = await site.services.alerts.shown(actor)
        sees_people = may_operate(site.services.queue_control.settings(), visitor_of(request).session)
        values: dict[str, Any] = {
            "days": days,
            "periods": PERIODS,
            "figures": figures,
            "plots": plots_of(figures),
            "errors": totals_of(figures, Measure.ERROR),
            "loads": totals_of(figures, Measure.LOAD),
            "lanes": compared(figures, Measure.WAIT, Measure.RUN, Measure.LANE_SPENT),
            "models": compared(figures, None, Measure.MODEL_RUN, Measure.MODEL_SPENT),
            "objectives": objective_rows(objectives),
            "evaluated_at": evaluated_at(objectives),
            "incidents": incidents if sees_people else [],
            "workflows": bottlenecks(figures),
            "people": figures.times.get(Measure.DECISION, {}) if sees_people else {},
            "error": QUANTILE_ERROR,
            "short": short_time,
        }
        return site.render.page(request, "insight.html", **values)

    return routes


def plots_of(figures: InsightFigures) -> dict[str, Plot]:
    """The plots by name."""
    days = [f"{day.day} {day:%b}" for day in figures.days]
    count = len(days)
    requested = figures.sums.get(Measure.EVENT, {})
    throughput = [
        Series(label, [float(requested.get(kind, {}).get(n, (0, 0.0))[0]) for n in range(count)], colour)
        for colour, (kind, label) in enumerate(_THROUGHPUT)
    ]
    return {
        "throughput": line_plot("Tasks by day", days, throughput, whole),
        "waits": line_plot(
            "Wait for a worker and a model", days, _quantiles(figures, Measure.WAIT), short_time, time_top_of
        ),
        "decisions": line_plot(
            "From the staged diff to a verdict", days, _quantiles(figures, Measure.DECISION), short_time, time_top_of
        ),
        "errors": stack_plot("Failed tasks by cause", days, _stacked(figures, Measure.ERROR), whole),
        "loads": stack_plot("Loads of models by endpoint", days, _stacked(figures, Measure.LOAD), whole),
        "tokens": stack_plot("Tokens by lane", days, _stacked(figures, Measure.LANE_SPENT), whole),
    }


def totals_of(figures: InsightFigures, measure: Measure) -> list[tuple[str, int, float]]:
    """(name, count, total) of a measure in the whole period, the most frequent first."""
    totals = [
        (name, sum(count for count, _ in by_day.values()), sum(total for _, total in by_day.values()))
        for name, by_day in figures.sums.get(measure, {}).items()
    ]
    return sorted(totals, key=lambda row: (-row[1], row[0]))


def compared(figures: InsightFigures, wait: Measure | None, run: Measure, spent: Measure) -> list[ComparedRow]:
    """The lanes or models beside each other, those with the most jobs first."""
    waits = figures.times.get(wait, {}) if wait is not None else {}
    runs, costs = figures.times.get(run, {}), {row[0]: row for row in totals_of(figures, spent)}
    rows = []
    for name in {*waits, *runs, *costs}:
        _, tokens, usd = costs.get(name, (name, 0, 0.0))
        ran = runs.get(name)
        rows.append(ComparedRow(one_line(name, 80), ran.count if ran else 0, waits.get(name), ran, tokens, usd))
    return sorted(rows, key=lambda row: (-row.jobs, -row.tokens, row.name))


def bottlenecks(figures: InsightFigures) -> list[WorkflowFigures]:
    """Each workflow with its steps on the critical path, the one that took most of the time first."""
    times, steps = figures.times.get(Measure.STEP, {}), defaultdict[str, list[CriticalStep]](list)
    runs = {lane: (count, seconds) for lane, count, seconds in totals_of(figures, Measure.WORKFLOW)}
    for name, count, seconds in totals_of(figures, Measure.STEP):
        lane, _, step = name.partition("/")
        whole = runs.get(lane, (0, 0.0))[1]
        steps[lane].append(
            CriticalStep(one_line(step, 80), count, min(1.0, seconds / whole) if whole else 0.0, times.get(name))
        )
    return [
        WorkflowFigures(one_line(lane, 80), count, sorted(steps[lane], key=lambda step: (-step.share, step.name)))
        for lane, (count, _) in runs.items()
    ]


def _quantiles(figures: InsightFigures, measure: Measure) -> list[Series]:
    by_day: Mapping[int, TimeFigures] = figures.times_by_day.get(measure, {})
    positions = range(len(figures.days))
    return [
        Series("half within", [by_day[n].p50_s if n in by_day else None for n in positions], 0),
        Series("95% within", [by_day[n].p95_s if n in by_day else None for n in positions], 1),
    ]


def _stacked(figures: InsightFigures, measure: Measure) -> list[Series]:
    """A series for each of the most frequent names, and one for all others together."""
    by_name = figures.sums.get(measure, {})
    names = [name for name, _, _ in totals_of(figures, measure)]
    positions = range(len(figures.days))

    def values(of: Sequence[str]) -> list[float | None]:
        return [float(sum(by_name[name].get(n, (0, 0.0))[0] for name in of)) for n in positions]

    series = [Series(one_line(name, 60), values([name]), n) for n, name in enumerate(names[:MAX_SERIES])]
    rest = names[MAX_SERIES:]
    return [*series, Series(f"{len(rest)} others", values(rest), MAX_SERIES)] if rest else series


def whole(value: float) -> str:
    """A count; of an axis perhaps with a digit after the point."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def short_time(seconds: float) -> str:
    """A time as short as a label must be."""
    return f"{seconds:.1f} s" if 0 < seconds < 10 else duration(seconds)
