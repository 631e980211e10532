"""Follow: look at a published pull request as its forge has it now, say so, and merge it where policy lets that happen.

Others act there too: they push, merge, close, and checks run. Whatever told us to look (a webhook, a timer) is not
believed; the pull request is read anew. The look is one job that goes back into the queue until the pull request ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from core.jobs.job_context import OVER, JobContext, JobOutcome, JobStep, StepOutput, needed
from core.model.approval import QuorumStatus
from core.model.decision import ApprovalRequirements, RequiredCheck
from core.model.errors import Kind, Problem
from core.model.job import Job, JobState
from core.model.lifecycle import Fact, State
from core.model.staged_diff import short_digest
from core.model.task import PullRequest, Revision, Task
from core.ports import CommitStatus, Followed, ForgeCheck, PullRequestSnapshot, Repository
from core.rules.quorum import needs_of
from core.rules.standing_terms import terms_now
from core.store import jobs, tasks
from core.store.database import from_ms
from core.store.unit_of_work import Tx

SOON_S = 30
"""How soon to look again while checks run; a webhook makes it at once."""
WORKED_OUT_S = 3
"""How soon GitHub has worked out whether a pull request can be merged, after the first time it is asked."""
SELDOM_S = 1800
"""The longest wait between two looks at a pull request where nothing happens."""
GREEN = "success"


async def look(shop: JobContext, job: Job, _notes: StepOutput) -> StepOutput:
    """Read the pull request, mark its head, and commit what changed."""
    task = await shop.database.read(lambda tx: tasks.load(tx, job.number))
    repository = shop.repository(needed(task.repo, "repository"))
    forge, opened = shop.followed_of(repository), task.pull_request
    if forge is None or opened is None or opened.state != "open":
        await _end(shop, job)
        return OVER
    standing = await forge.stand(repository, opened)
    if standing.pull_request.state != "open":
        await _ended(shop, job, task, standing)
        return OVER
    published, needs = await _approval_of(shop, task, opened)
    await shop.confirm(job)
    await _mark(forge, repository, task, standing, published, needs)
    terms = terms_now(shop.settings(), task, published)[1] if published else None
    if _may_merge(task, standing, terms) and needs is not None and needs.met:
        await shop.finish(
            job,
            Fact.MERGE_ASKED,
            JobOutcome(body={"by": f"rule {terms.rule if terms else ''}: on green"}, seen=task.version),
        )
        return OVER
    await _tell(shop, job, task, standing, terms)
    return OVER


STEPS: tuple[tuple[str, JobStep], ...] = (("look", look),)


async def _ended(shop: JobContext, job: Job, task: Task, standing: PullRequestSnapshot) -> None:
    """It was merged or closed there: the task ends the same way, and says if others' bytes went in."""
    assert task.pull_request is not None
    now, ours = standing.pull_request, task.pull_request
    body = {"by": standing.ended_by, "at": "the forge", "commit": standing.merged_as, "head": now.head}
    problem = None
    if now.state == "merged" and now.head != ours.head:
        problem = _moved(task, now, "was merged by hand")
    outcome = JobOutcome(
        changes={"error": None, "expires_ms": None},
        pull_request=replace(ours, state=now.state),
        body=body,
        problem=problem,
        seen=task.version,
    )
    if task.state is State.APPROVED:  # the publishing that is on its way meets it, and the next look ends it
        await _again(shop, job, SOON_S)
    elif now.state == "merged":
        await shop.finish(job, Fact.MERGED, outcome)
    else:
        await shop.finish(job, Fact.CLOSED, outcome)


async def _approval_of(
    shop: JobContext, task: Task, opened: PullRequest
) -> tuple[Revision | None, QuorumStatus | None]:
    """The revision that the pull request carries, and what it still needs under the policy in force."""
    settings = shop.settings()

    async def read(tx: Tx) -> tuple[Revision | None, QuorumStatus | None]:
        published = await tasks.revision_of(tx, task.number, opened.revision)
        return published, await needs_of(tx, settings, task, published)

    return await shop.database.read(read)


async def _mark(
    forge: Followed,
    repository: Repository,
    task: Task,
    standing: PullRequestSnapshot,
    published: Revision | None,
    needs: QuorumStatus | None,
) -> None:
    """The commit status on the head: green only while its tree is the countersigned one, and the approval holds."""
    staged = published.staged if published else None
    if staged is None or standing.tree != staged.tree:
        words = f"#{task.number}: these bytes were not countersigned"
        await forge.mark(repository, CommitStatus(standing.pull_request.head, "failure", words))
    elif needs is None or not needs.met:
        words = f"#{task.number}: the approval no longer holds under the policy in force"
        await forge.mark(repository, CommitStatus(standing.pull_request.head, "failure", words))
    else:
        words = f"#{task.number}.{task.pull_request.revision if task.pull_request else 1} {short_digest(staged.digest)}"
        words += f" countersigned by {', '.join(needs.have)}"
        await forge.mark(repository, CommitStatus(standing.pull_request.head, GREEN, words[:140]))


def _may_merge(task: Task, standing: PullRequestSnapshot, terms: ApprovalRequirements | None) -> bool:
    """Whether the rule lets this merge happen by itself now."""
    return (
        terms is not None
        and terms.merge.auto
        and task.state is State.PUBLISHED
        and task.pull_request is not None
        and standing.pull_request.head == task.pull_request.head
        and standing.mergeable is True
        and not standing.objections
        and hindrance(standing.checks, terms.merge.checks) is None
    )


def hindrance(checks: Iterable[ForgeCheck], required: Iterable[RequiredCheck]) -> str | None:
    """Why the checks do not allow a merge, or None when all that are required are green and none is under way.

    A check counts only if the named app reported it; one that was skipped, is neutral or was renamed is not green
    (security.md 40). With nothing required, whatever did run must be green.
    """
    found = list(checks)
    running = [check.name for check in found if check.conclusion is None]
    if running:
        return f"{', '.join(sorted(set(running)))} still runs"
    wanted = list(required)
    for need in wanted:
        mine = [check for check in found if check.name == need.name and check.app == need.app]
        if not mine:
            return f"{need.name} has not run"
        if any(check.conclusion != GREEN for check in mine):
            return f"{need.name} is {mine[0].conclusion}"
    bad = [check.name for check in found if check.conclusion not in (GREEN, "skipped", "neutral")]
    if not wanted and bad:
        return f"{', '.join(sorted(set(bad)))} is not green"
    return None


async def _tell(
    shop: JobContext, job: Job, task: Task, standing: PullRequestSnapshot, terms: ApprovalRequirements | None
) -> None:
    """Commit what is new about the pull request, and look again later."""
    assert task.pull_request is not None
    ours, now = task.pull_request, standing.pull_request
    said = summary(standing, terms)
    problem = _moved(task, now, "moved") if now.head != ours.head else None
    told = task.error.code if task.error else None
    news = said != ours.checks or (problem is not None) != (told == "head_moved")
    if task.state is State.PUBLISHED and news:
        error = problem.to_json() if problem else None if told == "head_moved" else _kept(task)
        body = {"checks": said, "head": now.head, "countersigned": problem is None}
        outcome = JobOutcome(
            changes={"error": error},
            pull_request=replace(ours, checks=said),
            body=body,
            again_in_s=SOON_S,
            seen=task.version,
        )
        await shop.finish(job, Fact.FOLLOWED, outcome)
        return
    if standing.mergeable is None:
        await _again(shop, job, WORKED_OUT_S)
        return
    await _again(shop, job, SOON_S if any(check.conclusion is None for check in standing.checks) else None)


def _kept(task: Task) -> dict[str, Any] | None:
    return task.error.to_json() if task.error else None


def summary(standing: PullRequestSnapshot, terms: ApprovalRequirements | None) -> str:
    """How the checks and reviews stand, in a few words; our own status is not among them."""
    checks = standing.checks
    words = []
    if checks:
        green = sum(check.conclusion == GREEN for check in checks)
        words.append(f"{green} of {len(checks)} checks green")
    if standing.objections:
        words.append(f"changes asked for by {', '.join(standing.objections)}")
    if terms is not None and terms.merge.auto:
        why = hindrance(checks, terms.merge.checks)
        words.append(f"merges by itself once green: {why}" if why else "merges by itself")
    return "; ".join(words)


def _moved(task: Task, now: PullRequest, what: str) -> Problem:
    return Problem(
        Kind.CONFLICT,
        "head_moved",
        f"{now.branch} {what} at {now.head[:12]}, which nobody countersigned",
        f"Move it back to {task.pull_request.head[:12] if task.pull_request else 'what was approved'}, reply, or undo.",
    )


async def _end(shop: JobContext, job: Job) -> None:
    """Nothing is left to follow."""

    async def work(tx: Tx) -> None:
        await jobs.end(tx, job, JobState.DONE)

    await shop.database.write(work)


async def _again(shop: JobContext, job: Job, in_s: int | None) -> None:
    """Put the look back; without a time, ever longer as nothing happens."""

    async def work(tx: Tx) -> None:
        quiet_s = max(SOON_S, min(SELDOM_S, round(_age_s(job, from_ms(tx.now_ms)) / 4)))
        await jobs.look_again(tx, job, tx.now_ms + (in_s or quiet_s) * 1000)

    await shop.database.write(work)


def _age_s(job: Job, now: datetime) -> float:
    return (now - job.created_at).total_seconds()
