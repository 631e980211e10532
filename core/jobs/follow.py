"""The follow job: polls a published pull request at its forge, records what changed, and merges it if policy allows.

Others act there too: they push, merge and close, and checks run. A webhook or a timer only causes a poll; the pull
request is always read anew. The job returns to the queue until the pull request ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from core.jobs.job_context import OVER, JobContext, JobOutcome, JobStep, StepOutput, needed
from core.jobs.merge_check import MERGE_DIFFERS, made_merge
from core.model.approval import QuorumStatus
from core.model.decision import ApprovalRequirements, RequiredCheck
from core.model.errors import Kind, Problem
from core.model.job import Job
from core.model.lifecycle import Fact, State
from core.model.staged_diff import short_digest
from core.model.task import PullRequest, Revision, Task
from core.ports.forge import CommitStatus, ForgeCheck, PullRequestSnapshot
from core.rules.current_requirements import requirements_now
from core.rules.quorum import needs_of
from core.settings import Settings
from core.store import jobs, tasks
from core.store.database import from_ms
from core.store.unit_of_work import Tx

SOON_S = 30
"""How soon a pull request is polled again while checks run; a webhook causes a poll at once."""
WORKED_OUT_S = 3
"""How soon GitHub knows whether a pull request can be merged after it was first asked."""
SELDOM_S = 1800
"""The longest wait between two polls of a pull request where nothing happens."""
GREEN = "success"
_HEAD_MOVED = "head_moved"


async def poll(context: JobContext, job: Job, _outputs: StepOutput) -> StepOutput:
    """Read the pull request, set the commit status of its head, and commit what changed."""
    task = await context.database.read(lambda tx: tasks.load(tx, job.number))
    repository = context.repository(needed(task.repo, "repository"))
    forge, opened = context.followed_of(repository), task.pull_request
    if forge is None or opened is None or opened.state != "open":
        await jobs.finish(context.database, job)
        return OVER
    snapshot = await forge.snapshot(repository, opened)
    if snapshot.pull_request.state != "open":
        await _record_end(context, job, task, snapshot)
        return OVER
    settings = context.settings()
    published, needs = await context.database.read(lambda tx: published_approval(tx, settings, task, opened))
    await context.confirm(job)
    await forge.set_commit_status(repository, _commit_status(task, snapshot, published, needs))
    requirements = requirements_now(settings, task, published)[1] if published else None
    if _may_merge(task, snapshot, requirements) and needs is not None and needs.met:
        by = f"rule {requirements.rule if requirements else ''}: on green"
        await context.finish(job, Fact.MERGE_ASKED, JobOutcome(body={"by": by}, seen=task.version))
        return OVER
    await _record_news(context, job, task, snapshot, requirements)
    return OVER


STEPS: tuple[tuple[str, JobStep], ...] = (("look", poll),)
"""The engine remembers finished steps by these names, so that they stay as they are."""


async def _record_end(context: JobContext, job: Job, task: Task, snapshot: PullRequestSnapshot) -> None:
    """End the task as its pull request was ended at the forge; the problem says if other bytes were merged."""
    assert task.pull_request is not None
    theirs, ours = snapshot.pull_request, task.pull_request
    body = {"by": snapshot.ended_by, "at": "the forge", "commit": snapshot.merged_as, "head": theirs.head}
    problem = None
    if theirs.state == "merged" and theirs.head != ours.head:
        problem = _moved(task, theirs, "was merged by hand")
    elif theirs.state == "merged":
        published = await context.database.read(lambda tx: tasks.revision_of(tx, task.number, ours.revision))
        found, problem = await made_merge(context, task, published, snapshot.merged_as)
        body |= found
    outcome = JobOutcome(
        changes={"error": None, "expires_ms": None},
        pull_request=replace(ours, state=theirs.state),
        body=body,
        problem=problem,
        seen=task.version,
    )
    if task.state is State.APPROVED:  # the publish job that is under way finds it ended, and the next poll ends it
        await _poll_again(context, job, SOON_S)
    elif theirs.state == "merged":
        await context.finish(job, Fact.MERGED, outcome)
    else:
        await context.finish(job, Fact.CLOSED, outcome)


async def published_approval(
    tx: Tx, settings: Settings, task: Task, opened: PullRequest
) -> tuple[Revision | None, QuorumStatus | None]:
    """The revision that a pull request contains, and what it still needs under the policy in force."""
    published = await tasks.revision_of(tx, task.number, opened.revision)
    return published, await needs_of(tx, settings, task, published)


def _commit_status(
    task: Task, snapshot: PullRequestSnapshot, published: Revision | None, needs: QuorumStatus | None
) -> CommitStatus:
    """The commit status of the head: green only while its tree is the countersigned one and the approval holds."""
    staged = published.staged if published else None
    if staged is None or snapshot.tree != staged.tree:
        state, words = "failure", f"#{task.number}: these bytes were not countersigned"
    elif needs is None or not needs.met:
        state, words = "failure", f"#{task.number}: the approval no longer holds under the policy in force"
    else:
        revision = task.pull_request.revision if task.pull_request else 1
        approvers = ", ".join(needs.have)
        state = GREEN
        words = f"#{task.number}.{revision} {short_digest(staged.digest)} countersigned by {approvers}"[:140]
    return CommitStatus(snapshot.pull_request.head, state, words)


def _may_merge(task: Task, snapshot: PullRequestSnapshot, requirements: ApprovalRequirements | None) -> bool:
    """Whether the rule lets the pull request be merged automatically now."""
    return (
        requirements is not None
        and requirements.merge.auto
        and task.state is State.PUBLISHED
        and task.pull_request is not None
        and not (task.error is not None and task.error.code == MERGE_DIFFERS)  # it was tried, and needs a person
        and snapshot.pull_request.head == task.pull_request.head
        and snapshot.mergeable is True
        and not snapshot.objections
        and unmet_condition(snapshot.checks, requirements.merge.checks) is None
    )


def unmet_condition(checks: Iterable[ForgeCheck], required: Iterable[RequiredCheck]) -> str | None:
    """Why the checks do not allow a merge, or None if all required ones are green and none is running.

    A check counts only if the named app reported it; one that was skipped, is neutral or was renamed is not green
    (security.md 40). If nothing is required, every check that ran must be green.
    """
    reported, expected = list(checks), list(required)
    running = {check.name for check in reported if check.conclusion is None}
    if running:
        return f"{', '.join(sorted(running))} still runs"
    for requirement in expected:
        matching = [check for check in reported if (check.name, check.app) == (requirement.name, requirement.app)]
        if not matching:
            return f"{requirement.name} has not run"
        if any(check.conclusion != GREEN for check in matching):
            return f"{requirement.name} is {matching[0].conclusion}"
    failed = {check.name for check in reported if check.conclusion not in (GREEN, "skipped", "neutral")}
    if not expected and failed:
        return f"{', '.join(sorted(failed))} is not green"
    return None


async def _record_news(
    context: JobContext,
    job: Job,
    task: Task,
    snapshot: PullRequestSnapshot,
    requirements: ApprovalRequirements | None,
) -> None:
    """Commit what is new about the pull request, and have it polled again."""
    assert task.pull_request is not None
    ours, theirs = task.pull_request, snapshot.pull_request
    checks = summary(snapshot, requirements)
    problem = _moved(task, theirs, "moved") if theirs.head != ours.head else None
    is_move_recorded = task.error is not None and task.error.code == _HEAD_MOVED
    has_news = checks != ours.checks or (problem is not None) != is_move_recorded
    if task.state is State.PUBLISHED and has_news:
        error = problem or (None if is_move_recorded else task.error)
        outcome = JobOutcome(
            changes={"error": error.to_json() if error else None},
            pull_request=replace(ours, checks=checks),
            body={"checks": checks, "head": theirs.head, "countersigned": problem is None},
            again_in_s=SOON_S,
            seen=task.version,
        )
        await context.finish(job, Fact.FOLLOWED, outcome)
        return
    if snapshot.mergeable is None:
        await _poll_again(context, job, WORKED_OUT_S)
        return
    is_running = any(check.conclusion is None for check in snapshot.checks)
    await _poll_again(context, job, SOON_S if is_running else None)


def summary(snapshot: PullRequestSnapshot, requirements: ApprovalRequirements | None) -> str:
    """The state of the checks and reviews in a few words; Countersign's own commit status is not one of them."""
    checks = snapshot.checks
    words = []
    if checks:
        green = sum(check.conclusion == GREEN for check in checks)
        words.append(f"{green} of {len(checks)} checks green")
    if snapshot.objections:
        words.append(f"changes asked for by {', '.join(snapshot.objections)}")
    if requirements is not None and requirements.merge.auto:
        unmet = unmet_condition(checks, requirements.merge.checks)
        words.append(f"merges by itself once green: {unmet}" if unmet else "merges by itself")
    return "; ".join(words)


def _moved(task: Task, theirs: PullRequest, what: str) -> Problem:
    return Problem(
        Kind.CONFLICT,
        _HEAD_MOVED,
        f"{theirs.branch} {what} at {theirs.head[:12]}, which no one countersigned",
        f"Move it back to {task.pull_request.head[:12] if task.pull_request else 'what was approved'}, reply, or undo.",
    )


async def _poll_again(context: JobContext, job: Job, in_s: int | None) -> None:
    """Return the job to the queue for `in_s` seconds; None waits ever longer while nothing happens."""
    await context.database.write(lambda tx: _put_back(tx, job, in_s))


async def _put_back(tx: Tx, job: Job, in_s: int | None) -> None:
    quiet_s = max(SOON_S, min(SELDOM_S, round(_age_s(job, from_ms(tx.now_ms)) / 4)))
    await jobs.put_follow_job_back(tx, job, tx.now_ms + (in_s or quiet_s) * 1000)


def _age_s(job: Job, now: datetime) -> float:
    return (now - job.created_at).total_seconds()
