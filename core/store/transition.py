"""The step that every fact takes: new state, the event that caused it, and the jobs it owes, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from core.model.errors import Problem
from core.model.job import PAYLOAD_VERSION, Job, JobKind, JobState
from core.model.lifecycle import Fact, State, Transition, advance
from core.model.task import PullRequest, Task
from core.model.turn import SYSTEM, Actor, TurnDraft
from core.store import cards, events, jobs, notes, pull_requests, queue_queries, tasks
from core.store.database import to_ms
from core.store.outcome_notes import tell_outcome
from core.store.tables import JobRow
from core.store.unit_of_work import Tx


@dataclass(frozen=True, slots=True)
class OwedWork:
    """What the jobs owed by a step carry.

    `needs` are the capabilities a node must have, `after` is the task to wait for, `in_s` a delay. `write_set` are the
    globs of what a change may write (None: not known), `person` is whose words begin the revision (None: the author of
    the current one).
    """

    needs: frozenset[str] = frozenset()
    after: int | None = None
    in_s: int = 0
    write_set: tuple[str, ...] | None = None
    person: str | None = None


NOTHING_MORE = OwedWork()


async def take_step(
    tx: Tx,
    task: Task,
    fact: Fact,
    *,
    actor: Actor = SYSTEM,
    body: dict[str, Any] | None = None,
    changes: dict[str, Any] | None = None,
    pull_request: PullRequest | None = None,
    owed: OwedWork = NOTHING_MORE,
) -> Transition:
    """Apply `fact` to `task` with exactly three writes: the task's row, one event, what it owes.

    It owes the jobs of the table, a look at its pull request for as long as others may act on that, and its cards.
    `changes` are further columns of the task's row, `pull_request` is what its own row says from now on. Raises
    `ConflictError` when the fact cannot happen now or when somebody else changed the task since it was read.
    """
    step = advance(task, fact)
    revision = task.revision + 1 if step.new_revision else task.revision
    saved = {"state": step.state.value, "revision": revision, "updated_ms": tx.now_ms, **(changes or {})}
    await tasks.save(tx, task, saved)
    if pull_request is not None:
        await pull_requests.save(tx, task, pull_request)
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
        await jobs.add(tx, owed_job(tx, task, kind, revision, owed, saved))
    opened = pull_request or task.pull_request
    if step.state is State.PUBLISHED and opened is not None and opened.followed and opened.state == "open":
        await _follow(tx, task, fact, revision)
    await cards.redraw(tx, task.number)
    await tell_outcome(tx, task.number, fact, saved | ({"pull_request": opened.to_json()} if opened else {}))
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


def owed_job(
    tx: Tx,
    task: Task,
    kind: JobKind,
    revision: int,
    owed: OwedWork,
    saved: Mapping[str, Any] = MappingProxyType({}),
) -> JobRow:
    """The row of a job that `task` owes, once `saved` is written; it waits when another task must come first."""
    waits = owed.after is not None
    lane = saved.get("lane", task.current.lane)
    return JobRow(
        id=tx.new_id("job"),
        number=task.number,
        revision=revision,
        kind=kind.value,
        state=(JobState.WAITING if waits else JobState.READY).value,
        repository=saved.get("repo", task.repo),
        lane=None if kind is JobKind.PLAN else lane,  # it is what decides the lane
        person=owed.person or task.current.author,
        write_set=_write_set(kind, owed),
        priority=task.priority,
        after=owed.after,
        capabilities=jobs.capability_key(owed.needs),
        payload_version=PAYLOAD_VERSION,
        created_ms=tx.now_ms,
        ready_ms=tx.now_ms + owed.in_s * 1000,
        deadline_ms=to_ms(task.deadline_at) if task.deadline_at else None,
    )


def _write_set(kind: JobKind, owed: OwedWork) -> list[str] | None:
    """Only a change writes files; where it may is what its lane says."""
    if kind is not JobKind.CHANGE:
        return []
    return list(owed.write_set) if owed.write_set is not None else None


async def owed_again(tx: Tx, number: int, kind: JobKind, revisions: Iterable[int]) -> OwedWork:
    """What another job of this kind carries: all that the last ones of these revisions needed and might write."""
    needs: frozenset[str] = frozenset()
    write_set: tuple[str, ...] | None = ()
    for n in revisions:
        needed, written = await queue_queries.carried_by_last(tx, number, n, kind)
        needs |= needed
        write_set = (*write_set, *written) if write_set is not None and written is not None else None
    return OwedWork(needs, write_set=tuple(dict.fromkeys(write_set)) if write_set is not None else None)


async def _follow(tx: Tx, task: Task, fact: Fact, revision: int) -> None:
    """See that somebody looks at the pull request: at once when it has just been pushed to."""
    if not await queue_queries.follows(tx, task.number):
        later = NOTHING_MORE if fact is Fact.PUBLISHED else OwedWork(in_s=LOOK_AGAIN_S)
        await jobs.add(tx, owed_job(tx, task, JobKind.FOLLOW, revision, later))
    elif fact is Fact.PUBLISHED:
        await jobs.wake_follow_job(tx, task.number)


LOOK_AGAIN_S = 300
"""How soon a pull request whose look failed for good is looked at again."""

_NOT_FOLLOWED = (State.MERGED, State.CLOSED)

DEPENDENCY_MET = (State.PUBLISHED, State.MERGED)
"""Where a task must be for those that wait for it (`--after`) to go on."""
