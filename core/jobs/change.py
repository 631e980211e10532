"""Change: run the lane's executor, judge the tree it made, and stage it under its digest."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import replace

from core.jobs.interpretation_context import Discussion, discussion_of
from core.jobs.job_context import OVER, JobContext, JobOutcome, JobStep, StepOutput, needed
from core.jobs.no_change import no_change
from core.jobs.objects import have_objects, keep_objects
from core.jobs.progress import JobProgress
from core.jobs.usage import JobUsage, within_budgets
from core.model.advice import CommandName, Suggestion, advise
from core.model.change import Change
from core.model.errors import Kind, PermanentError, Problem, WorkError
from core.model.intent import Intent
from core.model.job import Job
from core.model.lane import Lane
from core.model.lifecycle import Fact
from core.model.provenance import NO_PROVENANCE, CheckResult, Provenance
from core.model.staged_diff import Finding, GuardReport, GuardVerdict, stage
from core.model.task import Revision, Task
from core.model.workflow import EDIT, WorkflowPart, awaited, part_after
from core.ports.executor import Executor, ExecutorResult, WorkOrder, reads_in
from core.ports.repository import Commit, Repository
from core.rules.audit import report_hash
from core.store import jobs, tasks
from core.store.journal import JobJournal
from core.store.transition import take_step
from core.store.unit_of_work import Tx

PATCH = "change.patch"


async def start(context: JobContext, job: Job, _notes: StepOutput) -> StepOutput:
    """Say that the work began."""
    await context.task_for(job)

    async def work(tx: Tx) -> None:
        await jobs.check_claim(tx, job)
        await _started(tx, job)

    await context.database.write(work)
    context.milestones.reached("change.started", number=job.number)
    return {}


async def _started(tx: Tx, job: Job) -> None:
    """Advance the task to running, within the caller's transaction."""
    task = await tasks.load(tx, job.number, lock=True)
    body = {"job": job.id, "attempt": job.attempt}
    await take_step(tx, task, Fact.STARTED, body=body)


async def produce(context: JobContext, job: Job, _notes: StepOutput) -> StepOutput:
    """Run the executor, unless an earlier try of this very job did. Its result is remembered with the job alone."""
    task = await context.task_for(job)
    repository = context.repository(needed(task.repo, "repository"))
    made = await context.database.read(lambda tx: jobs.result_of(tx, job))
    if made is not None:
        await have_objects(context, repository, job.number, job.revision, made["base"], made["tree"])
        return {}
    whole = _lane(context, task)
    part = _part(whole, task)
    lane = replace(whole, steps=part.steps)
    base, begin = await _beginning(context, repository, task)
    context.milestones.reached("change.fetched", number=job.number, base=base)
    await context.confirm(job)  # a run of the executor may be long and dear
    executor = _executor(context, lane, _intent(task))
    if _asks_models(context, lane, task):
        lane = await within_budgets(context, job, lane, task)
    talk = await _talk_for(context, task, executor, lane)
    order = _order(context, job, task, lane, base, begin, talk)
    # the lane's own limit is the executor's to keep; this one only frees a worker from an executor that hangs
    async with asyncio.timeout(lane.limits.wall_s + 120):
        produced = await _run(context, job, executor, order, repository)
    context.milestones.reached("change.produced", number=job.number, tree=produced.tree)
    await _keep_files(context, job, produced.artifacts)
    await keep_objects(context, job, repository, base, produced.tree)
    making = await _whole_making(context, task, produced.provenance.masked(context.guard.mask))
    making = replace(making, awaits=part.awaits)
    made = {"base": base, "tree": produced.tree, "making": making.to_json(), "authors": sorted(talk.authors)}
    await context.database.write(lambda tx: jobs.keep_result(tx, job, made))
    context.milestones.reached("change.kept", number=job.number)
    return {}


async def _talk_for(context: JobContext, task: Task, executor: Executor, lane: Lane) -> Discussion:
    """The talk that the executor is shown: all of it if it reads, else the turns of this revision alone.

    Everybody in it becomes an author of what is made, so nobody is in it for nothing.
    """
    talk = await discussion_of(context, task)
    if _intent(task).needs_git_alone or not reads_in(executor, lane):
        return talk.only(task.current.basis.turns)
    return talk


def _order(context: JobContext, job: Job, task: Task, lane: Lane, base: str, begin: str, talk: Discussion) -> WorkOrder:
    """What the executor shall make, and where it reports its progress and its spending."""
    return WorkOrder(
        number=task.number,
        revision=task.revision,
        lane=lane,
        intent=_intent(task),
        turns=talk.turns,
        base=base,
        start=begin,
        parameters=task.parameters,
        journal=JobJournal(context.database, job),
        progress=JobProgress(context, job),
        usage=JobUsage(context, job, lane.name, task.current.author),
    )


async def _run(
    context: JobContext, job: Job, executor: Executor, order: WorkOrder, repository: Repository
) -> ExecutorResult:
    """The executor's work; what a failed one leaves to explain itself is kept too."""
    try:
        return await executor.produce(order, repository)
    except WorkError as error:
        await _keep_files(context, job, error.artifacts)
        raise


async def _keep_files(context: JobContext, job: Job, files: Mapping[str, bytes]) -> None:
    """Keep what an executor left to read, without secrets in it; what is no text is kept as it is."""
    for name, content in files.items():
        shown = content
        if b"\0" not in content:
            text = content.decode("utf-8", "surrogateescape")
            shown = (await asyncio.to_thread(context.guard.mask, text)).encode("utf-8", "surrogateescape")
        await context.keep_artifact(job, name, shown)


async def judge(context: JobContext, job: Job, _notes: StepOutput) -> StepOutput:
    """Compute the change from the trees, let the guard judge it, and stage it or say why not."""
    task = await context.task_for(job)
    settings = context.settings()
    repository = context.repository(needed(task.repo, "repository"))
    made = await context.database.read(lambda tx: jobs.result_of(tx, job))
    if made is None:
        raise PermanentError("incomplete", f"nothing is kept of what job {job.id} made", "Reply to it to start again.")
    change = await repository.change(made["base"], made["tree"])
    context.milestones.reached("change.compared", number=job.number)
    terms = task.current.requirements
    lane = settings.lane(needed(task.current.lane, "lane"))
    making = Provenance.from_json(made["making"]) if made.get("making") else NO_PROVENANCE
    if not change.files or terms is None or _is_published_already(task, change):
        await context.fail(job, no_change(context, task, lane, making))
        return OVER
    change = replace(change, beside=await repository.beside(change.tree, [file.path for file in change.files]))
    report = await context.guard.judge(change, lane, terms, repository.read_blob)
    report = report.beside(map(_finding, making.checks))
    patch = await repository.diff_text(change.base, change.tree)
    if report.blocked:  # nobody can approve it, so it need not be shown whole, and may hold what the guard found
        patch = await context.guard.masked(change, patch, repository.read_blob)
    await context.keep_artifact(job, PATCH, patch)
    await _hold(context, repository, task, change)
    context.milestones.reached("change.judged", number=job.number)
    staged = stage(change, report)
    shown_to = (
        made["authors"] if "authors" in made else (await discussion_of(context, task)).authors
    )  # by an older version
    basis = task.current.basis.written_by(shown_to)
    authors = sorted(task.authors_of(replace(task.current, basis=basis)))
    outcome = JobOutcome(
        changes={"digest": staged.digest, "error": None, "escalated": False, "nudge_ms": None},
        revision={
            "staged": staged.to_json(),
            "making": making.to_json() | awaited(lane.steps, lane.parameters, making.awaits, task.parameters),
            "basis": basis.to_json(),
        },
        body={
            "digest": staged.digest,
            "files": len(staged.files),
            "blocked": report.blocked,
            "lane_version": lane.version,
            "authors": authors,
            "guard_sha256": report_hash(report),
            "patch_sha256": hashlib.sha256(patch).hexdigest(),
            **_awaiting(making),
        },
        problem=_blocked(report) if report.blocked else None,
        expires_in_s=None if report.blocked else terms.expires_s,
        nudge_in_s=None if report.blocked else terms.nudge_s,
    )
    await context.finish(job, Fact.BLOCKED if report.blocked else Fact.STAGED, outcome)
    return OVER


STEPS: tuple[tuple[str, JobStep], ...] = (("start", start), ("produce", produce), ("judge", judge))


def _lane(context: JobContext, task: Task) -> Lane:
    """The task's lane, within the limits of the rule that let it in."""
    lane = context.settings().lane(needed(task.current.lane, "lane"))
    terms = task.current.requirements
    return replace(lane, limits=lane.limits.tightened(terms.limits)) if terms and terms.limits else lane


def _part(lane: Lane, task: Task) -> WorkflowPart:
    """The steps of the lane that this revision takes, up to the next approval; taking a change back takes none."""
    if not lane.steps or _intent(task).revert_of is not None:
        return WorkflowPart(())
    return part_after(lane.name, lane.steps, task.current.basis.passed)


def _asks_models(context: JobContext, lane: Lane, task: Task) -> bool:
    """Whether the work may ask a model; what is done by rule costs nothing."""
    if _intent(task).needs_git_alone:
        return False
    return any(name in context.executors and context.executors[name].reads for name in lane.executors)


async def _whole_making(context: JobContext, task: Task, making: Provenance) -> Provenance:
    """How all was made that the diff holds: what this revision made, on top of the one that it continues."""
    source = task.current.basis.continue_from
    if source is None:
        return making
    earlier = await context.database.read(lambda tx: tasks.revision_of(tx, task.number, source))
    if earlier is None or earlier.staged is None or earlier.provenance is None:
        return making
    return making.on_top_of(earlier.provenance)


def _executor(context: JobContext, lane: Lane, intent: Intent) -> Executor:
    """The lane's executor; taking a change back needs none but git, whatever the lane works with."""
    return context.executors[EDIT if intent.needs_git_alone else lane.executor]


def _intent(task: Task) -> Intent:
    assert task.current.intent is not None
    return task.current.intent


async def _beginning(context: JobContext, repository: Repository, task: Task) -> tuple[str, str]:
    """(base commit, tree to begin with): the revision this one continues, else the remote's branch now."""
    source = task.current.basis.continue_from
    if source is not None:
        earlier: Revision | None = await context.database.read(lambda tx: tasks.revision_of(tx, task.number, source))
        if earlier is not None and earlier.staged is not None:
            staged = earlier.staged
            await have_objects(context, repository, task.number, earlier.n, staged.base, staged.tree)
            return earlier.staged.base, earlier.staged.tree
    base = await repository.fetch_base()
    return base, await repository.tree_of(base)


async def _hold(context: JobContext, repository: Repository, task: Task, change: Change) -> None:
    """Keep the staged tree from git's garbage collection for as long as the task may need it."""
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


def _awaiting(making: Provenance) -> dict[str, str]:
    return {"awaits": making.awaits} if making.awaits else {}


def _finding(check: CheckResult) -> Finding:
    """What one of the lane's own checks said, as the guard's findings are shown."""
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
        advise("See every finding with ", Suggestion(CommandName.WHY), "; reply to change what is asked."),
    )
