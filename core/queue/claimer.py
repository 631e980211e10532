"""The claimer: claims the job that the scheduler puts first for this node, under a new fence."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

from core.model.job import Job
from core.model.job_order import NodeView
from core.queue.admission import Admission
from core.settings import SettingsSource
from core.store import claims
from core.store.database import Database
from core.store.postgres_statements import PreparedStatement

LOOK_EVERY_S: Final = 0.5
"""How long a busy worker may overlook an open gate, or jobs with a set of capabilities that no job had before."""
MOST_LOOKS: Final = 8
"""How many batches of jobs one claim parks at most before it gives up for now."""


@dataclass(slots=True)
class Claimer:
    """Claims jobs for one worker, each with one statement; it looks further only when that finds nothing.

    `settings` has the limits in force.
    """

    database: Database
    node: NodeView
    worker: str
    settings: SettingsSource
    _admission: Admission | None = None
    _keys: tuple[str, ...] = ()
    _look_at_s: float = 0.0
    _statement: PreparedStatement | None = field(default=None, repr=False)

    async def claim(self) -> Job | None:
        """Claim a job for this worker; None if there is none for it, or if the queue is paused.

        Raises `TransientError` if the database cannot be reached.
        """
        if time.monotonic() < self._look_at_s and (job := await self._take()) is not None:
            return job
        for _ in range(MOST_LOOKS):
            has_more_to_park = await self._look()
            job = await self._take()
            if job is not None or not has_more_to_park:
                return job
        return None

    async def _take(self) -> Job | None:
        if self._statement is None:
            return None
        lock = claims.CLAIM_LOCK if self._gated else None
        row = await self.database.write_first_row(self._statement, lock=lock)
        return claims.claimed_job(row) if row is not None else None

    @property
    def _gated(self) -> bool:
        return self._admission is not None and self._admission.gates.condition() is not None

    async def _look(self) -> bool:
        """Review the gates, and learn which capabilities jobs need now; returns whether more is to be parked."""
        if self._admission is None:
            self._admission = Admission.of(self.database, self.settings)
        before = self._keys, self._admission.gates
        review = await self._admission.review(self.node.offers)
        self._keys = review.keys
        if self._statement is None or before != (self._keys, self._admission.gates):
            self._statement = self._claim_statement(self._admission)
        self._look_at_s = time.monotonic() + LOOK_EVERY_S
        return review.has_more_to_park

    def _claim_statement(self, admission: Admission) -> PreparedStatement | None:
        if not self._keys:
            return None
        dialect, may_run = self.database.engine.dialect.name, admission.gates.condition()
        return PreparedStatement.of(claims.claim_statement(dialect, self._keys, self.worker, may_run))
