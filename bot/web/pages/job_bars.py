"""The jobs of a task as bars by phase: waiting for a worker, waiting for a model, using it, and other work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from markupsafe import Markup

from bot.cards.safe import one_line
from bot.cards.times import duration
from bot.web.graphics.strip import Span, strip
from bot.web.graphics.time_scale import TimeScale
from core.model.job import JobKind, JobState
from core.model.worked import LeaseSpan, WorkedJob
from core.services.task_work import TaskWork

PHASES: Final = (
    ("queued", "waits for a worker"),
    ("asks", "waits for a model"),
    ("model", "uses a model"),
    ("works", "other work"),
)
"""The class of each phase, and what it is."""


@dataclass(frozen=True, slots=True)
class JobBar:
    """A job's row: its bar, and the seconds of each phase in words; an empty `bar` for one that never began."""

    job: WorkedJob
    bar: Markup
    queued: str
    asked: str
    ran: str


@dataclass(frozen=True, slots=True)
class JobBars:
    """All rows, and the pauses between them that are drawn short, in words."""

    rows: Sequence[JobBar]
    pauses: Sequence[str]


def job_bars(work: TaskWork) -> JobBars:
    """The rows of a task's jobs on one scale of time; following the pull request is work of weeks and left out."""
    now_ms = _ms(work.now)
    shown = [each for each in work.jobs if each.job.kind is not JobKind.FOLLOW]
    spans = [span for each in shown if (span := _whole(each, now_ms)) is not None]
    scale = TimeScale.of(spans)
    rows = [_row(each, [lease for lease in work.leases if lease.job == each.job.id], scale, now_ms) for each in shown]
    return JobBars(rows, [duration((cut.to_ms - cut.from_ms) / 1000) for cut in scale.cuts])


def _row(each: WorkedJob, leases: Sequence[LeaseSpan], scale: TimeScale, now_ms: int) -> JobBar:
    whole = _whole(each, now_ms)
    if whole is None:
        return JobBar(each, Markup(""), "", "", "")
    begin, end = whole
    claimed = each.claimed_ms if each.claimed_ms is not None else end
    phases = [(begin, claimed, "queued"), (claimed, end, "works")] if each.claimed_ms else [(begin, end, "queued")]
    for lease in leases:
        granted = lease.granted_ms if lease.granted_ms is not None else lease.ended_ms or end
        phases.append((lease.arrived_ms, granted, "asks"))
        if lease.granted_ms is not None:
            phases.append((lease.granted_ms, lease.ended_ms or end, "model"))
    inside = [(max(begin, a), min(end, b), kind) for a, b, kind in phases]
    drawn = [(a, b, kind) for a, b, kind in inside if a < b or kind == "works"]
    words = dict(PHASES)
    spans = [
        Span(scale.place(a), scale.place(b), f"ph-{kind}", f"{words[kind]}: {seconds(b - a)}") for a, b, kind in drawn
    ]
    asked = sum(b - a for a, b, kind in inside if kind == "asks" and b > a)
    label = f"{each.job.kind.value} of revision {each.job.revision}"
    return JobBar(
        each,
        strip(spans, label),
        seconds(claimed - begin),
        seconds(asked) if asked else "",
        seconds(end - claimed) if each.claimed_ms else "",
    )


def _whole(each: WorkedJob, now_ms: int) -> tuple[int, int] | None:
    """From when a job was ready to its end, or to now; None for one that waits for another task or never began."""
    state = each.job.state
    if state in (JobState.WAITING, JobState.PAUSED) or (each.claimed_ms is None and state is not JobState.READY):
        return None
    begin = min(_ms(each.job.ready_at), each.claimed_ms if each.claimed_ms is not None else now_ms)
    end = each.finished_ms if each.finished_ms is not None else now_ms
    return (begin, max(begin, end))


def seconds(ms: int) -> str:
    """A short time with a digit after the point, a longer one in words."""
    return f"{ms / 1000:.1f} s" if ms < 59_950 else duration(ms / 1000)


def state_words(each: WorkedJob) -> str:
    """The state of a job, with its try and how often another worker took it over."""
    job = each.job
    parts = [job.state.value]
    if job.attempt > 1:
        parts.append(f"try {job.attempt}")
    if job.rescues:
        parts.append(f"taken over {job.rescues} time{'' if job.rescues == 1 else 's'}")
    return ", ".join(parts) + (f": {one_line(each.problem, 200)}" if each.problem else "")


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
