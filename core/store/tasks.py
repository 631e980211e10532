"""Tasks, revisions, turns and approvals: rows in, snapshots out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import func, union_all, update
from sqlalchemy import select as sa_select
from sqlmodel import col, select

from core.model.advice import CommandName, Suggestion, advise
from core.model.approval import Approval, Verdict
from core.model.decision import ApprovalRequirements
from core.model.errors import ConflictError, NotFoundError, Problem
from core.model.event import canonical_sha256
from core.model.intent import Intent
from core.model.lifecycle import State
from core.model.passkey import ApprovalSignature
from core.model.place import RepositoryScope
from core.model.provenance import Provenance
from core.model.staged_diff import StagedDiff
from core.model.task import FIRST_BASIS, Basis, FailureRule, Revision, Task, TaskSummary
from core.model.turn import Question, Turn, TurnDraft
from core.store import search
from core.store.database import from_ms
from core.store.pull_requests import pull_request_of
from core.store.tables import ApprovalRow, PullRequestRow, RevisionRow, TaskRow, TurnRow
from core.store.unit_of_work import Tx, to_ms


async def load(tx: Tx, number: int, *, lock: bool = False) -> Task:
    """The task `number`; with `lock` it is locked until this transaction ends.

    Raises `NotFoundError` if there is none.
    """
    of_task = col(PullRequestRow.number) == col(TaskRow.number)
    query = select(TaskRow, PullRequestRow).outerjoin(PullRequestRow, of_task).where(TaskRow.number == number)
    rows = (await tx.session.exec(query.with_for_update(of=TaskRow) if lock else query)).first()
    if rows is None:
        raise no_such_task(number)
    row, opened = rows
    revision = await tx.session.get(RevisionRow, (number, row.revision))
    assert revision is not None
    return _task(row, opened, await _read_revision(tx, revision))


def no_such_task(number: int) -> NotFoundError:
    """The error for a task that does not exist, and for one that the actor must not know of."""
    mend = advise("See them with ", Suggestion(CommandName.PROGRESS), ".")
    return NotFoundError("no_such_task", f"there is no task #{number}", mend)


async def numbers_after(tx: Tx, number: int, since: datetime | None, *, limit: int) -> list[int]:
    """The numbers above `number` of tasks that were requested since then, in order; at most `limit`."""
    query = select(TaskRow.number).where(col(TaskRow.number) > number)
    if since is not None:
        query = query.where(col(TaskRow.created_ms) >= to_ms(since))
    rows = await tx.session.exec(query.order_by(col(TaskRow.number)).limit(limit))
    return [found for found in rows.all() if found is not None]


async def newest_by_state(
    tx: Tx,
    states: Collection[State],
    limit: int,
    own: Collection[State],
    requester: str,
    names: Collection[str] | None = None,
) -> tuple[list[Task], bool]:
    """The `limit` newest tasks in each of `states`, of those in `own` only the ones of `requester`.

    `names` are as for `core.store.search.listed`. Also returns whether a state has as many, so that there may be more.
    """
    newest = [
        select(TaskRow.number, TaskRow.state)
        .where(TaskRow.state == state.value, *search.in_repositories(names))
        .order_by(col(TaskRow.number).desc())
        .limit(limit)
        .subquery()
        for state in states
    ]
    found = (await tx.session.execute(union_all(*[sa_select(each.c.number, each.c.state) for each in newest]))).all()
    most = max(Counter(state for _, state in found).values(), default=0)
    query = (
        select(TaskRow, PullRequestRow, RevisionRow)
        .outerjoin(PullRequestRow, col(PullRequestRow.number) == col(TaskRow.number))
        .join(
            RevisionRow,
            (col(RevisionRow.number) == col(TaskRow.number)) & (col(RevisionRow.n) == col(TaskRow.revision)),
        )
        .where(col(TaskRow.number).in_([number for number, _ in found]))
        .where(col(TaskRow.state).not_in([state.value for state in own]) | (col(TaskRow.requester) == requester))
    )
    rows = (await tx.session.exec(query)).all() if found else []
    return [_task(row, opened, await _read_revision(tx, revision)) for row, opened, revision in rows], most >= limit


async def create(tx: Tx, row: TaskRow, intent: Intent | None = None, basis: Basis = FIRST_BASIS) -> int:
    """Add a task with its first revision, which is not planned yet; returns its number."""
    tx.session.add(row)
    await tx.session.flush()
    assert row.number is not None
    await begin_revision(tx, row.number, 1, row.created_ms, row.requester, basis, intent)
    await search.add_task(tx, row)
    return row.number


async def save(tx: Tx, task: Task, changes: Mapping[str, Any]) -> None:
    """Write `changes` if the task is still at `task.version`; raises `ConflictError` otherwise."""
    result = await tx.session.execute(
        update(TaskRow)
        .where(col(TaskRow.number) == task.number, col(TaskRow.version) == task.version)
        .values(version=task.version + 1, **changes)
    )
    if _rowcount(result) != 1:
        raise ConflictError(
            "changed_meanwhile",
            f"#{task.number} changed while this was being decided",
            advise("Look at it again with ", Suggestion(CommandName.SHOW, task.number), "."),
        )
    await search.update_task(tx, task.number, changes)


async def save_revision(tx: Tx, number: int, n: int, changes: Mapping[str, Any]) -> None:
    """Set columns of revision `n`."""
    await tx.session.execute(
        update(RevisionRow).where(col(RevisionRow.number) == number, col(RevisionRow.n) == n).values(**changes)
    )
    await search.set_files(tx, number, changes.get("staged"))


async def begin_revision(
    tx: Tx,
    number: int,
    n: int,
    at_ms: int,
    author: str,
    basis: Basis,
    intent: Intent | None = None,
) -> None:
    """Add revision `n`, which is not planned yet; with an `intent` its turns need not be read."""
    tx.session.add(
        RevisionRow(
            number=number,
            n=n,
            created_ms=at_ms,
            author=author,
            basis=basis.to_json(),
            intent=intent.to_json() if intent else None,
        )
    )
    await tx.session.flush()


async def revision_of(tx: Tx, number: int, n: int) -> Revision | None:
    """Revision `n` of a task, or None."""
    row = await tx.session.get(RevisionRow, (number, n))
    return await _read_revision(tx, row) if row else None


async def revisions_of(tx: Tx, number: int) -> list[Revision]:
    """All revisions of a task, oldest first."""
    rows = await tx.session.exec(select(RevisionRow).where(RevisionRow.number == number).order_by(col(RevisionRow.n)))
    return [await _read_revision(tx, row) for row in rows.all()]


async def add_turn(tx: Tx, row: TurnRow) -> None:
    """Add a turn; the caller counted its `n` while the task was locked."""
    tx.session.add(row)
    await tx.session.flush()
    await search.add_turn(tx, row.number, row.text)


def turn_row(number: int, n: int, revision: int, draft: TurnDraft, at_ms: int) -> TurnRow:
    """The row of turn `n`."""
    return TurnRow(
        number=number,
        n=n,
        revision=revision,
        person=draft.actor.person or "",
        surface=draft.actor.surface or "",
        text=draft.text,
        dedup=draft.dedup,
        at_ms=at_ms,
    )


async def turns_of(tx: Tx, number: int) -> tuple[Turn, ...]:
    """The turns of a task, in order."""
    rows = await tx.session.exec(select(TurnRow).where(TurnRow.number == number).order_by(col(TurnRow.n)))
    return tuple(map(_turn, rows))


async def newest_turns(tx: Tx, numbers: Collection[int]) -> dict[int, Turn]:
    """The newest turn of each task."""
    newest = select(TurnRow.number, func.max(TurnRow.n).label("n")).where(col(TurnRow.number).in_(numbers))
    last = newest.group_by(col(TurnRow.number)).subquery()
    query = select(TurnRow).join(last, (last.c.number == TurnRow.number) & (last.c.n == TurnRow.n))
    return {row.number: _turn(row) for row in (await tx.session.exec(query)).all()} if numbers else {}


async def task_of_message(tx: Tx, surface: str, dedup: str) -> int | None:
    """The number of the task in which a message is a turn already, or None."""
    row = await tx.session.exec(select(TurnRow.number).where(TurnRow.surface == surface, TurnRow.dedup == dedup))
    return row.first()


async def approvals_of(tx: Tx, number: int) -> tuple[Approval, ...]:
    """Every verdict on any digest of a task, oldest first."""
    return (await approvals_of_all(tx, [number])).get(number, ())


async def approvals_of_all(tx: Tx, numbers: Collection[int]) -> dict[int, tuple[Approval, ...]]:
    """Every verdict on any digest of tasks, oldest first; tasks without any are left out."""
    query = select(ApprovalRow).where(col(ApprovalRow.number).in_(numbers))
    ordered = query.order_by(col(ApprovalRow.number), col(ApprovalRow.at_ms), col(ApprovalRow.person))
    rows = (await tx.session.exec(ordered)).all() if numbers else []
    return {number: tuple(map(_approval, group)) for number, group in groupby(rows, key=lambda row: row.number)}


async def in_state(tx: Tx, numbers: Collection[int], *states: State) -> set[int]:
    """Those of the tasks `numbers` that are in one of `states`."""
    values = [state.value for state in states]
    rows = await tx.session.exec(
        select(TaskRow.number).where(col(TaskRow.number).in_(numbers), col(TaskRow.state).in_(values))
    )
    return {number for number in rows if number is not None}


async def summaries(
    tx: Tx, *, state: State | None, limit: int, before: int | None = None, names: Collection[str] | None = None
) -> list[TaskSummary]:
    """The newest tasks first, at most `limit`; `names` are as for `core.store.search.listed`."""
    query = select(TaskRow).where(*search.in_repositories(names))
    if state is not None:
        query = query.where(TaskRow.state == state.value)
    if before is not None:
        query = query.where(col(TaskRow.number) < before)
    rows = await tx.session.exec(query.order_by(col(TaskRow.number).desc()).limit(limit))
    return [summary_of(row) for row in rows]


def summary_of(row: TaskRow) -> TaskSummary:
    """A row of a list."""
    return TaskSummary(
        row.number or 0,
        State(row.state),
        row.repo,
        row.requester,
        row.title,
        row.lane,
        row.revision,
        row.digest,
        row.priority,
        from_ms(row.updated_ms),
    )


async def due_to_expire(tx: Tx, states: tuple[State, ...], limit: int) -> list[int]:
    """Numbers of tasks whose wait for a person has expired."""
    rows = await tx.session.exec(
        select(TaskRow.number)
        .where(col(TaskRow.expires_ms) <= tx.now_ms, col(TaskRow.state).in_([s.value for s in states]))
        .limit(limit)
    )
    return [number for number in rows if number is not None]


async def due_to_remind(tx: Tx, limit: int) -> list[int]:
    """Numbers of staged tasks whose reminder or escalation is due."""
    rows = await tx.session.exec(
        select(TaskRow.number)
        .where(TaskRow.state == State.STAGED.value, col(TaskRow.nudge_ms) <= tx.now_ms)
        .limit(limit)
    )
    return [number for number in rows if number is not None]


async def due_to_resume(tx: Tx, limit: int) -> list[int]:
    """Numbers of asking tasks whose lane may have budget again."""
    rows = await tx.session.exec(
        select(TaskRow.number)
        .where(TaskRow.state == State.ASKING.value, col(TaskRow.nudge_ms) <= tx.now_ms)
        .limit(limit)
    )
    return [number for number in rows if number is not None]


async def count_by_state(tx: Tx) -> dict[str, int]:
    """The number of tasks in each state."""
    rows = await tx.session.execute(select(TaskRow.state, func.count()).group_by(TaskRow.state))
    return {state: int(count) for state, count in rows}


def _rowcount(result: object) -> int:
    return int(getattr(result, "rowcount", -1))


async def _read_revision(tx: Tx, row: RevisionRow) -> Revision:
    """A revision; if an older version staged it without recording its authors, all writers of turns are authors."""
    revision = _revision(row)
    if row.staged is None or "since" in row.basis:
        return revision
    writers = await tx.session.exec(
        select(TurnRow.person).where(TurnRow.number == row.number, col(TurnRow.revision) <= row.n)
    )
    return replace(revision, basis=revision.basis.written_by(writers))


def _turn(row: TurnRow) -> Turn:
    return Turn(row.n, row.person, row.surface, row.text, from_ms(row.at_ms), row.revision)


def _approval(row: ApprovalRow) -> Approval:
    verdict, at = Verdict(row.verdict), from_ms(row.at_ms)
    signature = ApprovalSignature.from_json(row.signature) if row.signature else None
    return Approval(
        row.person, verdict, row.digest, at, row.surface, row.reason, row.revision, signature, row.step_up or ""
    )


def _revision(row: RevisionRow) -> Revision:
    return Revision(
        n=row.n,
        author=row.author,
        basis=Basis.from_json(row.basis),
        intent=Intent.from_json(row.intent) if row.intent else None,
        lane=row.lane,
        rule=row.rule,
        reason=row.reason,
        requirements=ApprovalRequirements.from_json(row.terms) if row.terms else None,
        policy_digest=row.policy_digest,
        staged=StagedDiff.from_json(row.staged) if row.staged else None,
        provenance=Provenance.from_json(row.making) if row.making else None,
        requirements_sha256=canonical_sha256(row.terms),
        guard_sha256=canonical_sha256(row.staged["guard"]) if row.staged else "",
    )


def _task(row: TaskRow, opened: PullRequestRow | None, revision: Revision) -> Task:
    assert row.number is not None
    return Task(
        id=row.id,
        number=row.number,
        version=row.version,
        state=State(row.state),
        repo=row.repo,
        requester=row.requester,
        surface=row.surface,
        title=row.title,
        asked_lane=row.asked_lane,
        priority=row.priority,
        deadline_at=from_ms(row.deadline_ms) if row.deadline_ms is not None else None,
        after=row.after,
        created_at=from_ms(row.created_ms),
        updated_at=from_ms(row.updated_ms),
        expires_at=from_ms(row.expires_ms) if row.expires_ms is not None else None,
        question=Question.from_json(row.question) if row.question else None,
        error=Problem.from_json(row.error).about(row.number or 0) if row.error else None,
        pull_request=pull_request_of(opened) if opened else None,
        current=revision,
        escalated=row.escalated,
        parameters=row.parameters or {},
        scope=RepositoryScope.from_json(row.scope),
        if_failed=FailureRule(row.if_failed) if row.if_failed else None,
    )
