"""The heartbeat: records that this worker is alive, and learns what is no longer its own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import NoReturn

from core.log import log
from core.model.errors import CountersignError, Kind, TransientError
from core.queue.reconciler import Reconciler
from core.queue.runner import Runner
from core.settings import SettingsSource
from core.store import jobs, workers
from core.store.unit_of_work import RunsTransactions, Tx, writes


class DeclaredDeadError(CountersignError):
    """This worker was silent for too long; others have its jobs, so it must end."""

    kind = Kind.UNAVAILABLE


@dataclass(slots=True)
class Heartbeat:
    """Beats for one worker, whose `runner` stops the jobs that were cancelled or taken over."""

    database: RunsTransactions
    settings: SettingsSource
    runner: Runner
    reconciler: Reconciler
    worker: str
    _strays: set[str] = field(default_factory=set)

    async def run(self) -> NoReturn:
        """Beat until cancelled; raises `DeclaredDeadError` when this worker was declared dead."""
        timing = self.settings().timing
        while True:
            await asyncio.sleep(timing.heartbeat_s)
            try:
                is_alive, held = await self._beat()
            except TransientError as error:
                log.warning("heartbeat_missed", problem=error.problem.message)
                continue
            if not is_alive:
                self.runner.stop_all_but(set())
                raise DeclaredDeadError(
                    "declared_dead", "this worker was silent too long and others took its jobs", "Start it again."
                )
            self.runner.stop_all_but(held)
            await self._release_strays(held)

    @writes
    async def _beat(self, tx: Tx) -> tuple[bool, set[str]]:
        """Whether this worker still counts as alive, and the ids of the jobs that it holds."""
        return await workers.beat(tx, self.worker), await jobs.held_by(tx, self.worker)

    async def _release_strays(self, held: set[str]) -> None:
        """Return to the queue what is held but not worked on, such as a job whose outcome could not be written.

        It must have been so twice in a row: a job that is just being begun or ended is none of these.
        """
        strays = held - self.runner.job_ids
        lasting = strays & self._strays
        self._strays = strays - lasting
        if not lasting:
            return
        try:
            await self.reconciler.release(self.worker, lasting)
            self.runner.wake.set()
        except TransientError as error:
            log.warning("release_failed", problem=error.problem.message)
