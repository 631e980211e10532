"""Refuses requests over a limit of requests an hour or of waiting jobs, and says when they are accepted again."""

from __future__ import annotations

from dataclasses import dataclass

from core.model.errors import RefusedError
from core.model.limits import HOUR_MS, Limit, QueueKeys
from core.settings import Settings
from core.store import request_counts
from core.store.unit_of_work import Tx, from_ms


@dataclass(frozen=True, slots=True)
class _Counted:
    """What a limit counts: a key with the members of a role, or with the repositories that a team owns."""

    key: str
    members: tuple[str, ...]
    is_owner: bool


async def check_request_limits(tx: Tx, settings: Settings, about: QueueKeys) -> None:
    """Raise `RefusedError` for a request over a limit; `about` has the lane and repository that it names, if any."""
    for limit in settings.limits:
        for key in limit.keys_of(about, settings.people):
            owned = limit.repositories(settings.people).get(key)
            who = _Counted(
                key, limit.teams(settings.people).get(key, ()) if owned is None else owned, owned is not None
            )
            if limit.requests_per_hour is not None:
                await _check_rate(tx, limit, limit.requests_per_hour, who)
            if limit.queued is not None:
                await _check_length(tx, limit, limit.queued, who)


async def _check_rate(tx: Tx, limit: Limit, most: int, who: _Counted) -> None:
    since_ms = tx.now_ms - HOUR_MS
    times = await request_counts.newest_requests(tx, limit, who.key, who.members, since_ms, most, is_owner=who.is_owner)
    if len(times) < most:
        return
    free = from_ms(times[-1] + HOUR_MS)
    raise RefusedError(
        "over_rate",
        f"the limit {limit.name} allows {who.key} {most} {'request' if most == 1 else 'requests'} an hour",
        f"Ask again after {free:%H:%M:%S} UTC.",
    )


async def _check_length(tx: Tx, limit: Limit, most: int, who: _Counted) -> None:
    if await request_counts.has_waiting(tx, limit, who.key, who.members, most, is_owner=who.is_owner):
        jobs = "job" if most == 1 else "jobs"
        raise RefusedError(
            "queue_full",
            f"the limit {limit.name} allows {who.key} {most} waiting {jobs}, and as many wait",
            "Ask again when one of them has begun.",
        )
