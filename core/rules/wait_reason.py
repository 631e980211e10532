"""Why a job waits: for another task, for the queue, for a limit, for jobs before it, or for a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.model.job import JobState, QueuedJob
from core.model.limits import Limit
from core.model.model_lease import LeaseState, ModelLease
from core.model.parking import Gate, GateKind
from core.model.task import FailureRule
from core.settings import Settings
from core.store import queue_queries, shared_runs, switches, tasks
from core.store.unit_of_work import Tx, from_ms, to_ms


async def wait_reason(tx: Tx, settings: Settings, queued: QueuedJob) -> str:
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
        return pause_reason(pause)
    if (gate := Gate.parse(job.parked or "")) is not None:
        return await gate_reason(tx, settings, gate)
    if queued.problem is not None and to_ms(job.ready_at) > tx.now_ms:
        return retry_reason(queued)
    return order_reason(await queue_queries.position_of(tx, job) - 1)


def pause_reason(pause: Mapping[str, Any]) -> str:
    """That the queue is paused, and why."""
    reason = str(pause.get("reason") or "")
    return f"The queue is paused: {reason}" if reason else "The queue is paused."


def retry_reason(queued: QueuedJob) -> str:
    """When a job whose last attempt failed is tried again."""
    return f"Its last attempt failed, and the next one begins at {queued.job.ready_at:%H:%M:%S} UTC: {queued.problem}"


def order_reason(before: int) -> str:
    """How many jobs go before a ready one."""
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


async def gate_reason(tx: Tx, settings: Settings, gate: Gate) -> str:
    """Why jobs are parked for `gate`, and until when if that is known."""
    if gate.kind is GateKind.PAUSE:
        pause = (await switches.paused_scopes(tx)).get((gate.limit, gate.key), {})
        by = f" by {pause['by']}" if pause.get("by") else ""
        what = f"The {gate.limit} {gate.key} is paused{by}"
        return f"{what}: {pause['reason']}" if pause.get("reason") else f"{what}."
    limit = next((each for each in settings.limits if each.name == gate.limit), None)
    if limit is None:
        return "It goes on in a moment."
    if gate.kind is GateKind.RUNNING:
        jobs = "change" if limit.running == 1 else "changes"
        return f"The limit {limit.name} lets {gate.key} run {limit.running} {jobs} at once, and as many run."
    return await _day_reason(tx, settings, limit, gate.key)


async def _day_reason(tx: Tx, settings: Settings, limit: Limit, key: str) -> str:
    from core.store import day_use  # noqa: PLC0415 - few jobs wait for it

    reasons = []
    for use, most in limit.per_day:
        free_ms = await day_use.free_at_ms(tx, limit, use, most, key, settings.people)
        if free_ms is not None:
            reasons.append((free_ms, f"{use.amount(most)} a day, which are used up until"))
    if not reasons:
        return "It goes on in a moment."
    free_ms, words = max(reasons)
    at = from_ms(free_ms)
    day = "" if at.date() == tx.now.date() else f" on {at:%d %B}"
    return f"The limit {limit.name} allows {key} {words} {at:%H:%M} UTC{day}."


async def _model_reason(tx: Tx, job_id: str) -> str:
    from core.store import model_leases  # noqa: PLC0415 - its table is slow to build, and few tasks run when looked at

    waiting = [each for each in await model_leases.of_jobs(tx, [job_id]) if each.state is LeaseState.WAITING]
    return model_reason(waiting[0]) if waiting else ""


def model_reason(lease: ModelLease) -> str:
    """Why a job waits for the model that it asked for."""
    return lease.reason or f"It waits for {lease.model}."
