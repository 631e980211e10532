"""The worker: claims jobs, runs their steps through the engine, says that it lives, and tidies up after the dead."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.jobs import change, follow, merge, plan, publish, read
from core.jobs.job_context import JobContext, JobStep, StepOutput
from core.log import log
from core.model.advice import CommandName, Suggestion, advise
from core.model.errors import CountersignError, Kind, LostClaimError, Problem, TransientError
from core.model.job import MAX_ATTEMPTS, MAX_RESCUES, Job, JobKind, backoff_s
from core.model.lifecycle import Fact, State
from core.model.placement import NodeView
from core.queue.reconciler import Reconciler
from core.store import jobs, queue_queries, tasks, workers
from core.store.switches import paused
from core.store.tables import WorkerRow
from core.store.transition import take_step
from core.store.unit_of_work import Tx

if TYPE_CHECKING:
    from core.queue.engine import Engine

STEPS: dict[JobKind, tuple[tuple[str, JobStep], ...]] = {
    JobKind.PLAN: plan.STEPS,
    JobKind.READ: read.STEPS,
    JobKind.CHANGE: change.STEPS,
    JobKind.PUBLISH: publish.STEPS,
    JobKind.MERGE: merge.MERGE_STEPS,
    JobKind.CLOSE: merge.CLOSE_STEPS,
    JobKind.FOLLOW: follow.STEPS,
}

SWEEP_EVERY_S = 2.0
"""How often a worker looks for the dead and the due, or four times a lease where that is shorter."""

LEAVE_WITHIN_S = 5.0
"""How long a worker that must go waits for cancelled steps to let go."""


@dataclass(slots=True)
class _Running:
    job: Job
    over: asyncio.Task[None]
    step: asyncio.Task[StepOutput] | None = None


class DeclaredDeadError(CountersignError):
    """This worker was silent for too long; others have its jobs, so it must end."""

    kind = Kind.UNAVAILABLE


@dataclass(slots=True)
class Worker:
    """One process's share of the queue. `run` works until `stop` is called, or until nothing is left to do."""

    shop: JobContext
    engine: Engine
    id: str
    node: NodeView
    reconciler: Reconciler
    _running: dict[str, _Running] = field(default_factory=dict)
    _strays: set[str] = field(default_factory=set)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: bool = False
    _patient: bool = True
    _gave_up: CountersignError | None = None

    async def run(self, until: Callable[[], Any] | None = None, *, drain: bool = False, claims: bool = True) -> None:
        """Work the queue until stopped; without `claims` only watch over time and dead workers.

        With `drain`, until nothing is ready and nothing of ours runs; with `until` (an async predicate), until
        it holds; somebody waits for those, so they end with the error when the database cannot be written.
        Raises `DeclaredDeadError` when this worker lost its lease.
        """
        self._patient = until is None and not drain
        await self._register()
        try:
            await self.engine.start()
            async with asyncio.TaskGroup() as group:
                beats = group.create_task(self._beat())
                sweeps = group.create_task(self._sweep())
                try:
                    await self._claim_until(until, drain=drain, claims=claims)
                finally:
                    beats.cancel()
                    sweeps.cancel()
        except* CountersignError as errors:
            raise errors.exceptions[0] from None
        finally:
            await self._leave()

    def stop(self) -> None:
        """Take no more jobs; what runs is finished first."""
        self._stopping = True
        self._wake.set()

    async def _claim_until(self, until: Callable[[], Any] | None, *, drain: bool, claims: bool) -> None:
        timing = self.shop.settings().timing
        slots = timing.slots if claims else 0
        while not self._stopping:
            if self._gave_up is not None:
                raise self._gave_up
            if until is not None and await until():
                break
            job = await self._claim() if len(self._running) < slots else None
            if job is not None:
                self._begin(job)
                continue
            if drain and await self._nothing_left():
                break
            await self._sleep(0.05 if until or drain else timing.poll_s)
        while self._running:
            await asyncio.wait([r.over for r in self._running.values()])

    async def _nothing_left(self) -> bool:
        """Whether a draining worker may go: nothing of ours runs, nothing was tidied, nobody else works."""
        if self._running or await self.reconciler.sweep(self.id):
            return False
        if await self.shop.database.read(queue_queries.any_running):
            return False
        job = await self._claim()  # the sweep beside us, or another worker, may have left one since we looked
        if job is not None:
            self._begin(job)
        return job is None

    async def _claim(self) -> Job | None:
        async def look(tx: Tx) -> bool:
            return await paused(tx) is None and await jobs.any_ready(tx)

        async def work(tx: Tx) -> Job | None:
            if not await workers.beat(tx, self.id):  # declared dead, and about to learn of it
                return None
            return await jobs.claim(tx, self.node, self.id)

        try:
            if not await self.shop.database.read(look):  # an idle worker takes no write lock
                return None
            return await self.shop.database.write(work)
        except TransientError as error:
            if not self._patient:
                raise
            log.warning("claim_failed", problem=error.problem.message)
            return None

    def _begin(self, job: Job) -> None:
        running = _Running(job, asyncio.create_task(self._work(job), name=job.id))
        self._running[job.id] = running
        running.over.add_done_callback(lambda _: self._ended(running))

    def _ended(self, running: _Running) -> None:
        if self._running.get(running.job.id) is running:  # not a later claim of the same job
            del self._running[running.job.id]
        self._wake.set()

    async def _work(self, job: Job) -> None:
        """Run one claimed job to its outcome; whatever happens, its row says what became of it."""
        log.info("job_claimed", job=job.id, task=job.number, kind=job.kind.value, fence=job.fence)
        self.shop.milestones.reached(f"{job.kind.value}.claimed", number=job.number)
        try:
            notes = await self.engine.run(job, tuple(name for name, _ in STEPS[job.kind]), self._step)
            await self._conclude(job, notes)
        except LostClaimError as error:
            log.info("claim_lost", job=job.id, why=str(error))
        except CountersignError as error:
            await self._settle(job, error.problem, transient=True, retry_after_s=None)
        except Exception as error:  # noqa: BLE001 (a worker outlives every job; what broke is told on the task)
            log.exception("run_broke", job=job.id)
            await self._settle(job, _bug(error), transient=True, retry_after_s=None)

    async def _step(self, job: Job, name: str, notes: StepOutput) -> StepOutput:
        """One step; its faults become notes, so that the engine remembers them as plain values."""
        body = dict(STEPS[job.kind])[name]
        running = self._running.get(job.id)
        inner = asyncio.ensure_future(body(self.shop, job, notes))
        if running is not None:
            running.step = inner
        try:
            return await inner
        except LostClaimError:
            return {"lost": True, "over": True}
        except asyncio.CancelledError:
            if inner.cancelled() and not self._stopping:
                return {"lost": True, "over": True}
            inner.cancel()
            raise
        except TransientError as error:
            return _fault(error.problem, transient=True, retry_after_s=error.retry_after_s)
        except CountersignError as error:
            return _fault(error.problem, transient=False)
        except TimeoutError:
            problem = Problem(Kind.FAILED, "timed_out", f"{name} of #{job.number} took too long")
            return _fault(problem, transient=False)
        except Exception as error:  # noqa: BLE001 (a worker outlives every job; what broke is told on the task)
            log.exception("step_broke", job=job.id, step=name)
            return _fault(_bug(error), transient=False)

    async def _conclude(self, job: Job, notes: StepOutput) -> None:
        fault = notes.get("fault")
        if fault is None:
            # a run that is over has closed its job; one that ended otherwise (an engine that lost it) is begun anew
            if job.id in await self.shop.database.read(lambda tx: jobs.held_by(tx, self.id)):
                await self._settle(job, _bug(RuntimeError("the run ended early")), transient=True, retry_after_s=None)
            return
        await self._settle(
            job,
            Problem.from_json(fault),
            transient=bool(notes.get("transient")),
            retry_after_s=notes.get("retry_after_s"),
        )

    async def _settle(self, job: Job, problem: Problem, *, transient: bool, retry_after_s: float | None) -> None:
        """After a fault: put the job back with a backoff, or fail its task."""
        problem = self.shop.shown(problem)
        try:
            # what is unavailable comes back one day (F16), so only other faults run out of tries
            if transient and (problem.kind is Kind.UNAVAILABLE or job.attempt < MAX_ATTEMPTS):
                wait_s = retry_after_s or backoff_s(job.attempt, random.random())  # noqa: S311 (jitter)
                await self._retry_later(job, problem, wait_s)
            else:
                await self.shop.fail(job, problem)
        except LostClaimError as error:
            log.info("claim_lost", job=job.id, why=str(error))
        except CountersignError as error:
            log.warning("outcome_not_written", job=job.id, problem=error.problem.message)
            if error.problem.kind is Kind.FAILED:  # the database takes others, but not this one
                await self._end_of(job, error)
            # else nothing could be written: the lease runs out, and whoever rescues the job settles it
            elif not self._patient:
                self._gave_up = error
        except Exception as error:  # noqa: BLE001 (whatever cannot be written must not run again and again)
            log.exception("outcome_broke", job=job.id)
            await self._end_of(job, error)

    async def _end_of(self, job: Job, error: Exception) -> None:
        """End a job whose outcome could not be written, with words that can be."""
        mend = advise("Nothing was published. Please report it with ", Suggestion(CommandName.EVENTS), ".")
        told = f"Countersign could not write down how this ended: {type(error).__name__}"
        try:
            await self.shop.fail(job, Problem(Kind.FAILED, "bug", told, mend))
        except Exception:  # noqa: BLE001 (the claim is released as lost, which is counted: MAX_RESCUES ends it)
            log.exception("outcome_not_written", job=job.id)

    async def _retry_later(self, job: Job, problem: Problem, wait_s: float) -> None:
        log.warning("job_retried", job=job.id, attempt=job.attempt, wait_s=wait_s, problem=problem.message)

        async def work(tx: Tx) -> None:
            ready_ms = tx.now_ms + round(wait_s * 1000)
            await jobs.put_back(tx, job, ready_ms, attempt=job.attempt + 1, problem=problem)
            task = await tasks.load(tx, job.number, lock=True)
            if task.state is State.RUNNING and task.revision == job.revision:
                body = {"error": problem.to_json(), "wait_s": round(wait_s, 1)}
                await take_step(tx, task, Fact.RESCHEDULED, body=body)

        await self.shop.database.write(work)

    async def _beat(self) -> None:
        """Say that we live; stop what is no longer ours."""
        timing = self.shop.settings().timing
        while True:
            await asyncio.sleep(timing.heartbeat_s)

            async def work(tx: Tx) -> tuple[bool, set[str]]:
                alive = await workers.beat(tx, self.id)
                return alive, await jobs.held_by(tx, self.id)

            try:
                alive, held = await self.shop.database.write(work)
            except TransientError as error:
                log.warning("heartbeat_missed", problem=error.problem.message)
                continue
            if not alive:
                self._abandon(set())
                raise DeclaredDeadError(
                    "declared_dead", "this worker was silent too long and others took its jobs", "Start it again."
                )
            self._abandon(held)
            strays = held - self._running.keys()
            if forgotten := strays & self._strays:  # twice in a row: not one that is just being begun or ended
                await self._release(forgotten)
            self._strays = strays - forgotten

    async def _release(self, forgotten: set[str]) -> None:
        try:
            await self.reconciler.release(self.id, forgotten)
            self._wake.set()
        except TransientError as error:
            log.warning("release_failed", problem=error.problem.message)

    def _abandon(self, held: set[str]) -> None:
        """Stop the steps of jobs that were cancelled or taken over."""
        for running in list(self._running.values()):
            if running.job.id not in held and running.step is not None:
                running.step.cancel()

    async def _sweep(self) -> None:
        every_s = min(SWEEP_EVERY_S, self.shop.settings().timing.lease_s / 4)
        while True:
            try:
                if await self.reconciler.sweep(self.id):
                    self._wake.set()
            except TransientError as error:
                log.warning("sweep_failed", problem=error.problem.message)
            await asyncio.sleep(every_s)

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _register(self) -> None:
        async def work(tx: Tx) -> None:
            row = WorkerRow(
                id=self.id,
                node=self.node.name,
                host=socket.gethostname(),
                pid=os.getpid(),
                state=workers.ALIVE,
                offers=sorted(self.node.offers),
                started_ms=tx.now_ms,
                heartbeat_ms=tx.now_ms,
            )
            await workers.register(tx, row)

        await self.shop.database.write(work)

    async def _leave(self) -> None:
        """Give what is still ours back to the queue, and go."""
        ending: list[asyncio.Task[Any]] = []
        for running in list(self._running.values()):
            running.over.cancel()
            ending.append(running.over)
            if running.step is not None:
                running.step.cancel()
                ending.append(running.step)
        if ending:  # a step that ran on would meet an engine that is gone, and call that its own fault
            await asyncio.wait(ending, timeout=LEAVE_WITHIN_S)

        async def work(tx: Tx) -> None:
            await jobs.rescue_from(tx, [self.id], count=False)
            await workers.stop(tx, self.id)

        try:
            await self.shop.database.write(work)
        finally:
            await self.engine.stop()


def _fault(problem: Problem, *, transient: bool, retry_after_s: float | None = None) -> StepOutput:
    return {"fault": problem.to_json(), "transient": transient, "retry_after_s": retry_after_s}


def _bug(error: BaseException) -> Problem:
    return Problem(
        Kind.FAILED,
        "bug",
        f"Countersign met a fault of its own: {type(error).__name__}: {error}"[:500],
        advise(
            "Nothing was published. Please report it with ",
            Suggestion(CommandName.EVENTS),
            ".",
            otherwise="Nothing was published. Please tell whoever runs Countersign.",
        ),
    )


__all__ = ["MAX_RESCUES", "STEPS", "DeclaredDeadError", "Worker"]
