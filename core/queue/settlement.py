"""Settles a job that had a fault: another attempt after a wait, or the failure of its task."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from core.jobs.job_context import JobContext
from core.log import log
from core.model.advice import CommandName, Suggestion, advise
from core.model.errors import CountersignError, Kind, LostClaimError, Problem
from core.model.job import MAX_ATTEMPTS, Job, backoff_s
from core.model.lifecycle import Fact, State
from core.store import jobs, tasks
from core.store.transition import take_step
from core.store.unit_of_work import Tx

MOST_JITTER_S: Final = 30.0
"""The most that is added to a wait that the outside asked for."""


@dataclass(frozen=True, slots=True)
class JobFault:
    """What went wrong with a job; an `is_transient` fault may pass, at the earliest after `retry_after_s`."""

    problem: Problem
    is_transient: bool
    retry_after_s: float | None = None


async def settle(context: JobContext, job: Job, fault: JobFault) -> CountersignError | None:
    """Return the job to the queue for another attempt, or fail its task.

    Returns the error if nothing could be written: then the job is rescued later, and settled by its next claimant.
    """
    problem = context.masked(fault.problem)
    try:
        # what is unavailable comes back one day (F16), so only other faults have a limit of attempts
        if fault.is_transient and (problem.kind is Kind.UNAVAILABLE or job.attempt < MAX_ATTEMPTS):
            wait_s = _wait_s(job, fault, random.random())  # noqa: S311 (jitter)
            await _retry_later(context, job, problem, wait_s)
        else:
            await context.fail(job, problem)
    except LostClaimError as error:
        log.info("claim_lost", job=job.id, why=str(error))
    except CountersignError as error:
        log.warning("outcome_not_written", job=job.id, problem=error.problem.message)
        if error.problem.kind is not Kind.FAILED:
            return error
        await _end(context, job, error)  # the database can be written, but not with this outcome
    except Exception as error:  # noqa: BLE001 (a job whose outcome cannot be written must not run again and again)
        log.exception("outcome_broke", job=job.id)
        await _end(context, job, error)
    return None


def _wait_s(job: Job, fault: JobFault, jitter: float) -> float:
    """Seconds until the next attempt: never before `retry_after_s`, spread so that not all jobs return at once."""
    if not fault.retry_after_s:
        return backoff_s(job.attempt, jitter)
    return fault.retry_after_s + jitter * min(MOST_JITTER_S, fault.retry_after_s / 10)


def bug(error: BaseException) -> Problem:
    """The problem that people see if Countersign itself has a fault."""
    return Problem(
        Kind.FAILED,
        "bug",
        f"Countersign has a fault: {type(error).__name__}: {error}"[:500],
        advise(
            "Nothing was published. Please report it with ",
            Suggestion(CommandName.EVENTS),
            ".",
            otherwise="Nothing was published. Please tell the operator of Countersign.",
        ),
    )


async def _end(context: JobContext, job: Job, error: Exception) -> None:
    """Fail a job whose outcome could not be written, with a problem that can be written."""
    mend = advise("Nothing was published. Please report it with ", Suggestion(CommandName.EVENTS), ".")
    message = f"Countersign could not record the outcome: {type(error).__name__}"
    try:
        await context.fail(job, Problem(Kind.FAILED, "bug", message, mend))
    except Exception:  # noqa: BLE001 (the job is rescued, and MAX_RESCUES ends it)
        log.exception("outcome_not_written", job=job.id)


async def _retry_later(context: JobContext, job: Job, problem: Problem, wait_s: float) -> None:
    log.warning("job_retried", job=job.id, attempt=job.attempt, wait_s=wait_s, problem=problem.message)

    await context.database.write(lambda tx: _reschedule(tx, job, problem, wait_s))


async def _reschedule(tx: Tx, job: Job, problem: Problem, wait_s: float) -> None:
    ready_ms = tx.now_ms + round(wait_s * 1000)
    await jobs.put_back(tx, job, ready_ms, attempt=job.attempt + 1, problem=problem)
    task = await tasks.load(tx, job.number, lock=True)
    if task.state is State.RUNNING and task.revision == job.revision:
        body = {"error": problem.to_json(), "wait_s": round(wait_s, 1)}
        await take_step(tx, task, Fact.RESCHEDULED, body=body)
