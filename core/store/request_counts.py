"""What requests are counted by for limits: the newest requests, and the jobs that wait, of a key."""

from __future__ import annotations

from typing import Any

from sqlmodel import col, select

from core.model.job import JobState
from core.model.limits import Limit, LimitScope
from core.store.tables import JobRow, TaskRow
from core.store.turns import has_state
from core.store.unit_of_work import Tx


async def newest_requests(
    tx: Tx, limit: Limit, key: str, members: tuple[str, ...], since_ms: int, most: int, *, is_owner: bool = False
) -> list[int]:
    """When the newest requests of `key` after `since_ms` were made, at most `most`, the newest first."""
    columns = col(TaskRow.requester), col(TaskRow.asked_lane), col(TaskRow.repo)
    query = (
        select(TaskRow.created_ms)
        .where(_is_of(limit, key, members, columns, is_owner=is_owner), col(TaskRow.created_ms) > since_ms)
        .order_by(col(TaskRow.created_ms).desc())
        .limit(most)
    )
    return list(await tx.session.exec(query))


async def has_waiting(
    tx: Tx, limit: Limit, key: str, members: tuple[str, ...], count: int, *, is_owner: bool = False
) -> bool:
    """Whether at least `count` jobs of `key` wait to be claimed."""
    columns = col(JobRow.person), col(JobRow.lane), col(JobRow.repository)
    query = (
        select(JobRow.id)
        .where(has_state(JobState.READY), _is_of(limit, key, members, columns, is_owner=is_owner))
        .limit(count)
    )
    return len(list(await tx.session.exec(query))) >= count


def _is_of(limit: Limit, key: str, members: tuple[str, ...], columns: tuple[Any, Any, Any], *, is_owner: bool) -> Any:
    """The condition of a row of `key`; `columns` are its person, its lane and its repository.

    With `is_owner` the key is a team, and `members` are its repositories.
    """
    person, lane, repository = columns
    if limit.scope is LimitScope.TEAM:
        return (repository if is_owner else person).in_(members)
    return {LimitScope.PERSON: person, LimitScope.LANE: lane, LimitScope.REPOSITORY: repository}[limit.scope] == key
