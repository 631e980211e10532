"""The merge and close jobs: how a published pull request ends."""

from __future__ import annotations

from dataclasses import replace

from core.jobs.follow import published_approval, unmet_condition
from core.jobs.job_context import OVER, JobContext, JobOutcome, JobStep, StepOutput, needed
from core.jobs.merge_check import made_merge, planned_merge
from core.jobs.pull_request_text import inert, task_for_forge
from core.model.decision import ApprovalRequirements
from core.model.errors import ConflictError, Kind, Problem
from core.model.job import Job
from core.model.lifecycle import Fact
from core.model.staged_diff import short_digest, verified_change
from core.model.task import PullRequest, Revision, Task
from core.ports.repository import Repository
from core.rules.current_requirements import refusal_now, requirements_now
from core.rules.quorum import why_void
from core.settings import Settings
from core.store import tasks


async def merge(context: JobContext, job: Job, _outputs: StepOutput) -> StepOutput:
    """Merge the pull request if its head still is what was countersigned."""
    task, repository, pull_request = await _published(context, job)
    forge = context.forge_of(repository)
    current = await forge.poll(repository, pull_request)
    context.milestones.reached("merge.looked", number=job.number)
    if current.head != pull_request.head:
        await context.fail(job, _moved(task, current))
        return OVER
    if current.state == "closed":
        await context.finish(job, Fact.CLOSED, JobOutcome(pull_request=replace(pull_request, state="closed")))
        return OVER
    published = await context.database.read(lambda tx: tasks.revision_of(tx, task.number, pull_request.revision))
    requirements = requirements_now(context.settings(), task, published)[1]
    onto = None
    if current.state != "merged":  # else an earlier attempt merged it, and nothing is left to check (F11)
        problem = await _not_approved(context, task, pull_request)
        problem = problem or await _not_green(context, task, repository, requirements)
        if problem is None:
            planned = await planned_merge(context, task, needed(published, "published revision"), pull_request.head)
            onto, problem = planned.onto, planned.problem
        if problem is not None:
            await context.fail(job, problem)
            return OVER
    message = f"Merge #{task.number}: {inert(task_for_forge(task, context.guard.leaks).title)}\n"
    await context.confirm(job)
    method = requirements.merge.method if requirements else "merge"
    merged = await forge.merge(repository, pull_request, message, method, onto)
    context.milestones.reached("merge.forge_merged", number=job.number)
    return {"merged": merged}


async def record_merge(context: JobContext, job: Job, outputs: StepOutput) -> StepOutput:
    """Commit that the task is merged, with the problem if the forge merged something else than was compared."""
    task = await context.task_for(job)
    pull_request = needed(task.pull_request, "pull request")
    published = await context.database.read(lambda tx: tasks.revision_of(tx, task.number, pull_request.revision))
    found, problem = await made_merge(context, task, published, outputs["merged"])
    outcome = JobOutcome(
        changes={"error": None},
        pull_request=replace(pull_request, state="merged"),
        body={"commit": outputs["merged"], **found},
        problem=problem,
    )
    await context.finish(job, Fact.MERGED, outcome)
    return OVER


async def close(context: JobContext, job: Job, _outputs: StepOutput) -> StepOutput:
    """Close the pull request without merging it."""
    _, repository, pull_request = await _published(context, job)
    context.milestones.reached("close.loaded", number=job.number)
    await context.confirm(job)
    await context.forge_of(repository).close(repository, pull_request)
    context.milestones.reached("close.forge_closed", number=job.number)
    closed = replace(pull_request, state="closed")
    await context.finish(job, Fact.CLOSED, JobOutcome(changes={"error": None}, pull_request=closed))
    return OVER


MERGE_STEPS: tuple[tuple[str, JobStep], ...] = (("merge", merge), ("record_merge", record_merge))
CLOSE_STEPS: tuple[tuple[str, JobStep], ...] = (("close", close),)


async def _published(context: JobContext, job: Job) -> tuple[Task, Repository, PullRequest]:
    task = await context.task_for(job)
    if task.pull_request is None:
        raise ConflictError("not_published", f"#{task.number} has no pull request")
    return task, context.repository(needed(task.repo, "repository")), task.pull_request


async def _not_approved(context: JobContext, task: Task, pull_request: PullRequest) -> Problem | None:
    """Why the approval of the published revision does not hold under the policy in force, or None."""
    settings = context.settings()

    published, needs = await context.database.read(lambda tx: published_approval(tx, settings, task, pull_request))
    refusal = await _refusal(context, settings, task, published, pull_request)
    if needs is not None and needs.met and refusal is None:
        return None
    return Problem(
        Kind.REFUSED,
        "approval_void",
        f"#{task.number} may not be merged: {why_void(needs, refusal)}",
        "Reply to it, so that its next revision is approved under the current policy.",
    )


async def _refusal(
    context: JobContext, settings: Settings, task: Task, published: Revision | None, pull_request: PullRequest
) -> str | None:
    """Why policy does not allow the published tree now, or None; policy is asked about the tree that git has."""
    if published is None or published.staged is None:
        return "nothing of it was staged"
    staged, repository = published.staged, context.repository(needed(task.repo, "repository"))
    await context.bring_objects(repository, task.number, published.n, staged.base, staged.tree)
    change = await verified_change(repository, staged)
    if staged.digest != pull_request.digest:
        return f"its pull request has {short_digest(pull_request.digest)}, not {short_digest(staged.digest)}"
    return refusal_now(settings, task, published, change.files)


async def _not_green(
    context: JobContext, task: Task, repository: Repository, requirements: ApprovalRequirements | None
) -> Problem | None:
    """Why the checks that the rule requires do not allow the merge, or None; they are always read again."""
    forge = context.followed_of(repository)
    if forge is None or requirements is None or task.pull_request is None:
        return None
    if not (requirements.merge.checks or requirements.merge.auto):
        return None
    snapshot = await forge.snapshot(repository, task.pull_request)
    unmet = unmet_condition(snapshot.checks, requirements.merge.checks)
    if unmet is None:
        return None
    return Problem(Kind.CONFLICT, "not_green", f"#{task.number} may not be merged yet: {unmet}", "Wait for its checks.")


def _moved(task: Task, current: PullRequest) -> Problem:
    return Problem(
        Kind.CONFLICT,
        "head_moved",
        f"the head of {current.branch} moved to {current.head[:12]}, which no one countersigned",
        f"Move it back to {task.pull_request.head[:12] if task.pull_request else 'the approved commit'}, or undo.",
    )
