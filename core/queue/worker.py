"""The worker: one process's share of the queue, composed of its claimer, runner, heartbeat and sweeper."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TYPE_CHECKING, Protocol

from core.jobs.job_context import JobContext
from core.log import log
from core.model.errors import CountersignError, TransientError
from core.model.job import Job
from core.model.job_order import NodeView
from core.queue.claimer import Claimer
from core.queue.heartbeat import Heartbeat
from core.queue.reconciler import Reconciler
from core.queue.runner import Runner
from core.queue.sweep_leader import Sweeper
from core.services.idle_looks import LONGEST_S, IdleLooks
from core.store import jobs, leaders, queue_queries, workers
from core.store.tables import WorkerRow
from core.store.unit_of_work import Tx, reads, writes

if TYPE_CHECKING:
    from core.queue.engine import Engine

IMPATIENT_POLL_S = 0.05
"""How often a worker looks for jobs if a caller waits for its work."""
IMPATIENT_LOOK_S = 0.5
"""After how long such a worker looks even if nothing was committed: the wait of a job may be over."""

MAX_WAITING_FOR_MODELS = 100
"""How many jobs of one worker may wait for models; each has a coroutine, and its claim."""


class BackgroundDuty(Protocol):
    """What runs beside the jobs of a worker."""

    async def run(self) -> None:
        """Run until cancelled."""


class Worker:
    """One process's share of the queue. `run` works until `stop` is called, or until nothing is left to do.

    `id` names the worker in the database, and `node` is where it runs; `reconciler` does its sweeps, and `duties` run
    beside it, such as looking at the model servers. `jobs_waiting_for_models` need no slot while they wait.
    """

    def __init__(
        self,
        context: JobContext,
        engine: Engine,
        id: str,  # noqa: A002 (what it is)
        node: NodeView,
        reconciler: Reconciler,
        duties: Sequence[BackgroundDuty] = (),
        jobs_waiting_for_models: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        self.id, self.node, self.reconciler = id, node, reconciler
        self.database, self.settings = context.database, context.settings
        self.runner = Runner(context, engine, id)
        self.claimer = Claimer(self.database, node, id, self.settings)
        self.heartbeat = Heartbeat(self.database, self.settings, self.runner, reconciler, id)
        self.sweeper = Sweeper(self.database, self.settings, reconciler, id, self.runner.wake.set)
        self._idle, self._until = IdleLooks(context.database), IdleLooks(context.database, IMPATIENT_LOOK_S)
        self.duties, self._jobs_waiting_for_models = duties, jobs_waiting_for_models
        self._is_awaited = False

    async def run(
        self, until: Callable[[], Awaitable[bool]] | None = None, *, drain: bool = False, claims: bool = True
    ) -> None:
        """Work the queue until stopped; without `claims` only sweep and send heartbeats.

        With `drain`, work until nothing is ready and nothing runs here; with `until`, until it returns True. In both
        cases a caller waits, so this raises if the database cannot be written. Raises `DeclaredDeadError` if this
        worker was declared dead.
        """
        self._is_awaited = until is not None or drain
        self._idle.longest_s = IMPATIENT_LOOK_S if self._is_awaited else LONGEST_S
        await self._register()
        try:
            await self.runner.engine.start()
            async with asyncio.TaskGroup() as group:
                beside = [group.create_task(self.heartbeat.run()), group.create_task(self.sweeper.run())]
                beside += [group.create_task(duty.run()) for duty in self.duties]
                try:
                    await self._work(until, drain=drain, claims=claims)
                finally:
                    for task in beside:
                        task.cancel()
        except* CountersignError as errors:
            raise errors.exceptions[0] from None
        finally:
            await self._leave()

    def stop(self) -> None:
        """Claim no more jobs; running ones finish first."""
        self.runner.is_stopping = True
        self.runner.wake.set()

    async def _work(self, until: Callable[[], Awaitable[bool]] | None, *, drain: bool, claims: bool) -> None:
        """Keep the slots full, and return once the running jobs have finished."""
        timing = self.settings().timing
        slots = timing.slots if claims else 0
        while not self.runner.is_stopping:
            if self._is_awaited and self.runner.unwritten is not None:
                raise self.runner.unwritten
            if until is not None and await self._until.unless_idle(until):
                break
            job = await self._claim() if self._has_slot(slots) else None
            if job is not None:
                self.runner.begin(job)
                continue
            if drain and await self._nothing_left():
                break
            await self._sleep(IMPATIENT_POLL_S if self._is_awaited else timing.poll_s)
        await self.runner.finish()

    def _has_slot(self, slots: int) -> bool:
        """Whether another job may run: one that waits for a model takes no slot, up to a bound."""
        running = self.runner.job_ids
        waiting = running & set(self._jobs_waiting_for_models())
        return len(running) - len(waiting) < slots and len(waiting) < MAX_WAITING_FOR_MODELS

    async def _claim(self) -> Job | None:
        try:
            return await self._idle.unless_idle(self.claimer.claim)
        except TransientError as error:
            if self._is_awaited:
                raise
            log.warning("claim_failed", problem=error.problem.message)
            return None

    async def _nothing_left(self) -> bool:
        """Whether a draining worker may end: no job runs here or elsewhere, and a sweep changes nothing.

        It sweeps even if another worker is the leader, because a killed leader may still have its lease.
        """
        if self.runner.job_ids or await self.reconciler.sweep(self.id) or await self._any_running():
            return False
        job = await self.claimer.claim()  # another worker may have made one ready meanwhile
        if job is not None:
            self.runner.begin(job)
        return job is None

    @reads
    async def _any_running(self, tx: Tx) -> bool:
        return await queue_queries.any_running(tx)

    async def _sleep(self, seconds: float) -> None:
        """Wait until a job ends or a sweep changes something, at most `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self.runner.wake.wait()
        except TimeoutError:
            pass
        self.runner.wake.clear()

    @writes
    async def _register(self, tx: Tx) -> None:
        row = WorkerRow(
            id=self.id,
            node=self.node.name,
            host=socket.gethostname(),
            pid=os.getpid(),
            state=workers.ALIVE,
            started_ms=tx.now_ms,
            heartbeat_ms=tx.now_ms,
        )
        await workers.register(tx, row, self.node.offers)

    async def _leave(self) -> None:
        """Stop running jobs, return them to the queue, give up the leader's lease, and unregister."""
        await self.runner.cancel()
        try:
            await self._unregister()
        finally:
            await self.runner.engine.stop()

    @writes
    async def _unregister(self, tx: Tx) -> None:
        await jobs.rescue_from(tx, [self.id], count=False)
        await leaders.resign(tx, self.id)
        await workers.stop(tx, self.id)
