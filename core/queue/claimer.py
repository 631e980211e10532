"""The claimer: claims the job that the scheduler puts first for this node, under a new fence."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

from core.model.job import Job
from core.model.job_order import NodeView
from core.store import claims, turns
from core.store.database import Database
from core.store.postgres_statements import PreparedStatement
from core.store.unit_of_work import Tx, reads, writes

KEYS_FOR_S: Final = 1.0
"""How long a busy worker may overlook jobs with a set of capabilities that no job had before."""
BATCH: Final = 500
"""How many jobs are made claimable at once."""


@dataclass(slots=True)
class Claimer:
    """Claims jobs for one worker, each with one statement; it looks further only when that finds nothing."""

    database: Database
    node: NodeView
    worker: str
    _keys: tuple[str, ...] = ()
    _keys_until_s: float = 0.0
    _statement: PreparedStatement | None = field(default=None, repr=False)

    async def claim(self) -> Job | None:
        """Claim a job for this worker; None if there is none for it, or if the queue is paused.

        Raises `TransientError` if the database cannot be reached.
        """
        if time.monotonic() < self._keys_until_s and (job := await self._take()) is not None:
            return job
        await self._look()
        return await self._take()

    async def _take(self) -> Job | None:
        if not self._keys:
            return None
        if self._statement is None:
            dialect = self.database.engine.dialect.name
            self._statement = PreparedStatement.of(claims.claim_statement(dialect, self._keys, self.worker))
        row = await self.database.write_first_row(self._statement)
        return claims.claimed_job(row) if row is not None else None

    async def _look(self) -> None:
        """Make claimable what became ready, and learn which capabilities jobs need now."""
        if await self._is_any_due():
            await self._wake_due()
        keys = await self._needed()
        if keys != self._keys:
            self._keys, self._statement = keys, None
        self._keys_until_s = time.monotonic() + KEYS_FOR_S

    @reads
    async def _needed(self, tx: Tx) -> tuple[str, ...]:
        return await claims.needed_now(tx, self.node.offers)

    @reads
    async def _is_any_due(self, tx: Tx) -> bool:
        return bool(await turns.due_later(tx, 1))

    @writes
    async def _wake_due(self, tx: Tx) -> int:
        return await turns.make_claimable(tx, await turns.due_later(tx, BATCH))
