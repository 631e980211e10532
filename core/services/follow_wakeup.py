"""Pull requests that jobs follow: a webhook of the forge makes the job of one run soon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.store import jobs, pull_requests
from core.store.database import Database
from core.store.unit_of_work import Tx, writes


@dataclass(frozen=True, slots=True)
class FollowWakeup:
    """Wakes the jobs that follow pull requests."""

    database: Database

    @writes
    async def wake_follow_jobs(self, tx: Tx, repos: Sequence[str], pull: int | None, commit: str | None) -> None:
        """Run the follow jobs of pull request `pull` in one of `repos`, or of the one with this head commit, soon."""
        for number in await pull_requests.followed_at(tx, repos, pull, commit):
            await jobs.wake_follow_job(tx, number)
