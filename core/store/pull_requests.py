"""Pull requests: the one of each task at the forge, looked up by its number there or by its head."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from sqlmodel import col, select

from core.model.job import ACTIVE, JobKind
from core.model.task import PullRequest, Task
from core.store.tables import JobRow, PullRequestRow
from core.store.unit_of_work import Tx

_MOST_PARAMETERS: Final = 500
"""Of one statement; SQLite before 3.32 allows 999."""


async def save(tx: Tx, task: Task, pull_request: PullRequest) -> None:
    """Store the pull request of `task`; the caller has locked the task."""
    await tx.session.merge(
        PullRequestRow(
            number=task.number,
            revision=pull_request.revision,
            repository=task.repo or "",
            pull=pull_request.number,
            url=pull_request.url,
            branch=pull_request.branch,
            head=pull_request.head,
            state=pull_request.state,
            digest=pull_request.digest,
            followed=pull_request.followed,
            checks=pull_request.checks,
            files=pull_request.files,
            updated_ms=tx.now_ms,
        )
    )
    await tx.session.flush()


async def followed_at(tx: Tx, repositories: Iterable[str], pull: int | None, commit: str | None) -> list[int]:
    """Numbers of tasks in `repositories` whose pull request a job follows.

    With `pull` only the one with this number, otherwise with `commit` only the one with this head; without both, all.
    """
    query = select(PullRequestRow.number).where(
        col(PullRequestRow.repository).in_(list(repositories)),
        col(PullRequestRow.number).in_(
            select(JobRow.number).where(
                JobRow.kind == JobKind.FOLLOW.value, col(JobRow.state).in_([state.value for state in ACTIVE])
            )
        ),
    )
    if pull is not None:
        query = query.where(PullRequestRow.pull == pull)
    elif commit is not None:
        query = query.where(PullRequestRow.head == commit)
    return list(await tx.session.exec(query))


async def numbers_of_heads(tx: Tx, heads: Collection[str]) -> tuple[int, ...]:
    """The tasks whose pull request has one of these commits as its head, in order."""
    found: set[int] = set()
    wanted = sorted(set(heads))
    for at in range(0, len(wanted), _MOST_PARAMETERS):
        part = wanted[at : at + _MOST_PARAMETERS]
        found.update(await tx.session.exec(select(PullRequestRow.number).where(col(PullRequestRow.head).in_(part))))
    return tuple(sorted(found))


def pull_request_of(row: PullRequestRow) -> PullRequest:
    """The pull request of a row."""
    return PullRequest(
        number=row.pull,
        url=row.url,
        branch=row.branch,
        head=row.head,
        state=row.state,
        revision=row.revision,
        digest=row.digest,
        followed=row.followed,
        checks=row.checks,
        files=row.files,
    )
