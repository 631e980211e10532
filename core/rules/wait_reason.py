"""Why a job waits: for another task, for the queue, for jobs before it, or for a model."""

from __future__ import annotations

from core.model.job import JobState, QueuedJob
from core.model.model_lease import LeaseState
from core.model.task import FailureRule
from core.store import queue_queries, shared_runs, switches, tasks
from core.store.database import to_ms
from core.store.unit_of_work import Tx


async def wait_reason(tx: Tx, queued: QueuedJob) -> str:
    """What a job that is not finished waits for, in one sentence; empty when it waits for nothing."""
    job = queued.job
    if job.state is JobState.RUNNING:
        return await _model_reason(tx, job.id)
    if job.state is JobState.WAITING:
        if queued.after is None:
            shared = await shared_runs.run_of(tx, job.id)
            return f"It shares the run of #{shared}, which has the same inputs." if shared is not None else ""
        return f"It waits until #{queued.after} is published. {await _failure_rule(tx, job.number)}"
    if (pause := await switches.paused(tx)) is not None:
        reason = str(pause.get("reason") or "")
        return f"The queue is paused: {reason}" if reason else "The queue is paused."
    if queued.problem is not None and to_ms(job.ready_at) > tx.now_ms:
        return f"Its last attempt failed, and the next one begins at {job.ready_at:%H:%M:%S} UTC: {queued.problem}"
    before = await queue_queries.position_of(tx, job) - 1
    if before:
        return f"{before} {'job goes' if before == 1 else 'jobs go'} before it."
    return "It is next, and waits for a worker that can run it."


async def _failure_rule(tx: Tx, number: int) -> str:
    """What happens if the task that `number` waits for fails."""
    rule = (await tasks.load(tx, number)).if_failed
    what = {
        None: "it fails too",
        FailureRule.CANCEL: "it is cancelled",
        FailureRule.RUN: "it runs anyway",
        FailureRule.ASK: "it asks whether to run",
    }[rule]
    return f"If that fails, {what}."


async def _model_reason(tx: Tx, job_id: str) -> str:
    from core.store import model_leases  # noqa: PLC0415 - its table is slow to build, and few tasks run when looked at

    waiting = [each for each in await model_leases.of_jobs(tx, [job_id]) if each.state is LeaseState.WAITING]
    if not waiting:
        return ""
    return waiting[0].reason or f"It waits for {waiting[0].model}."
