"""Merge and close: what happens to a published pull request in the end."""

from __future__ import annotations

from dataclasses import replace

from core.jobs.follow import hindrance
from core.jobs.job_context import OVER, JobContext, JobOutcome, JobStep, StepOutput, needed
from core.jobs.objects import have_objects
from core.jobs.pull_request_text import inert, shown_outside
from core.model.approval import QuorumStatus
from core.model.decision import ApprovalRequirements
from core.model.errors import ConflictError, Kind, Problem
from core.model.job import Job
from core.model.lifecycle import Fact
from core.model.staged_diff import confirmed, short_digest
from core.model.task import PullRequest, Revision, Task
from core.ports import Repository
from core.rules.quorum import needs_of, uncounted
from core.rules.standing_terms import refusal_now, terms_now
from core.settings import Settings
from core.store import tasks
from core.store.unit_of_work import Tx


async def merge(shop: JobContext, job: Job, _notes: StepOutput) -> StepOutput:
    """Merge the pull request if its head still is what was countersigned."""
    task, repository, pull_request = await _published(shop, job)
    forge = shop.forge_of(repository)
    now = await forge.look(repository, pull_request)
    shop.milestones.reached("merge.looked", number=job.number)
    if now.head != pull_request.head:
        await shop.fail(job, _moved(task, now))
        return OVER
    if now.state == "closed":
        await shop.finish(job, Fact.CLOSED, JobOutcome(pull_request=replace(pull_request, state="closed")))
        return OVER
    ours_already = now.state == "merged"  # a try that died before it could say so: nothing is left to allow (F11)
    if not ours_already and (problem := await _not_approved(shop, task, pull_request)) is not None:
        await shop.fail(job, problem)
        return OVER
    terms = await _live_terms(shop, task, pull_request)
    if not ours_already and (problem := await _not_green(shop, task, repository, terms)) is not None:
        await shop.fail(job, problem)
        return OVER
    message = f"Merge #{task.number}: {inert(shown_outside(task, shop.guard.leaks).title)}\n"
    await shop.confirm(job)
    merged = await forge.merge(repository, pull_request, message, terms.merge.method if terms else "merge")
    shop.milestones.reached("merge.forge_merged", number=job.number)
    return {"merged": merged}


async def record_merge(shop: JobContext, job: Job, notes: StepOutput) -> StepOutput:
    """Commit that the task is merged."""
    task = await shop.task_for(job)
    assert task.pull_request is not None
    merged = replace(task.pull_request, state="merged")
    outcome = JobOutcome(changes={"error": None}, pull_request=merged, body={"commit": notes["merged"]})
    await shop.finish(job, Fact.MERGED, outcome)
    return OVER


async def close(shop: JobContext, job: Job, _notes: StepOutput) -> StepOutput:
    """Close the pull request without merging it."""
    _, repository, pull_request = await _published(shop, job)
    shop.milestones.reached("close.loaded", number=job.number)
    await shop.confirm(job)
    await shop.forge_of(repository).close(repository, pull_request)
    shop.milestones.reached("close.forge_closed", number=job.number)
    closed = replace(pull_request, state="closed")
    await shop.finish(job, Fact.CLOSED, JobOutcome(changes={"error": None}, pull_request=closed))
    return OVER


MERGE_STEPS: tuple[tuple[str, JobStep], ...] = (("merge", merge), ("record_merge", record_merge))
CLOSE_STEPS: tuple[tuple[str, JobStep], ...] = (("close", close),)


async def _published(shop: JobContext, job: Job) -> tuple[Task, Repository, PullRequest]:
    task = await shop.task_for(job)
    if task.pull_request is None:
        raise ConflictError("not_published", f"#{task.number} has no pull request")
    return task, shop.repository(needed(task.repo, "repository")), task.pull_request


async def _not_approved(shop: JobContext, task: Task, pull_request: PullRequest) -> Problem | None:
    """Why the approval of what is published does not hold under the policy in force now, if it does not."""
    settings = shop.settings()

    async def count(tx: Tx) -> tuple[Revision | None, QuorumStatus | None]:
        published = await tasks.revision_of(tx, task.number, pull_request.revision)
        return published, await needs_of(tx, settings, task, published)

    published, needs = await shop.database.read(count)
    refusal = await _refusal(shop, settings, task, published, pull_request)
    if needs is not None and needs.met and refusal is None:
        return None
    why = uncounted(needs, refusal)
    return Problem(
        Kind.REFUSED,
        "approval_void",
        f"#{task.number} may not be merged: {why}",
        "Reply to it, so that its next revision is approved under the policy as it is.",
    )


async def _refusal(
    shop: JobContext, settings: Settings, task: Task, published: Revision | None, pull_request: PullRequest
) -> str | None:
    """Why policy does not allow the published tree now: asked about what git has under the head that is merged."""
    if published is None or published.staged is None:
        return "nothing of it was staged"
    staged, repository = published.staged, shop.repository(needed(task.repo, "repository"))
    await have_objects(shop, repository, task.number, published.n, staged.base, staged.tree)
    change = await confirmed(repository, staged)
    if staged.digest != pull_request.digest:
        return f"its pull request carries {short_digest(pull_request.digest)}, not {short_digest(staged.digest)}"
    return refusal_now(settings, task, published, change.files)


async def _live_terms(shop: JobContext, task: Task, pull_request: PullRequest) -> ApprovalRequirements | None:
    """The terms that policy gives now to the revision that is published."""
    published = await shop.database.read(lambda tx: tasks.revision_of(tx, task.number, pull_request.revision))
    return terms_now(shop.settings(), task, published)[1]


async def _not_green(
    shop: JobContext, task: Task, repository: Repository, terms: ApprovalRequirements | None
) -> Problem | None:
    """Why the checks that the rule requires do not allow the merge now, if they do not; always read again."""
    forge = shop.followed_of(repository)
    if forge is None or terms is None or task.pull_request is None or not (terms.merge.checks or terms.merge.auto):
        return None
    standing = await forge.stand(repository, task.pull_request)
    why = hindrance(standing.checks, terms.merge.checks)
    if why is None:
        return None
    return Problem(Kind.CONFLICT, "not_green", f"#{task.number} may not be merged yet: {why}", "Wait for its checks.")


def _moved(task: Task, now: PullRequest) -> Problem:
    return Problem(
        Kind.CONFLICT,
        "head_moved",
        f"the head of {now.branch} moved to {now.head[:12]}, which nobody countersigned",
        f"Move it back to {task.pull_request.head[:12] if task.pull_request else 'the approved commit'}, or undo.",
    )
