"""What a task is told when its work changed no file: only an edit by rule proves that there is nothing to change."""

from __future__ import annotations

from typing import Final

from core.jobs.job_context import JobContext
from core.model.errors import Kind, Problem
from core.model.lane import Lane
from core.model.provenance import Provenance
from core.model.task import Task
from core.model.workflow import COMMAND, WORKFLOW

_MOST_QUOTED: Final = 200
_PROGRAMS: Final = {"ollama": "the model", "": "the work"}


def no_change(shop: JobContext, task: Task, lane: Lane, making: Provenance) -> Problem:
    """The problem of a task whose work ended without a change: who worked, and what it said of it."""
    intent = task.current.intent
    workers = [shop.executors[name] for name in sorted(lane.executors) if name in shop.executors]
    by_rule = len(workers) == len(lane.executors) and all(worker.deterministic for worker in workers)
    if by_rule or (intent is not None and intent.needs_git_alone):
        message = f"nothing to change for #{task.number}: the files already are as asked"
        return Problem(Kind.FAILED, "no_change", message, "Reply with something else, or leave it.")
    asked = any(worker.reads for worker in workers)
    message = f"{_worker(lane)} finished without changing a file"
    if making.refused:
        message += f"; its last edit was refused ({making.refused})"
    if asked and (words := _quoted(making.words)):
        message += f'. {"The model" if lane.executor == WORKFLOW else "It"} said: "{words}"'
    mend = "Which file should change? Reply with its name and what to change in it." if asked else ""
    return Problem(Kind.FAILED, "no_change", message, mend or "Reply with something else, or look at its transcript.")


def _worker(lane: Lane) -> str:
    if lane.executor == WORKFLOW:
        return f"the steps of lane {lane.name}"
    if lane.executor == COMMAND:
        return f"the command of lane {lane.name}"
    return _PROGRAMS.get(lane.executor, lane.executor)


def _quoted(words: str) -> str:
    """A model's words as one line that ends no quotation."""
    line = " ".join(words.replace('"', "'").split())
    return line if len(line) <= _MOST_QUOTED else line[: _MOST_QUOTED - 1].rstrip() + "…"
