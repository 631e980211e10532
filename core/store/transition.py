"""The step of every fact: the task's new state, the event, and the jobs that are owed, in one transaction."""

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
from core.store.outcome_notes import add_outcome_notes
from core.store.tables import JobRow
from core.store.unit_of_work import Tx


@dataclass(frozen=True, slots=True)
class OwedWork:
    """Columns of the jobs that a step owes.

    `needs` are the capabilities that a node must have, `after` is the task to wait for, `in_s` a delay. `write_set` are
    the globs of what a change may write (None: not known), `person` is the author of the new revision (None: that of
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
    """Apply `fact` to `task` with exactly three writes: the task's row, one event, what is owed.

    Owed are the jobs of the lifecycle's table, a follow job for as long as others may act on the pull request, and the
    cards. `changes` are further columns of the task's row, `pull_request` is the new state of the pull request. Raises
    `ConflictError` if the fact cannot happen now, or if the task changed since it was read.
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
        await jobs.cancel_jobs(tx, task.number, keep=(JobKind.READ, *followed))  # replies are always answered
    for kind in step.owes:
        await jobs.add(tx, owed_job(tx, task, kind, revision, owed, saved))
    opened = pull_request or task.pull_request
    if step.state is State.PUBLISHED and opened is not None and opened.followed and opened.state == "open":
        await _follow(tx, task, fact, revision)
    await cards.redraw(tx, task.number)
    await add_outcome_notes(tx, task.number, fact, saved | ({"pull_request": opened.to_json()} if opened else {}))
    return step


async def record_refused_reply(tx: Tx, job: Job, problem: Problem) -> None:
    """Record that the reply of a read job begins no revision, and owe its writer a note that says why."""
    draft = TurnDraft.from_json(job.payload)
    await events.append(
        tx,
        number=job.number,
        kind="reply.refused",
        person=draft.actor.person,
        surface=draft.actor.surface,
        body=dict(problem.to_json()),
    )
    origin = draft.origin
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
    """The row of a job that `task` owes with the new columns `saved`; it waits if another task must come first."""
    waits = owed.after is not None
    lane = saved.get("lane", task.current.lane)
    return JobRow(
        id=tx.new_id("job"),
        number=task.number,
        revision=revision,
        kind=kind.value,
        state=(JobState.WAITING if waits else JobState.READY).value,
        repository=saved.get("repo", task.repo),
        lane=None if kind is JobKind.PLAN else lane,  # it decides the lane
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
    """The globs that the lane allows; none for jobs other than changes, which write no files."""
    if kind is not JobKind.CHANGE:
        return []
    return list(owed.write_set) if owed.write_set is not None else None


async def owed_again(tx: Tx, number: int, kind: JobKind, revisions: Iterable[int]) -> OwedWork:
    """The work of another job of this kind: all that the last ones of these revisions needed and might write."""
    needs: frozenset[str] = frozenset()
    write_set: tuple[str, ...] | None = ()
    for n in revisions:
        needed, written = await queue_queries.carried_by_last(tx, number, n, kind)
        needs |= needed
        write_set = (*write_set, *written) if write_set is not None and written is not None else None
    return OwedWork(needs, write_set=tuple(dict.fromkeys(write_set)) if write_set is not None else None)


async def _follow(tx: Tx, task: Task, fact: Fact, revision: int) -> None:
    """Ensure that a job follows the pull request, at once if it was just pushed to."""
    if not await queue_queries.has_follow_job(tx, task.number):
        later = NOTHING_MORE if fact is Fact.PUBLISHED else OwedWork(in_s=LOOK_AGAIN_S)
        await jobs.add(tx, owed_job(tx, task, JobKind.FOLLOW, revision, later))
    elif fact is Fact.PUBLISHED:
        await jobs.wake_follow_job(tx, task.number)


LOOK_AGAIN_S = 300
"""How soon a pull request is polled again after its follow job failed for good."""

_NOT_FOLLOWED = (State.MERGED, State.CLOSED)

DEPENDENCY_MET = (State.PUBLISHED, State.MERGED)
"""States of a task in which jobs that wait for it (`--after`) become ready."""
