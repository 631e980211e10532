"""Pull requests: what was opened at the forge for each task, looked up by its number there or by its head."""

from __future__ import annotations

from collections.abc import Iterable

from sqlmodel import col, select

from core.model.job import ACTIVE, JobKind
from core.model.task import PullRequest, Task
from core.store.tables import JobRow, PullRequestRow
from core.store.unit_of_work import Tx


async def save(tx: Tx, task: Task, pull_request: PullRequest) -> None:
    """Keep the pull request of `task` as it is now; the caller holds the task."""
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
    """Numbers of tasks whose pull request is followed, in one of `repositories`.

    It is the one with the number `pull` there or, without that, the one with the head `commit`; without both, any.
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
