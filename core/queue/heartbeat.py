"""The heartbeat: records that this worker is alive, and finds jobs that it no longer holds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final, NoReturn

from core.log import log
from core.model.errors import CountersignError, Kind, TransientError
from core.queue.reconciler import Reconciler
from core.queue.runner import Runner
from core.settings import SettingsSource
from core.store import jobs, workers
from core.store.unit_of_work import RunsTransactions, Tx, reads, writes_quietly

WATCH_S: Final = 1.0
"""How often a worker looks whether the jobs that it runs were cancelled."""


class DeclaredDeadError(CountersignError):
    """This worker sent no heartbeat for too long; others have its jobs, so it must end."""

    kind = Kind.UNAVAILABLE


@dataclass(slots=True)
class Heartbeat:
    """The heartbeat of one worker, whose `runner` stops the jobs that were cancelled or taken over."""

    database: RunsTransactions
    settings: SettingsSource
    runner: Runner
    reconciler: Reconciler
    worker: str
    _strays: set[str] = field(default_factory=set)

    async def run(self) -> NoReturn:
        """Send heartbeats until cancelled; raises `DeclaredDeadError` if this worker was declared dead."""
        timing = self.settings().timing
        while True:
            await self._watch(timing.heartbeat_s)
            running = self.runner.job_ids
            try:
                is_alive, held = await self._beat()
            except TransientError as error:
                log.warning("heartbeat_missed", problem=error.problem.message)
                continue
            if not is_alive:
                self.runner.stop(self.runner.job_ids)
                raise DeclaredDeadError(
                    "declared_dead",
                    "this worker was silent too long and others took its jobs",
                    "Start it again.",
                )
            self.runner.stop(running - held)
            await self._release_strays(held)

    async def _watch(self, seconds: float) -> None:
        """Wait until the next heartbeat; meanwhile stop jobs soon after they were cancelled or taken over."""
        end = asyncio.get_running_loop().time() + seconds
        while (left_s := end - asyncio.get_running_loop().time()) > WATCH_S:
            await asyncio.sleep(WATCH_S)
            running = self.runner.job_ids
            if not running:
                continue
            try:
                self.runner.stop(running - await self._held())
            except TransientError as error:
                log.warning("watch_missed", problem=error.problem.message)
        await asyncio.sleep(max(0.0, left_s))

    @reads
    async def _held(self, tx: Tx) -> set[str]:
        return await jobs.held_by(tx, self.worker)

    @writes_quietly
    async def _beat(self, tx: Tx) -> tuple[bool, set[str]]:
        """Whether this worker still counts as alive, and the ids of the jobs that it holds."""
        return await workers.beat(tx, self.worker), await jobs.held_by(tx, self.worker)

    async def _release_strays(self, held: set[str]) -> None:
        """Return jobs to the queue that are held but do not run, such as one whose outcome could not be written.

        A job must be so at two heartbeats in a row, because one that is about to start or to end is so for a moment.
        """
        strays = held - self.runner.job_ids
        confirmed = strays & self._strays
        self._strays = strays - confirmed
        if not confirmed:
            return
        try:
            await self.reconciler.release(self.worker, confirmed)
            self.runner.wake.set()
        except TransientError as error:
            log.warning("release_failed", problem=error.problem.message)
