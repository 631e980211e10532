"""The publish job: counts the approvals again, pushes the approved tree, opens the pull request, signs the receipt."""

from __future__ import annotations

from dataclasses import replace

from core.jobs.change import PATCH
from core.jobs.job_context import OVER, JobContext, JobOutcome, JobStep, StepOutput, needed
from core.jobs.pull_request_text import body_of, branch_of, message_of, task_for_forge, title_of, turns_for_forge
from core.model.advice import CommandName, Suggestion, advise
from core.model.approval import Approval, QuorumStatus, Verdict
from core.model.change import FileChange
from core.model.decision import PASSKEY, TOTP
from core.model.errors import ConflictError, Kind, PermanentError, Problem
from core.model.event import Event
from core.model.job import Job
from core.model.lifecycle import Fact
from core.model.place import Place
from core.model.staged_diff import StagedDiff, verified_change
from core.model.task import PullRequest, Task
from core.ports.forge import Forge, PullRequestDraft
from core.ports.repository import Commit, Repository
from core.rules import receipt
from core.rules.audit import AuditRows, contradictions
from core.rules.current_requirements import refusal_now
from core.rules.passkey_proof import unproven_here
from core.rules.quorum import needs_of, why_void
from core.store import artifacts, events, tasks
from core.store.unit_of_work import Tx


async def check(context: JobContext, job: Job, _outputs: StepOutput) -> StepOutput:
    """Count the quorum again under the policy in force; the task returns to staged if it is no longer met."""
    task = await context.task_for(job)
    settings = context.settings()
    needs = await context.database.read(lambda tx: needs_of(tx, settings, task))
    context.milestones.reached("publish.counted", number=job.number)
    refusal = refusal_now(settings, task, files=await _files_of(context, job))
    await _check_rows(context, task)
    await _check_signatures(context, task, needs)
    if needs is not None and needs.met and refusal is None:
        return {"countersigned": list(needs.have)}
    reason = why_void(needs, refusal)
    problem = Problem(
        Kind.REFUSED,
        "approval_void",
        f"the approval of #{task.number} no longer holds: {reason}",
        advise("See who still has to approve with ", Suggestion(CommandName.SHOW, task.number), "."),
    )
    expires_in_s = task.current.requirements.expires_s if task.current.requirements else None
    await context.finish(job, Fact.VOIDED, JobOutcome(problem=problem, body={"why": reason}, expires_in_s=expires_in_s))
    return OVER


async def _files_of(context: JobContext, job: Job) -> tuple[FileChange, ...]:
    """The files of the approved tree, as git has them; raises `PermanentError` if the digest does not match them."""
    task, staged, repository = await _approved(context, job)
    await context.bring_objects(repository, task.number, task.revision, staged.base, staged.tree)
    return (await verified_change(repository, staged)).files


async def _check_rows(context: JobContext, task: Task) -> None:
    """Raise `PermanentError` if rows and events disagree: such a task is neither pushed nor signed."""

    async def read(tx: Tx) -> tuple[AuditRows, list[Event]]:
        turns, approvals = await tasks.turns_of(tx, task.number), await tasks.approvals_of(tx, task.number)
        return AuditRows(task, task.current, turns, approvals), await events.chain_of(tx, task.number)

    found = contradictions(*await context.database.read(read))
    if found:
        mend = "The database was modified outside Countersign. Reply to the task to make its change again."
        raise PermanentError("rows_changed", f"#{task.number} is not published: {'; '.join(found)}", mend)


async def _check_signatures(context: JobContext, task: Task, needs: QuorumStatus | None) -> None:
    """Raise `PermanentError` if a rule demands a step-up and one of the signatures that it counts does not hold."""
    if needs is None or not needs.step_up or task.staged is None:
        return
    digest = task.staged.digest
    stored = await context.database.read(lambda tx: tasks.approvals_of(tx, task.number))
    counted = [a for a in stored if a.digest == digest and a.person in needs.have]
    if needs.step_up == TOTP:  # what counts by a code has no signature; its event was compared before
        counted = [a for a in counted if a.proof == PASSKEY]
    if found := unproven_here(counted, context.keys):
        mend = "The database was modified outside Countersign. Reply to the task to make its change again."
        raise PermanentError("bad_signature", f"#{task.number} is not published: {found}", mend)


async def push(context: JobContext, job: Job, outputs: StepOutput) -> StepOutput:
    """Commit exactly the approved tree on the approved base, and push it to the task's own branch."""
    task, staged, repository = await _approved(context, job)
    await context.bring_objects(repository, task.number, task.revision, staged.base, staged.tree)
    counted = await _counted(context, task, staged, outputs)
    task = task_for_forge(task, context.guard.leaks)
    message = message_of(task, staged, counted)
    at = max((a.at for a in counted), default=task.created_at)
    commit = await repository.write_commit(Commit(staged.tree, staged.base, message, at))
    if await repository.tree_of(commit) != staged.tree:
        raise PermanentError("wrong_tree", f"the commit of #{task.number} is not the approved tree")
    name = f"{task.number}/pushed"
    earlier = await repository.kept(name)
    await repository.keep(f"{name}/{commit}", commit)
    context.milestones.reached("publish.committed", number=job.number, commit=commit)
    await context.confirm(job)
    branch = task.pull_request.branch if task.pull_request else branch_of(task)
    await _push_branch(context.forge_of(repository), repository, branch, commit, (_head_of(task), *earlier))
    context.milestones.reached("publish.pushed", number=job.number)
    return {"commit": commit, "branch": branch}


async def _counted(context: JobContext, task: Task, staged: StagedDiff, outputs: StepOutput) -> list[Approval]:
    """The approvals that were counted for the quorum: no rejections, and no approvals that do not count."""
    verdicts = await context.database.read(lambda tx: tasks.approvals_of(tx, task.number))
    approvals = [a for a in verdicts if a.digest == staged.digest and a.verdict is Verdict.APPROVE]
    counted = outputs.get("countersigned")
    return [a for a in approvals if counted is None or a.person in counted]


async def propose(context: JobContext, job: Job, outputs: StepOutput) -> StepOutput:
    """Open the pull request, or adopt the one that an earlier attempt opened."""
    task, staged, repository = await _approved(context, job)
    counted = await _counted(context, task, staged, outputs)
    turns = await context.database.read(lambda tx: tasks.turns_of(tx, task.number))
    task = task_for_forge(task, context.guard.leaks)
    turns = turns_for_forge(turns, context.guard.leaks)
    draft = PullRequestDraft(
        number=task.number,
        branch=outputs["branch"],
        head=outputs["commit"],
        into=repository.spec.branch,
        title=title_of(task),
        body=body_of(task, staged, turns, counted) + context.footnote("\n".join(turn.text for turn in turns)),
        labels=("countersign",),
        revision=task.revision,
        digest=staged.digest,
    )
    await context.confirm(job)
    opened = await context.forge_of(repository).open(repository, draft)
    context.milestones.reached("publish.opened", number=job.number)
    return {"pull_request": opened.to_json()}


async def record(context: JobContext, job: Job, outputs: StepOutput) -> StepOutput:
    """Sign the receipt and commit that the task is published."""
    task, staged, _ = await _approved(context, job)
    pull_request = PullRequest.from_json(outputs["pull_request"])
    settings = context.settings()

    async def read(tx: Tx) -> dict[str, object]:
        needs = await needs_of(tx, settings, task)
        chain = await events.chain_of(tx, task.number)
        return receipt.statement(
            task,
            await tasks.turns_of(tx, task.number),
            await tasks.approvals_of(tx, task.number),
            chain,
            receipt.PublishedFacts(pull_request, staged.tree, chain[-1].at),
            needs,
        )

    signed = receipt.sign(context.keys, await context.database.read(read))
    context.milestones.reached("publish.signed", number=job.number)
    await context.keep_artifact(job, receipt.ARTIFACT, signed)
    pull_request, places = await _attach_files(context, job, task, pull_request)
    await context.finish(
        job,
        Fact.PUBLISHED,
        JobOutcome(
            changes={"error": None},
            pull_request=pull_request,
            places=places,
            body={"branch": pull_request.branch, "head": pull_request.head, "number": pull_request.number},
        ),
    )
    return OVER


STEPS: tuple[tuple[str, JobStep], ...] = (
    ("check", check),
    ("push", push),
    ("propose", propose),
    ("record", record),
)


async def _attach_files(
    context: JobContext, job: Job, task: Task, opened: PullRequest
) -> tuple[PullRequest, tuple[Place, ...]]:
    """Attach the artifacts where others act on pull requests too, and return the place where they discuss this one."""
    repository = context.repository(needed(task.repo, "repository"))
    forge = context.followed_of(repository)
    if forge is None:
        return opened, ()
    stored = await context.database.read(lambda tx: artifacts.of_task(tx, task.number))
    files = {a.name: await context.files.read(a.sha256) for a in stored if a.revision == task.revision}
    if task.staged is not None and PATCH in files:
        files[PATCH] = await repository.diff_text(task.staged.base, task.staged.tree)
    files = {
        name: content for name, content in files.items() if not context.guard.leaks(content.decode("utf-8", "replace"))
    }
    await context.confirm(job)
    address = await forge.attach(repository, opened, files)
    return replace(opened, followed=True, files=address), (forge.place_of(repository, opened),)


async def _push_branch(
    forge: Forge, repository: Repository, branch: str, commit: str, own_heads: tuple[str | None, ...]
) -> None:
    """Push `commit` if the branch is at one of `own_heads`; raises `ConflictError` otherwise.

    An attempt that pushed and died before it could record that left the branch at one of the kept commits.
    """
    for expected in own_heads[:-1]:
        try:
            return await forge.push(repository, branch, commit, expected)
        except ConflictError:
            continue
    return await forge.push(repository, branch, commit, own_heads[-1])


def _head_of(task: Task) -> str | None:
    return task.pull_request.head if task.pull_request else None


async def _approved(context: JobContext, job: Job) -> tuple[Task, StagedDiff, Repository]:
    task = await context.task_for(job)
    repository = context.repository(needed(task.repo, "repository"))
    if task.staged is None:
        raise ConflictError("nothing_staged", f"#{task.number} has nothing staged")
    return task, task.staged, repository
