"""Words for the queue in a conversation: a few short lines for each job, which a phone can show; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bot.cards.eta import late_sentence, short_forecast
from bot.cards.safe import one_line
from core.model.job import JobKind, JobState

MAX_JOBS: Final = 12
_FOLLOW: Final = JobKind.FOLLOW.value
_STATES: Final = {JobState.RUNNING: "runs", JobState.READY: "waits", JobState.WAITING: "waits"}


def pauses_of(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The pauses in the document of ``queue --json``, that of the whole queue first."""
    return [*([document["paused"]] if document["paused"] else []), *document["pauses"]]


def queue_text(document: Mapping[str, Any]) -> str:
    """The queue (``queue --json``) as text: why it is paused, the first jobs, and how many more there are."""
    rows = [row for row in document["jobs"] if row["kind"] != _FOLLOW]
    blocks = [paused_line(each) for each in pauses_of(document)]
    blocks += ["\n".join(job_lines(row)) for row in rows[:MAX_JOBS]]
    if len(rows) > MAX_JOBS:
        blocks.append(f"and {len(rows) - MAX_JOBS} more")
    if others := others_line(document):
        blocks.append(others)
    if any(row.get("needs_worker") for row in rows):
        blocks.append("No worker runs.")
    return "\n\n".join(blocks) or "The queue is empty."


def others_line(document: Mapping[str, Any]) -> str:
    """How many jobs of other teams run and wait, which are only counted; empty if there are none."""
    others = document.get("others") or {"running": 0, "waiting": 0}
    return f"Of other teams {others['running']} run and {others['waiting']} wait." if any(others.values()) else ""


def paused_line(paused: Mapping[str, Any]) -> str:
    """That the queue, a lane or a repository is paused, by whom and why."""
    what = f"The {paused['scope']} {paused['name']}" if paused.get("scope") else "The queue"
    by = f" by {one_line(paused['by'])}" if paused.get("scope") and paused.get("by") else ""
    reason = one_line(paused.get("reason") or "")
    return f"{what} is paused{by}{': ' + reason if reason else '.'}"


def job_lines(row: Mapping[str, Any]) -> Sequence[str]:
    """One job: its task and state, its model and forecast, and why it waits."""
    is_waiting = bool(row.get("why"))
    state = "waits" if is_waiting else _STATES[JobState(row["state"])]
    lane = f" {row['lane']}" if row.get("lane") else ""
    model = f"{row['endpoint']}/{row['model']}" if row.get("model") else ""
    place = f"place {row['position']}" if row.get("position") else ""
    facts = ", ".join(filter(None, (place, short_forecast(row))))
    lines = [f"#{row['task']} {row['kind']}{lane}: {state}", facts, model]
    if is_waiting:
        lines.append(one_line(row["why"], 200))
    lines.append(late_sentence({**row, "why": ""}))
    return [one_line(line, 240) for line in lines if line]
