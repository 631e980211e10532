"""Refuses requests over a limit of requests an hour or of waiting jobs, and says when they are accepted again."""

from __future__ import annotations

from typing import Any

from sqlmodel import col, select

from core.model.errors import RefusedError
from core.model.job import JobState
from core.model.limits import HOUR_MS, Limit, LimitScope, QueueKeys
from core.settings import Settings
from core.store.tables import JobRow, TaskRow
from core.store.turns import has_state
from core.store.unit_of_work import Tx, from_ms


async def check_request_limits(tx: Tx, settings: Settings, about: QueueKeys) -> None:
    """Raise `RefusedError` for a request over a limit; `about` has the lane and repository that it names, if any."""
    for limit in settings.limits:
        for key in limit.keys_of(about, settings.people):
            members = limit.teams(settings.people).get(key, ())
            if limit.requests_per_hour is not None:
                await _check_rate(tx, limit, limit.requests_per_hour, key, members)
            if limit.queued is not None:
                await _check_length(tx, limit, limit.queued, key, members)


async def _check_rate(tx: Tx, limit: Limit, most: int, key: str, members: tuple[str, ...]) -> None:
    requester, lane, repository = col(TaskRow.requester), col(TaskRow.asked_lane), col(TaskRow.repo)
    newest = (
        select(TaskRow.created_ms)
        .where(_is_of(limit, key, members, (requester, lane, repository)))
        .where(col(TaskRow.created_ms) > tx.now_ms - HOUR_MS)
        .order_by(col(TaskRow.created_ms).desc())
        .limit(most)
    )
    times = list(await tx.session.exec(newest))
    if len(times) < most:
        return
    free = from_ms(times[-1] + HOUR_MS)
    raise RefusedError(
        "over_rate",
        f"the limit {limit.name} allows {key} {most} {'request' if most == 1 else 'requests'} an hour",
        f"Ask again after {free:%H:%M:%S} UTC.",
    )


async def _check_length(tx: Tx, limit: Limit, most: int, key: str, members: tuple[str, ...]) -> None:
    person, lane, repository = col(JobRow.person), col(JobRow.lane), col(JobRow.repository)
    waiting = (
        select(JobRow.id)
        .where(has_state(JobState.READY), _is_of(limit, key, members, (person, lane, repository)))
        .limit(most)
    )
    if len(list(await tx.session.exec(waiting))) < most:
        return
    raise RefusedError(
        "queue_full",
        f"the limit {limit.name} allows {key} {most} waiting {'job' if most == 1 else 'jobs'}, and as many wait",
        "Ask again when one of them has begun.",
    )


def _is_of(limit: Limit, key: str, members: tuple[str, ...], columns: tuple[Any, Any, Any]) -> Any:
    person, lane, repository = columns
    if limit.scope is LimitScope.TEAM:
        return person.in_(members)
    return {LimitScope.PERSON: person, LimitScope.LANE: lane, LimitScope.REPOSITORY: repository}[limit.scope] == key
