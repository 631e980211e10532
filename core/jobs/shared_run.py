"""Identical requests that wait or run at the same time share one run of the executor (decision 0050).

Each remains its own task: the guard judges the shared tree for each, and each has its own digest and approvals.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from hashlib import sha256
from typing import Final

from core.jobs.job_context import JobContext
from core.model.change_result import ChangeResult
from core.model.job import Job
from core.model.lifecycle import Fact
from core.model.task import Task
from core.ports.executor import Executor, WorkOrder, reads_in
from core.store import jobs, shared_runs, tasks
from core.store.transition import take_step
from core.store.unit_of_work import Tx

_DOMAIN: Final = "countersign-shared-run-v1"


class SharesRun(Exception):  # noqa: N818 - no error: the job waits for the run of another
    """The job waits for a run that it shares."""


async def shares_run(context: JobContext, job: Job, task: Task, order: WorkOrder, executor: Executor) -> bool:
    """Whether another task's run made the result already, which the job has then.

    Raises `SharesRun` after it put the job to wait for such a run. Only the first revision of a task shares: a reply
    has words of its own, and a retry wants another result.
    """
    if task.revision != 1 or order.intent.needs_git_alone:
        return False
    key = _key(task, order, executor)
    leader, has_result = await context.database.write(lambda tx: _join(tx, job, key))
    if leader is None:
        return False
    if has_result:
        return True
    raise SharesRun


async def _join(tx: Tx, job: Job, key: str) -> tuple[int | None, bool]:
    task = await tasks.load(tx, job.number, lock=True)
    leader, has_result = await shared_runs.join(tx, job, key)
    if leader is not None and not has_result:
        await shared_runs.wait_for_run(tx, job)
        await take_step(tx, task, Fact.RESCHEDULED, body={"run_of": leader})
    return leader, has_result


async def keep_result(context: JobContext, job: Job, result: ChangeResult) -> None:
    """Keep what the executor of a claimed job made, and give it to the jobs that share the run, in one transaction.

    The words of all who share it are the same, so each of them is an author of every task's change.
    """
    await context.database.write(lambda tx: _keep(tx, job, result))


async def _keep(tx: Tx, job: Job, result: ChangeResult) -> None:
    followers = await shared_runs.sharers(tx, job)
    people = {person for each in followers for person in (await tasks.load(tx, each.number)).authors}
    shared = replace(result, authors=tuple(sorted({*(result.authors or ()), *people})))
    await jobs.keep_result(tx, job, shared)
    await shared_runs.give(tx, job, followers, shared)


def _key(task: Task, order: WorkOrder, executor: Executor) -> str:
    """The hash of all that tasks must have in common to share a run."""
    lane = {key: value for key, value in asdict(order.lane).items() if key != "budget"}
    inputs = {
        "domain": _DOMAIN,
        "repository": task.repo,
        "base": order.base,
        "start": order.start,
        "lane": lane,
        "edits": order.intent.to_json()["edits"],
        "said": [order.intent.text, *(turn.text for turn in order.turns)] if reads_in(executor, order.lane) else [],
        "parameters": dict(order.parameters),
        "requirements": task.current.requirements_sha256,
    }
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"), default=str)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
