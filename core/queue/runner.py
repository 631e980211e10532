"""The runner: runs claimed jobs on the engine, and records an outcome for each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from core.jobs.job_context import JobContext, StepOutput
from core.log import log
from core.model.errors import CountersignError, Kind, LostClaimError, Problem, TransientError, unreadable_value
from core.model.job import Job, JobKind
from core.model.model_lease import ModelWork, is_chat_work, working_for
from core.model.stored import StoredValueError
from core.queue.settlement import JobFault, bug, settle
from core.queue.steps import STEPS
from core.store import jobs

if TYPE_CHECKING:
    from core.queue.engine import Engine

LEAVE_WITHIN_S: Final = 5.0
"""How long to wait for cancelled steps to end."""

_LOST: Final[StepOutput] = {"lost": True, "over": True}
"""The output of a step whose job this worker no longer holds."""


@dataclass(slots=True)
class _Run:
    job: Job
    whole: asyncio.Task[None]
    step: asyncio.Task[StepOutput] | None = None


@dataclass(slots=True)
class Runner:
    """The jobs that one worker runs at the moment. `wake` is set when one of them ends."""

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
        """Start a claimed job beside the others."""
        run = _Run(job, asyncio.create_task(self._run(job), name=job.id))
        self._runs[job.id] = run
        run.whole.add_done_callback(lambda _: self._ended(run))

    def stop(self, job_ids: set[str]) -> None:
        """Stop the steps of these jobs, which are no longer held: they were cancelled or taken over."""
        for run in list(self._runs.values()):
            if run.job.id in job_ids and run.step is not None:
                run.step.cancel()

    async def finish(self) -> None:
        """Wait until every running job has its outcome."""
        while self._runs:
            await asyncio.wait([run.whole for run in self._runs.values()])

    async def cancel(self) -> None:
        """Stop every running job, without an outcome."""
        ending: list[asyncio.Task[Any]] = []
        for run in list(self._runs.values()):
            ending += [task for task in (run.whole, run.step) if task is not None]
        for task in ending:
            task.cancel()
        if ending:  # a step that continued would fail for want of its engine
            await asyncio.wait(ending, timeout=LEAVE_WITHIN_S)

    def _ended(self, run: _Run) -> None:
        if self._runs.get(run.job.id) is run:  # not a later claim of the same job
            del self._runs[run.job.id]
        self.wake.set()

    async def _run(self, job: Job) -> None:
        """Run one claimed job to its outcome, and record a fault if there is one."""
        log.info("job_claimed", job=job.id, task=job.number, kind=job.kind.value, fence=job.fence)
        self.context.milestones.reached(f"{job.kind.value}.claimed", number=job.number)
        try:
            outputs = await self.engine.run(job, tuple(name for name, _ in STEPS[job.kind]), self._step)
            fault = await self._fault_in(job, outputs)
        except LostClaimError as error:
            log.info("claim_lost", job=job.id, why=str(error))
            return
        except CountersignError as error:
            fault = JobFault(error.problem, is_transient=True)
        except Exception as error:  # noqa: BLE001 (a worker survives every job; the task says what broke)
            log.exception("run_broke", job=job.id)
            fault = JobFault(bug(error), is_transient=True)
        if fault is not None:
            self.unwritten = await settle(self.context, job, fault) or self.unwritten

    async def _fault_in(self, job: Job, outputs: StepOutput) -> JobFault | None:
        """The fault in the outputs of a run, or None."""
        if (problem := outputs.get("fault")) is not None:
            is_transient, retry_after_s = bool(outputs.get("transient")), outputs.get("retry_after_s")
            return JobFault(Problem.from_json(problem), is_transient, retry_after_s)
        # a finished run has ended its job; one that ended otherwise, because the engine lost it, is run again
        if job.id in await self.context.database.read(lambda tx: jobs.held_by(tx, self.worker)):
            return JobFault(bug(RuntimeError("the run ended early")), is_transient=True)
        return None

    async def _model_work(self, job: Job) -> ModelWork:
        """The work that the models of a job are leased for."""
        settings = self.context.settings()
        lane, surface = "", ""
        if settings.surface_classes or any(each.work_class for each in settings.lanes.values()):
            lane, surface = await self.context.database.read(lambda tx: jobs.origin_of(tx, job.id))
        lane_class = settings.lanes[lane].work_class if lane in settings.lanes else ""
        return ModelWork(
            job.id,
            is_chat=is_chat_work(job.kind, lane_class, settings.surface_classes.get(surface, "")),
            is_agent=job.kind is JobKind.CHANGE,
            priority=job.priority,
            deadline_at=job.deadline_at,
        )

    async def _step(self, job: Job, name: str, outputs: StepOutput) -> StepOutput:
        """Run one step; its faults become outputs, so that the engine stores them as plain values."""
        body = dict(STEPS[job.kind])[name]
        run = self._runs.get(job.id)
        with working_for(await self._model_work(job)):
            inner = asyncio.ensure_future(body(self.context, job, outputs))
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
            return _fault_output(JobFault(error.problem, is_transient=True, retry_after_s=error.retry_after_s))
        except CountersignError as error:
            return _fault_output(JobFault(error.problem, is_transient=False))
        except StoredValueError as error:
            return _fault_output(JobFault(unreadable_value(error).problem, is_transient=False))
        except TimeoutError:
            problem = Problem(Kind.FAILED, "timed_out", f"{name} of #{job.number} took too long")
            return _fault_output(JobFault(problem, is_transient=False))
        except Exception as error:  # noqa: BLE001 (a worker survives every job; the task says what broke)
            log.exception("step_broke", job=job.id, step=name)
            return _fault_output(JobFault(bug(error), is_transient=False))


def _fault_output(fault: JobFault) -> StepOutput:
    return {"fault": fault.problem.to_json(), "transient": fault.is_transient, "retry_after_s": fault.retry_after_s}
