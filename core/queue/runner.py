"""The runner: runs claimed jobs through the engine, and sees that each comes to an outcome."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from core.jobs.job_context import JobContext, StepOutput
from core.log import log
from core.model.errors import CountersignError, Kind, LostClaimError, Problem, TransientError
from core.model.job import Job
from core.queue.settlement import JobFault, bug, settle
from core.queue.steps import STEPS
from core.store import jobs

if TYPE_CHECKING:
    from core.queue.engine import Engine

LEAVE_WITHIN_S: Final = 5.0
"""How long is waited for cancelled steps to end."""

_LOST: Final[StepOutput] = {"lost": True, "over": True}
"""The notes of a step whose job is no longer ours."""


@dataclass(slots=True)
class _Run:
    job: Job
    whole: asyncio.Task[None]
    step: asyncio.Task[StepOutput] | None = None


@dataclass(slots=True)
class Runner:
    """The jobs that one worker runs at the moment. `wake` is set whenever one of them ended."""

    context: JobContext
    engine: Engine
    worker: str
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    unwritten: CountersignError | None = None
    """Why the outcome of a job could not be written, if that happened."""
    is_stopping: bool = False
    _runs: dict[str, _Run] = field(default_factory=dict)

    @property
    def job_ids(self) -> set[str]:
        """The jobs that run."""
        return set(self._runs)

    def begin(self, job: Job) -> None:
        """Run a claimed job beside the others."""
        run = _Run(job, asyncio.create_task(self._run(job), name=job.id))
        self._runs[job.id] = run
        run.whole.add_done_callback(lambda _: self._ended(run))

    def stop_all_but(self, held: set[str]) -> None:
        """Stop the steps of jobs that are no longer held: they were cancelled or taken over."""
        for run in list(self._runs.values()):
            if run.job.id not in held and run.step is not None:
                run.step.cancel()

    async def finish(self) -> None:
        """Wait until everything that runs came to its outcome."""
        while self._runs:
            await asyncio.wait([run.whole for run in self._runs.values()])

    async def cancel(self) -> None:
        """Stop everything that runs, without an outcome."""
        ending: list[asyncio.Task[Any]] = []
        for run in list(self._runs.values()):
            ending += [task for task in (run.whole, run.step) if task is not None]
        for task in ending:
            task.cancel()
        if ending:  # a step that ran on would meet an engine that is gone, and call that its own fault
            await asyncio.wait(ending, timeout=LEAVE_WITHIN_S)

    def _ended(self, run: _Run) -> None:
        if self._runs.get(run.job.id) is run:  # not a later claim of the same job
            del self._runs[run.job.id]
        self.wake.set()

    async def _run(self, job: Job) -> None:
        """Run one claimed job to its outcome; whatever happens, its row says what became of it."""
        log.info("job_claimed", job=job.id, task=job.number, kind=job.kind.value, fence=job.fence)
        self.context.milestones.reached(f"{job.kind.value}.claimed", number=job.number)
        try:
            notes = await self.engine.run(job, tuple(name for name, _ in STEPS[job.kind]), self._step)
            fault = await self._fault_in(job, notes)
        except LostClaimError as error:
            log.info("claim_lost", job=job.id, why=str(error))
            return
        except CountersignError as error:
            fault = JobFault(error.problem, is_transient=True)
        except Exception as error:  # noqa: BLE001 (a worker outlives every job; what broke is told on the task)
            log.exception("run_broke", job=job.id)
            fault = JobFault(bug(error), is_transient=True)
        if fault is not None:
            self.unwritten = await settle(self.context, job, fault) or self.unwritten

    async def _fault_in(self, job: Job, notes: StepOutput) -> JobFault | None:
        """What the notes of a run say that went wrong, if anything did."""
        if (problem := notes.get("fault")) is not None:
            is_transient, retry_after_s = bool(notes.get("transient")), notes.get("retry_after_s")
            return JobFault(Problem.from_json(problem), is_transient, retry_after_s)
        # a run that is over has closed its job; one that ended otherwise (an engine that lost it) is begun anew
        if job.id in await self.context.database.read(lambda tx: jobs.held_by(tx, self.worker)):
            return JobFault(bug(RuntimeError("the run ended early")), is_transient=True)
        return None

    async def _step(self, job: Job, name: str, notes: StepOutput) -> StepOutput:
        """One step; its faults become notes, so that the engine remembers them as plain values."""
        body = dict(STEPS[job.kind])[name]
        run = self._runs.get(job.id)
        inner = asyncio.ensure_future(body(self.context, job, notes))
        if run is not None:
            run.step = inner
        try:
            return await inner
        except LostClaimError:
            return dict(_LOST)
        except asyncio.CancelledError:
            if inner.cancelled() and not self.is_stopping:
                return dict(_LOST)
            inner.cancel()
            raise
        except TransientError as error:
            return _notes_of(JobFault(error.problem, is_transient=True, retry_after_s=error.retry_after_s))
        except CountersignError as error:
            return _notes_of(JobFault(error.problem, is_transient=False))
        except TimeoutError:
            problem = Problem(Kind.FAILED, "timed_out", f"{name} of #{job.number} took too long")
            return _notes_of(JobFault(problem, is_transient=False))
        except Exception as error:  # noqa: BLE001 (a worker outlives every job; what broke is told on the task)
            log.exception("step_broke", job=job.id, step=name)
            return _notes_of(JobFault(bug(error), is_transient=False))


def _notes_of(fault: JobFault) -> StepOutput:
    return {"fault": fault.problem.to_json(), "transient": fault.is_transient, "retry_after_s": fault.retry_after_s}
