"""What the next revision of a task builds on: which turns it reads, and the tree it goes on from (decision 0013)."""

from __future__ import annotations

from dataclasses import replace

from core.model.errors import ConflictError
from core.model.intent import Intent
from core.model.lifecycle import State
from core.model.task import Basis, Revision, Task
from core.rules.planning import PARAMETER
from core.store import tasks
from core.store.unit_of_work import Tx

_AFRESH = ("instead", "start over", "from scratch")
_LEAVING_BEHIND = ("start over", "from scratch")
"""Openings after which nothing that was said before is shown to anybody; after "instead" it still explains."""
_AGAIN = frozenset({"retry", "try again", "again", "run it again"})


async def next_basis(tx: Tx, task: Task, text: str, n: int) -> tuple[Basis, Intent | None, dict[str, object]]:
    """What the next revision builds on: an answer, a retry, a fresh start, or the work so far.

    Parameters stay with the task, so whoever may have set one stays an author.
    """
    basis, intent, changes = await _next(tx, task, text, n)
    return basis.written_by(_authors(task.current)) if task.parameters else basis, intent, changes


async def _next(tx: Tx, task: Task, text: str, n: int) -> tuple[Basis, Intent | None, dict[str, object]]:
    said = " ".join(text.lower().split()).strip(" .!")
    current = task.current
    if task.question is not None and task.question.about.startswith(PARAMETER) and not said.startswith(_AFRESH):
        told = {**task.parameters, task.question.about.removeprefix(PARAMETER): text.strip()}
        return replace(current.basis, authors=_authors(current)), current.intent, {"parameters": told}
    column = {"repository": "repo", "lane": "asked_lane"}.get(task.question.about) if task.question else None
    if task.question is not None and column is not None:
        for option in task.question.options:
            if said == option.lower():
                return replace(current.basis, authors=_authors(current)), current.intent, {column: option}
    if said in _AGAIN:
        return replace(current.basis, authors=_authors(current)), current.intent, {}
    if said.startswith(_AFRESH):
        return Basis((n,), since=n if said.startswith(_LEAVING_BEHIND) else current.basis.since), None, {}
    if task.question is not None and task.question.about == "request":  # said anew: what was not read is left behind
        return replace(current.basis, turns=(n,), authors=_authors(current)), None, {}
    if task.state in (State.RECEIVED, State.QUEUED, State.RUNNING):
        return replace(current.basis, turns=(*current.basis.turns, n), authors=_authors(current)), None, {}
    standing = await _standing(tx, task)
    return (_on(standing, n) if standing else Basis((n,), since=current.basis.since)), None, {}


async def picked_basis(tx: Tx, task: Task, what: str, n: int, picker: str) -> tuple[Basis, Intent, dict[str, object]]:
    """What a choice among hunks builds on: what stands now, in the lane that it was made in.

    A part can say what the whole did not, so whoever picks is an author of what is left (guard 17).
    """
    standing = await _standing(tx, task)
    if standing is None or standing.staged is None:
        raise ConflictError("nothing_staged", f"#{task.number} has nothing staged to pick from", "Look at its card.")
    return _on(standing, n).written_by([picker]), Intent(f"pick {what}", pick=what), {"asked_lane": standing.lane}


async def _standing(tx: Tx, task: Task) -> Revision | None:
    """The revision whose tree a reply goes on from: the staged one, else the published one."""
    if task.state is State.STAGED:
        return task.current
    opened = task.pull_request if task.has_open_pull_request else None
    return await tasks.revision_of(tx, task.number, opened.revision) if opened else None


def _on(standing: Revision, n: int) -> Basis:
    """On top of what stands, in the same part of its lane's workflow, with turn `n` alone."""
    return Basis((n,), standing.n, _authors(standing), standing.basis.passed, standing.basis.since)


def _authors(revision: Revision) -> tuple[str, ...]:
    """Everybody whose words are in the work of `revision`."""
    return tuple(sorted({revision.author, *revision.basis.authors}))
