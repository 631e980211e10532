"""The lifecycle of a task as one table: the state that a fact leads to, and the jobs that are then owed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from core.model.advice import Advice, CommandName, Suggestion, advise
from core.model.errors import ConflictError
from core.model.job import JobKind


class State(StrEnum):
    """The state of a task, in the words of contract.md."""

    RECEIVED = "received"
    ASKING = "asking"
    QUEUED = "queued"
    RUNNING = "running"
    STAGED = "staged"
    APPROVED = "approved"
    PUBLISHED = "published"
    MERGED = "merged"
    REFUSED = "refused"
    REJECTED = "rejected"
    EXPIRED = "expired"
    FAILED = "failed"
    CANCELLED = "cancelled"
    CLOSED = "closed"


class Fact(StrEnum):
    """What can happen to a task; the event of the same name is ``task.<fact>``."""

    PLANNED = "planned"
    UNCLEAR = "unclear"
    DENIED = "denied"
    STARTED = "started"
    RESCHEDULED = "rescheduled"
    STAGED = "staged"
    BLOCKED = "blocked"
    FAILED = "failed"
    PAUSED = "paused"
    EXTENDED = "extended"
    COUNTED = "counted"
    APPROVED = "approved"
    CONTINUED = "continued"
    REJECTED = "rejected"
    VOIDED = "voided"
    REMINDED = "reminded"
    ESCALATED = "escalated"
    FOLLOWED = "followed"
    PUBLISHED = "published"
    MERGE_ASKED = "merge_asked"
    MERGED = "merged"
    CLOSE_ASKED = "close_asked"
    CLOSED = "closed"
    UNDO_ASKED = "undo_asked"
    REPLIED = "replied"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class LifecycleStep:
    """The state that a fact leads to, and the jobs that are owed there."""

    to: State
    owes: tuple[JobKind, ...] = ()


_S, _F, _J = State, Fact, JobKind

TRANSITIONS: dict[tuple[State, Fact], LifecycleStep] = {
    # from a request to a decision
    (_S.RECEIVED, _F.PLANNED): LifecycleStep(_S.QUEUED, (_J.CHANGE,)),
    (_S.RECEIVED, _F.UNCLEAR): LifecycleStep(_S.ASKING),
    (_S.RECEIVED, _F.DENIED): LifecycleStep(_S.REFUSED),
    (_S.RECEIVED, _F.FAILED): LifecycleStep(_S.FAILED),
    # from a decision to a staged diff
    (_S.QUEUED, _F.STARTED): LifecycleStep(_S.RUNNING),
    (_S.QUEUED, _F.FAILED): LifecycleStep(_S.FAILED),
    (_S.QUEUED, _F.PAUSED): LifecycleStep(_S.ASKING),  # the task that it waits for failed
    (_S.RUNNING, _F.STARTED): LifecycleStep(_S.RUNNING),
    (_S.RUNNING, _F.RESCHEDULED): LifecycleStep(_S.QUEUED),
    (_S.RUNNING, _F.STAGED): LifecycleStep(_S.STAGED),
    (_S.RUNNING, _F.BLOCKED): LifecycleStep(_S.REFUSED),
    (_S.RUNNING, _F.FAILED): LifecycleStep(_S.FAILED),
    # a budget that is used up: the job is paused, and the same job continues after an extension
    (_S.RUNNING, _F.PAUSED): LifecycleStep(_S.ASKING),
    (_S.ASKING, _F.EXTENDED): LifecycleStep(_S.QUEUED),
    (_S.ASKING, _F.REJECTED): LifecycleStep(_S.REJECTED),
    # from a staged diff to a pull request
    (_S.STAGED, _F.COUNTED): LifecycleStep(_S.STAGED),
    (_S.STAGED, _F.APPROVED): LifecycleStep(_S.APPROVED, (_J.PUBLISH,)),
    (_S.STAGED, _F.CONTINUED): LifecycleStep(
        _S.QUEUED, (_J.CHANGE,)
    ),  # an approval between the steps of a lane's workflow
    (_S.STAGED, _F.REJECTED): LifecycleStep(_S.REJECTED),
    (_S.STAGED, _F.REMINDED): LifecycleStep(_S.STAGED),
    (_S.STAGED, _F.ESCALATED): LifecycleStep(_S.STAGED),
    (_S.APPROVED, _F.VOIDED): LifecycleStep(_S.STAGED),
    (_S.APPROVED, _F.PUBLISHED): LifecycleStep(_S.PUBLISHED),
    (_S.APPROVED, _F.FAILED): LifecycleStep(_S.FAILED),
    # from a pull request to its end
    (_S.PUBLISHED, _F.MERGE_ASKED): LifecycleStep(_S.PUBLISHED, (_J.MERGE,)),
    (_S.PUBLISHED, _F.MERGED): LifecycleStep(_S.MERGED),
    (_S.PUBLISHED, _F.CLOSE_ASKED): LifecycleStep(_S.PUBLISHED, (_J.CLOSE,)),
    (_S.PUBLISHED, _F.CLOSED): LifecycleStep(_S.CLOSED),
    (_S.PUBLISHED, _F.FAILED): LifecycleStep(_S.PUBLISHED),
    (_S.PUBLISHED, _F.FOLLOWED): LifecycleStep(_S.PUBLISHED),
    (_S.MERGED, _F.UNDO_ASKED): LifecycleStep(_S.MERGED),
    # a reply makes the next revision in every state that a reply can still change
    **{
        (state, _F.REPLIED): LifecycleStep(_S.RECEIVED, (_J.PLAN,))
        for state in (
            _S.RECEIVED,
            _S.ASKING,
            _S.QUEUED,
            _S.RUNNING,
            _S.STAGED,
            _S.PUBLISHED,
            _S.REFUSED,
            _S.REJECTED,
            _S.EXPIRED,
            _S.FAILED,
        )
    },
    # a pull request can be merged or closed elsewhere while its next revision is under way
    **{
        (state, fact): LifecycleStep(end)
        for state in (_S.RECEIVED, _S.ASKING, _S.QUEUED, _S.RUNNING, _S.STAGED)
        for fact, end in ((_F.MERGED, _S.MERGED), (_F.CLOSED, _S.CLOSED))
    },
    # people may cancel what has not reached the forge
    **{
        (state, _F.CANCELLED): LifecycleStep(_S.CANCELLED)
        for state in (_S.RECEIVED, _S.ASKING, _S.QUEUED, _S.RUNNING, _S.STAGED, _S.APPROVED)
    },
    # waiting for a person ends at an expiry
    (_S.ASKING, _F.EXPIRED): LifecycleStep(_S.EXPIRED),
    (_S.STAGED, _F.EXPIRED): LifecycleStep(_S.EXPIRED),
}

START = LifecycleStep(State.RECEIVED, (JobKind.PLAN,))
"""The first step of every task."""

RESTING = frozenset(State) - {State.RECEIVED, State.QUEUED, State.RUNNING, State.APPROVED}
"""States in which no job is owed: either a person acts next, or nothing happens."""

ENDS = frozenset(
    {State.MERGED, State.REFUSED, State.REJECTED, State.EXPIRED, State.FAILED, State.CANCELLED, State.CLOSED}
)
"""States that only a person's new turn leaves."""

WAITING_FOR_PEOPLE = frozenset({State.ASKING, State.STAGED})
"""States that expire."""

OWED_IN: dict[State, JobKind] = {
    State.RECEIVED: JobKind.PLAN,
    State.QUEUED: JobKind.CHANGE,
    State.RUNNING: JobKind.CHANGE,
    State.APPROVED: JobKind.PUBLISH,
}
"""The job that must exist in each working state; the reconciler looks for tasks that lack it."""

FALLS_BACK = frozenset({State.REFUSED, State.REJECTED, State.EXPIRED, State.FAILED, State.CANCELLED})
"""Ends of a revision that leave an already published revision in place."""

SUPERSEDING = frozenset({Fact.REPLIED, Fact.CANCELLED, Fact.EXPIRED, Fact.REJECTED, Fact.MERGED, Fact.CLOSED})
"""Facts after which the task's queued jobs are obsolete; jobs that follow its pull request continue."""


BEGINNING = frozenset({Fact.REPLIED, Fact.CONTINUED})
"""Facts that begin the task's next revision."""


class LifecyclePosition(Protocol):
    """The attributes of a task that `advance` uses."""

    @property
    def number(self) -> int:
        """The number that people see."""

    @property
    def state(self) -> State:
        """Its current state."""

    @property
    def has_open_pull_request(self) -> bool:
        """Whether an earlier revision is published and open."""


@dataclass(frozen=True, slots=True)
class Transition:
    """The effect of a fact: the new state, the jobs owed, whether older jobs are dropped, whether a revision begins."""

    state: State
    owes: tuple[JobKind, ...]
    drops_jobs: bool
    new_revision: bool


def advance(task: LifecyclePosition, fact: Fact) -> Transition:
    """Compute what `fact` does to a task; the only place where states change, and pure.

    Raises `ConflictError` if `fact` cannot happen to a task in this state.
    """
    step = TRANSITIONS.get((task.state, fact))
    if step is None:
        raise ConflictError(
            "wrong_state",
            f"#{task.number} is {task.state.value}, so it cannot be {_PARTICIPLES.get(fact, fact.value)}",
            _mend(task),
        )
    to = step.to
    if to in FALLS_BACK and task.has_open_pull_request:
        to = State.PUBLISHED
    return Transition(to, step.owes, fact in SUPERSEDING, fact in BEGINNING)


_PARTICIPLES = {
    Fact.REPLIED: "replied to",
    Fact.COUNTED: "approved",
    Fact.CONTINUED: "approved",
    Fact.MERGE_ASKED: "merged",
    Fact.CLOSE_ASKED: "closed",
    Fact.UNDO_ASKED: "undone",
    Fact.EXTENDED: "given more budget",
    Fact.STARTED: "started",
}

_MENDS = {
    State.PUBLISHED: "Reply to it, merge it, or undo it.",
    State.MERGED: "Ask for something new, or undo it.",
    State.CLOSED: "Ask for something new.",
    State.CANCELLED: "Ask for something new.",
    State.EXPIRED: "Reply to it to start its next revision.",
    State.REJECTED: "Reply to it to start its next revision.",
    State.REFUSED: "Reply to it to start its next revision.",
    State.FAILED: "Reply to it to start its next revision.",
    State.STAGED: "Approve, reject or reply to it first.",
    State.ASKING: "Answer its question with a reply.",
}


def _mend(task: LifecyclePosition) -> str | Advice:
    """What a person can do about a task in this state instead."""
    if task.state is State.APPROVED:
        return advise("It is being published; look again with ", Suggestion(CommandName.SHOW, task.number), ".")
    return _MENDS.get(task.state, "")


def diagram() -> str:
    """The table as a Mermaid state diagram, one line per transition; `docs/lifecycle.md` contains it."""
    lines = ["stateDiagram-v2", f"    [*] --> {START.to.value}: requested"]
    arrows: dict[tuple[State, State], list[str]] = {}
    for (state, fact), step in TRANSITIONS.items():
        arrows.setdefault((state, step.to), []).append(fact.value)
    for (state, to), facts in arrows.items():
        lines.append(f"    {state.value} --> {to.value}: {', '.join(facts)}")
    finals = (State.MERGED, State.CLOSED, State.CANCELLED)
    lines.extend(f"    {state.value} --> [*]" for state in finals)
    return "\n".join(lines)
