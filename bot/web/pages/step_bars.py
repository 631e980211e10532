"""The steps of a workflow as bars, with those marked that decided how long it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from bot.web.graphics.strip import Span, strip
from bot.web.pages.job_bars import seconds
from core.model.step_time import StepEnd
from core.services.step_times import WorkflowRun

_WORDS: Final = {
    StepEnd.RAN: "",
    StepEnd.REUSED: "an earlier result was used",
    StepEnd.SKIPPED: "skipped",
    StepEnd.FAILED: "failed",
}


@dataclass(frozen=True, slots=True)
class StepBar:
    """A step's row: its bar, what it waited for, its time in words, and how it ended if not as usual."""

    name: str
    bar: Markup
    needs: tuple[str, ...]
    took: str
    how: str
    is_critical: bool


@dataclass(frozen=True, slots=True)
class RunBars:
    """The bars of one run; `path` are the names on the critical path in their order."""

    revision: int
    took: str
    path: tuple[str, ...]
    rows: tuple[StepBar, ...]


def run_bars(runs: Sequence[WorkflowRun]) -> list[RunBars]:
    """The bars of each run, the newest run first."""
    return [_bars(run) for run in reversed(runs)]


def _bars(run: WorkflowRun) -> RunBars:
    whole_ms = max(1, run.end_ms - run.begin_ms)
    rows = []
    for step in run.steps:
        is_critical = step.name in run.critical
        took = seconds(step.ended_ms - step.started_ms)
        begin, end = ((at - run.begin_ms) / whole_ms for at in (step.started_ms, step.ended_ms))
        words = f"{step.name}: {took}{', on the critical path' if is_critical else ''}"
        span = Span(begin, end, "st-critical" if is_critical else "st-other", words)
        rows.append(StepBar(step.name, strip([span], words), step.needs, took, _WORDS[step.how], is_critical))
    path = tuple(step.name for step in sorted(run.steps, key=lambda each: each.ended_ms) if step.name in run.critical)
    return RunBars(run.revision, seconds(whole_ms), path, tuple(rows))
