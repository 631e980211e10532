"""The step that every fact takes: new state, the event that caused it, and the jobs it owes, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.model.errors import Problem
from core.model.job import PAYLOAD_VERSION, Job, JobKind, JobState
from core.model.lifecycle import Fact, State, Transition, advance
from core.model.task import Task
from core.model.turn import SYSTEM, Actor, TurnDraft
from core.store import cards, events, jobs, notes, queue_queries, tasks
from core.store.database import to_ms
from core.store.outcome_notes import tell_outcome
from core.store.tables import JobRow
from core.store.unit_of_work import Tx


@dataclass(frozen=True, slots=True)
class OwedWork:
    """What the jobs owed by a step carry: capabilities a node must have, the task to wait for, and a delay."""

    needs: frozenset[str] = frozenset()
    after: int | None = None
    in_s: int = 0


NOTHING_MORE = OwedWork()


async def take_step(
    tx: Tx,
    task: Task,
    fact: Fact,
    *,
    actor: Actor = SYSTEM,
    body: dict[str, Any] | None = None,
    changes: dict[str, Any] | None = None,
    owed: OwedWork = NOTHING_MORE,
) -> Transition:
    """Apply `fact` to `task` with exactly three writes: the task's row, one event, what it owes.

    It owes the jobs of the table, a look at its pull request for as long as others may act on that, and its cards.
    `changes` are further columns of the task's row. Raises `ConflictError` when the fact cannot happen
    now or when somebody else changed the task since it was read.
    """
    step = advance(task, fact)
    revision = task.revision + 1 if step.new_revision else task.revision
    saved = {"state": step.state.value, "revision": revision, "updated_ms": tx.now_ms, **(changes or {})}
    await tasks.save(tx, task, saved)
    await events.append(
        tx,
        number=task.number,
        kind=f"task.{fact.value}",
        person=actor.person,
        surface=actor.surface,
        body={"state": step.state.value, "revision": revision, **(body or {})},
    )
    if step.drops_jobs:
        followed = () if step.state in _NOT_FOLLOWED else (JobKind.FOLLOW,)
        await jobs.drop(tx, task.number, keep=(JobKind.READ, *followed))  # what was said is answered
    for kind in step.owes:
        await jobs.add(tx, owed_job(tx, task, kind, revision, owed))
    if step.state is State.PUBLISHED and _is_followed(task, saved):
        await _follow(tx, task, fact, revision)
    await cards.redraw(tx, task.number)
    await tell_outcome(tx, task.number, fact, saved)
    return step


async def tell_unread(tx: Tx, job: Job, problem: Problem) -> None:
    """Record that words which a job read begin no revision, and tell their writer why, where they were said."""
    words = TurnDraft.from_json(job.payload)
    await events.append(
        tx,
        number=job.number,
        kind="reply.refused",
        person=words.actor.person,
        surface=words.actor.surface,
        body=dict(problem.to_json()),
    )
    origin = words.origin
    if origin.place is not None:
        await notes.add(
            tx,
            origin.place,
            problem.plain(),
            reply_to=origin.reply_to,
            only_to=origin.only_to,
            number=job.number,
        )


def owed_job(tx: Tx, task: Task, kind: JobKind, revision: int, owed: OwedWork) -> JobRow:
    """The row of a job that `task` owes; it waits when another task must come first."""
    waits = owed.after is not None
    return JobRow(
        id=tx.new_id("job"),
        number=task.number,
        revision=revision,
        kind=kind.value,
        state=(JobState.WAITING if waits else JobState.READY).value,
        priority=task.priority,
        after=owed.after,
        needs=sorted(owed.needs),
        payload_version=PAYLOAD_VERSION,
        created_ms=tx.now_ms,
        ready_ms=tx.now_ms + owed.in_s * 1000,
        deadline_ms=to_ms(task.deadline_at) if task.deadline_at else None,
    )


async def _follow(tx: Tx, task: Task, fact: Fact, revision: int) -> None:
    """See that somebody looks at the pull request: at once when it has just been pushed to."""
    if not await queue_queries.follows(tx, task.number):
        later = NOTHING_MORE if fact is Fact.PUBLISHED else OwedWork(in_s=LOOK_AGAIN_S)
        await jobs.add(tx, owed_job(tx, task, JobKind.FOLLOW, revision, later))
    elif fact is Fact.PUBLISHED:
        await jobs.nudge(tx, task.number)


def _is_followed(task: Task, saved: dict[str, Any]) -> bool:
    opened = saved.get("pull_request") or (task.pull_request.to_json() if task.pull_request else {})
    return bool(opened.get("followed")) and opened.get("state") == "open"


LOOK_AGAIN_S = 300
"""How soon a pull request whose look failed for good is looked at again."""

_NOT_FOLLOWED = (State.MERGED, State.CLOSED)

DEPENDENCY_MET = (State.PUBLISHED, State.MERGED)
"""Where a task must be for those that wait for it (`--after`) to go on."""
