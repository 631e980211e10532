"""What the next revision of a task builds on: the turns that it reads and the tree it continues (decision 0013)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from core.model.errors import ConflictError
from core.model.intent import Intent
from core.model.lifecycle import State
from core.model.part_selection import PartSelection, PickedPart
from core.model.task import Basis, Revision, Task
from core.model.turn import TurnDraft
from core.rules.planning import PARAMETER
from core.rules.repository_scope import answered_repository
from core.settings import Settings
from core.store import tasks
from core.store.unit_of_work import Tx

DEPENDENCY: Final = "dependency"
"""`Question.about` and `Problem.code` of a task whose dependency failed."""

_STARTS_AFRESH = ("instead", "start over", "from scratch")
_HIDES_EARLIER_TURNS = ("start over", "from scratch")
"""Beginnings after which earlier turns are not shown to a model; after "instead" they still are."""
_RETRIES = frozenset({"retry", "try again", "again", "run it again", "run it anyway"})


async def next_basis(
    tx: Tx, settings: Settings, task: Task, draft: TurnDraft, n: int
) -> tuple[Basis, Intent | None, dict[str, object]]:
    """What the revision that `draft`, turn `n`, begins builds on: an answer, a retry, a fresh start, or earlier work.

    Returns the basis, the intent if nothing has to be read, and columns of the task to change. Parameters stay with the
    task, so everyone who may have set one remains an author. Raises `RefusedError` for an answer that names a
    repository outside the scope of the request or of the writer's conversation.
    """
    basis, intent, changes = await _next(tx, settings, task, draft, n)
    if DEPENDENCY in (task.question.about if task.question else "", task.error.code if task.error else ""):
        changes = {**changes, "after": None}  # the task that it waited for is lost: a reply runs it anyway
    return basis.written_by(_authors(task.current)) if task.parameters else basis, intent, changes


async def _next(
    tx: Tx, settings: Settings, task: Task, draft: TurnDraft, n: int
) -> tuple[Basis, Intent | None, dict[str, object]]:
    reply = " ".join(draft.text.lower().split()).strip(" .!")
    current, about = task.current, task.question.about if task.question else ""
    same_work = replace(current.basis, authors=_authors(current))
    if about.startswith(PARAMETER) and not reply.startswith(_STARTS_AFRESH):
        parameters = {**task.parameters, about.removeprefix(PARAMETER): draft.text.strip()}
        return same_work, current.intent, {"parameters": parameters}
    if about == "repository" and (repo := answered_repository(settings, task, reply, draft.actor)) is not None:
        return same_work, current.intent, {"repo": repo}
    if task.question is not None and about == "lane":
        for option in task.question.options:
            if reply == option.lower():
                return same_work, current.intent, {"asked_lane": option}
    if reply in _RETRIES:
        return same_work, current.intent, {}
    if reply.startswith(_STARTS_AFRESH):
        return Basis((n,), since=n if reply.startswith(_HIDES_EARLIER_TURNS) else current.basis.since), None, {}
    if about == "request":  # the request in other words, in place of the text that could not be read
        return replace(same_work, turns=(n,)), None, {}
    if task.state in (State.RECEIVED, State.QUEUED, State.RUNNING):
        return replace(same_work, turns=(*current.basis.turns, n)), None, {}
    continued = await _continued_revision(tx, task)
    return (_continuing(continued, n) if continued else Basis((n,), since=current.basis.since)), None, {}


async def picked_basis(
    tx: Tx, task: Task, selection: PartSelection, n: int, picker: str
) -> tuple[Basis, Intent, dict[str, object]]:
    """What a selection of parts builds on: the staged or published revision, in its lane.

    A part can say what the whole did not, so the picker is an author of what remains (guard 17). Raises `ConflictError`
    if the parts are not those of that revision's diff.
    """
    continued = await _continued_revision(tx, task)
    if continued is None or continued.staged is None:
        raise ConflictError("nothing_staged", f"#{task.number} has nothing staged to pick from", "Look at its card.")
    if continued.staged.digest != selection.digest:
        raise stale_parts(task.number)
    onward = _continuing(continued, n).written_by([picker])
    basis = replace(onward, picked=(*onward.picked, PickedPart.of(selection, continued.n, picker)))
    return basis, Intent(f"pick {selection.words}", selection=selection), {"asked_lane": continued.lane}


def stale_parts(number: int) -> ConflictError:
    """The error for parts of a diff that is not current."""
    mend = "Look at its card, and choose among the parts that it has now."
    return ConflictError("stale_digest", f"that is not the current diff of #{number}", mend)


async def _continued_revision(tx: Tx, task: Task) -> Revision | None:
    """The revision whose tree a reply continues: the staged one, else the published one."""
    if task.state is State.STAGED:
        return task.current
    opened = task.pull_request if task.has_open_pull_request else None
    return await tasks.revision_of(tx, task.number, opened.revision) if opened else None


def _continuing(revision: Revision, n: int) -> Basis:
    """On top of `revision`, in the same part of its lane's workflow, with turn `n` alone."""
    basis = revision.basis
    return Basis((n,), revision.n, _authors(revision), basis.passed, basis.since, basis.picked)


def _authors(revision: Revision) -> tuple[str, ...]:
    """Everyone whose words are in the work of `revision`."""
    return tuple(sorted({revision.author, *revision.basis.authors}))
