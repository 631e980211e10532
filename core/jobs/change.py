"""The change job: runs the lane's executor, has the guard judge the tree, and stages it under its digest."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import replace

from core.jobs.interpretation_context import Discussion, discussion_of
from core.jobs.job_context import OVER, JobContext, JobOutcome, JobStep, StepOutput, needed
from core.jobs.live_output import JobOutput
from core.jobs.no_change import no_change
from core.jobs.progress import JobProgress
from core.jobs.shared_run import SharesRun, keep_result, shares_run
from core.jobs.step_times import JobStepTimes
from core.jobs.usage import JobUsage
from core.jobs.work_budget import pause_for_budget, within_budgets
from core.model.advice import CommandName, Suggestion, advise
from core.model.budget_question import BudgetSpentError
from core.model.change import Change
from core.model.change_result import ChangeResult
from core.model.errors import Kind, PermanentError, Problem, WorkError
from core.model.event import canonical_sha256
from core.model.intent import Intent
from core.model.job import Job
from core.model.lane import Lane
from core.model.lifecycle import Fact
from core.model.provenance import CheckResult, Provenance
from core.model.staged_diff import Finding, GuardReport, GuardVerdict, StagedDiff, stage
from core.model.task import Revision, Task
from core.model.workflow import WorkflowPart, awaited, part_after
from core.ports.executor import Executor, ExecutorResult, WorkOrder, reads_in
from core.ports.repository import Commit, Repository
from core.store import jobs, tasks
from core.store.journal import JobJournal
from core.store.transition import take_step
from core.store.unit_of_work import Tx

PATCH = "change.patch"
_GRACE_S = 120
"""How long after the lane's own limit an executor that hangs is stopped, so that it does not occupy the worker."""


async def start(context: JobContext, job: Job, _outputs: StepOutput) -> StepOutput:
    """Record that the work began."""
    await context.task_for(job)
    await context.database.write(lambda tx: _record_start(tx, job))
    context.milestones.reached("change.started", number=job.number)
    return {}


async def _record_start(tx: Tx, job: Job) -> None:
    await jobs.check_claim(tx, job)
    task = await tasks.load(tx, job.number, lock=True)
    await take_step(tx, task, Fact.STARTED, body={"job": job.id, "attempt": job.attempt})


async def produce(context: JobContext, job: Job, _outputs: StepOutput) -> StepOutput:
    """Run the executor, unless it finished in an earlier attempt of this job; its result is stored with the job.

    A budget that is used up pauses the job, which continues here after an extension.
    """
    task = await context.task_for(job)
    try:
        await _produce(context, job, task)
    except SharesRun:
        return OVER
    except BudgetSpentError as error:
        await pause_for_budget(context, job, _lane(context, task), error)
        return OVER
    return {}


async def _produce(context: JobContext, job: Job, task: Task) -> None:
    repository = context.repository(needed(task.repo, "repository"))
    earlier = await context.database.read(lambda tx: jobs.result_of(tx, job))
    if earlier is not None:
        await context.bring_objects(repository, job.number, job.revision, earlier.base, earlier.tree)
        return
    whole_lane = _lane(context, task)
    part = _part(whole_lane, task)
    lane = replace(whole_lane, steps=part.steps)
    base, start_tree = await _start_of(context, repository, task)
    context.milestones.reached("change.fetched", number=job.number, base=base)
    await context.confirm(job)  # a run of the executor may be long and expensive
    executor = context.executor_of(lane, _intent(task))
    if _asks_models(context, lane, task):
        lane = await within_budgets(context, job, lane, task)
    discussion = await _discussion_for(context, task, executor, lane)
    output = JobOutput(context, job)
    order = _order(context, job, task, lane, base, start_tree, discussion)
    progress, times = JobProgress(context, job, output), JobStepTimes(context, job, lane.name)
    order = replace(order, output=output, progress=progress, steps=times)
    if await shares_run(context, job, task, order, executor):
        return
    async with output.shown(), asyncio.timeout(lane.limits.wall_s + _GRACE_S):
        produced = await _run(context, job, executor, order, repository)
    context.milestones.reached("change.produced", number=job.number, tree=produced.tree)
    await _keep_files(context, job, produced.artifacts)
    await context.keep_objects(job, repository, base, produced.tree)
    own = replace(produced.provenance.masked(context.guard.mask), awaits=part.awaits)
    provenance = await _with_earlier_provenance(context, task, own)
    authors = {*discussion.authors, *produced.authors}
    await keep_result(context, job, ChangeResult(base, produced.tree, provenance, tuple(sorted(authors))))
    context.milestones.reached("change.kept", number=job.number)


async def _discussion_for(context: JobContext, task: Task, executor: Executor, lane: Lane) -> Discussion:
    """The discussion that the executor is shown: all of it if it reads text, else this revision's turns.

    Its authors become authors of the change, so it contains no more than necessary.
    """
    discussion = await discussion_of(context, task)
    if _intent(task).needs_git_alone or not reads_in(executor, lane):
        return discussion.only(task.current.basis.turns)
    return discussion


def _order(
    context: JobContext, job: Job, task: Task, lane: Lane, base: str, start_tree: str, discussion: Discussion
) -> WorkOrder:
    """What the executor is asked to make, and where it reports its spending."""
    return WorkOrder(
        number=task.number,
        revision=task.revision,
        lane=lane,
        intent=_intent(task),
        turns=discussion.turns,
        base=base,
        start=start_tree,
        parameters=task.parameters,
        journal=JobJournal(context.database, job),
        usage=JobUsage(context, job, lane.name, task.current.author),
        authors=tuple(sorted({*discussion.authors, *task.authors})),
    )


async def _run(
    context: JobContext, job: Job, executor: Executor, order: WorkOrder, repository: Repository
) -> ExecutorResult:
    """Run the executor; the files that explain a failure are kept too."""
    try:
        return await executor.produce(order, repository)
    except WorkError as error:
        await _keep_files(context, job, error.artifacts)
        raise


async def _keep_files(context: JobContext, job: Job, files: Mapping[str, bytes]) -> None:
    """Keep an executor's files with their secrets masked; a file with NUL bytes is not text and is kept as it is."""
    for name, content in files.items():
        masked = content
        if b"\0" not in content:
            text = content.decode("utf-8", "surrogateescape")
            masked = (await asyncio.to_thread(context.guard.mask, text)).encode("utf-8", "surrogateescape")
        await context.keep_artifact(job, name, masked)


async def judge(context: JobContext, job: Job, _outputs: StepOutput) -> StepOutput:
    """Compare the trees, have the guard judge the change, and stage it or record why it cannot be staged."""
    task = await context.task_for(job)
    repository = context.repository(needed(task.repo, "repository"))
    result = await context.database.read(lambda tx: jobs.result_of(tx, job))
    if result is None:
        raise PermanentError("incomplete", f"job {job.id} has no stored result", "Reply to the task to start again.")
    change = await repository.change(result.base, result.tree)
    context.milestones.reached("change.compared", number=job.number)
    requirements = task.current.requirements
    lane = context.settings().lane(needed(task.current.lane, "lane"))
    if not change.files or requirements is None or _is_published_already(task, change):
        await context.fail(job, no_change(context, task, lane, result.provenance))
        return OVER
    change = replace(change, beside=await repository.beside(change.tree, [file.path for file in change.files]))
    report = await context.guard.judge(change, lane, requirements, repository.read_blob)
    report = report.beside(map(_finding, result.provenance.checks))
    patch = await repository.diff_text(change.base, change.tree)
    if report.blocked:  # no one can approve it, so no one needs all of it, and it may contain what the guard found
        patch = await context.guard.masked(change, patch, repository.read_blob)
    await context.keep_artifact(job, PATCH, patch)
    await _hold_tree(context, repository, task, change)
    context.milestones.reached("change.judged", number=job.number)
    authors = result.authors
    if authors is None:  # an older version stored the result
        authors = tuple((await discussion_of(context, task)).authors)
    outcome = _outcome(task, lane, result.provenance, stage(change, report), patch, authors)
    await context.finish(job, Fact.BLOCKED if report.blocked else Fact.STAGED, outcome)
    return OVER


def _outcome(
    task: Task, lane: Lane, provenance: Provenance, staged: StagedDiff, patch: bytes, shown_to: tuple[str, ...]
) -> JobOutcome:
    """The columns and the event of a change that was judged; `shown_to` are the authors that the work adds."""
    requirements, report = task.current.requirements, staged.guard
    assert requirements is not None
    basis = task.current.basis.written_by(shown_to)
    return JobOutcome(
        changes={"digest": staged.digest, "error": None, "escalated": False, "nudge_ms": None},
        revision={
            "staged": staged.to_json(),
            "making": provenance.to_json() | awaited(lane.steps, lane.parameters, provenance.awaits, task.parameters),
            "basis": basis.to_json(),
        },
        body={
            "digest": staged.digest,
            "files": len(staged.files),
            "blocked": report.blocked,
            "lane_version": lane.version,
            "authors": sorted(task.authors_of(replace(task.current, basis=basis))),
            "guard_sha256": canonical_sha256(report.to_json()),
            "patch_sha256": hashlib.sha256(patch).hexdigest(),
            **({"awaits": provenance.awaits} if provenance.awaits else {}),
        },
        problem=_blocked(report) if report.blocked else None,
        expires_in_s=None if report.blocked else requirements.expires_s,
        remind_in_s=None if report.blocked else requirements.first_reminder_s,
    )


STEPS: tuple[tuple[str, JobStep], ...] = (("start", start), ("produce", produce), ("judge", judge))


def _lane(context: JobContext, task: Task) -> Lane:
    """The task's lane, within the limits of the rule that allowed the request."""
    lane = context.settings().lane(needed(task.current.lane, "lane"))
    requirements = task.current.requirements
    if requirements is None or requirements.limits is None:
        return lane
    return replace(lane, limits=lane.limits.tightened(requirements.limits))


def _part(lane: Lane, task: Task) -> WorkflowPart:
    """The steps of the lane that this revision runs, up to the next approval; a revert runs none."""
    if not lane.steps or _intent(task).revert_of is not None:
        return WorkflowPart(())
    return part_after(lane.name, lane.steps, task.current.basis.passed)


def _asks_models(context: JobContext, lane: Lane, task: Task) -> bool:
    """Whether the work may ask a model and so may cost something."""
    if _intent(task).needs_git_alone:
        return False
    return any(name in context.executors and context.executors[name].reads for name in lane.executors)


async def _with_earlier_provenance(context: JobContext, task: Task, provenance: Provenance) -> Provenance:
    """The provenance of the whole diff: this revision's, and that of the revision that it continues."""
    earlier = await _continued_revision(context, task)
    if earlier is None or earlier.staged is None or earlier.provenance is None:
        return provenance
    return provenance.on_top_of(earlier.provenance)


def _intent(task: Task) -> Intent:
    assert task.current.intent is not None
    return task.current.intent


async def _start_of(context: JobContext, repository: Repository, task: Task) -> tuple[str, str]:
    """(base commit, tree to start from): of the revision that this one continues, else of the remote's branch now."""
    earlier = await _continued_revision(context, task)
    if earlier is not None and earlier.staged is not None:
        staged = earlier.staged
        await context.bring_objects(repository, task.number, earlier.n, staged.base, staged.tree)
        return staged.base, staged.tree
    base = await repository.fetch_base()
    return base, await repository.tree_of(base)


async def _continued_revision(context: JobContext, task: Task) -> Revision | None:
    """The revision whose tree this one continues, or None."""
    n = task.current.basis.continue_from
    return None if n is None else await context.database.read(lambda tx: tasks.revision_of(tx, task.number, n))


async def _hold_tree(context: JobContext, repository: Repository, task: Task, change: Change) -> None:
    """Protect the staged tree from git's garbage collection for as long as the task may need it."""
    message = f"countersign: staged #{task.number}.{task.revision}\n"
    commit = await repository.write_commit(Commit(change.tree, change.base, message, task.created_at))
    await repository.keep(f"{task.number}/{task.revision}", commit)
    context.milestones.reached("change.held", number=task.number)


def _is_published_already(task: Task, change: Change) -> bool:
    return (
        task.pull_request is not None
        and task.has_open_pull_request
        and stage(change, GuardReport(())).digest == task.pull_request.digest
    )


def _finding(check: CheckResult) -> Finding:
    """The result of one of the lane's own checks, in the form of the guard's findings."""
    failed = GuardVerdict.BLOCK if check.required else GuardVerdict.WARN
    return Finding(f"check {check.name}", GuardVerdict.PASS if check.passed else failed, check.detail)


def _blocked(report: GuardReport) -> Problem:
    blocks = report.blocks()
    first = blocks[0]
    where = f" ({first.path})" if first.path else ""
    more = f", and {len(blocks) - 1} more" if len(blocks) > 1 else ""
    return Problem(
        Kind.BLOCKED,
        "guard_blocked",
        f"the guard blocked this change: {first.check}: {first.detail}{where}{more}",
        advise("See every finding with ", Suggestion(CommandName.WHY), "; reply to change the request."),
    )
