"""Change: run the lane's executor, judge the tree it made, and stage it under its digest."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import replace

from core.jobs.interpretation_context import Discussion, talk_of
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
from core.model.provenance import NOT_TOLD, CheckResult, Provenance
from core.model.staged_diff import Finding, GuardReport, GuardVerdict, stage
from core.model.task import Revision, Task
from core.model.workflow import EDIT, WorkflowPart, awaited, part_after
from core.ports import Commit, Executor, ExecutorResult, Repository, WorkOrder, reads_in
from core.rules.audit import report_hash
from core.store import jobs, tasks
from core.store.journal import JobJournal
from core.store.transition import take_step
from core.store.unit_of_work import Tx

PATCH = "change.patch"


async def start(shop: JobContext, job: Job, _notes: StepOutput) -> StepOutput:
    """Say that the work began."""
    await shop.task_for(job)

    async def work(tx: Tx) -> None:
        await jobs.hold(tx, job)
        await _started(tx, job)

    await shop.database.write(work)
    shop.milestones.reached("change.started", number=job.number)
    return {}


async def _started(tx: Tx, job: Job) -> None:
    """Advance the task to running, within the caller's transaction."""
    task = await tasks.load(tx, job.number, lock=True)
    body = {"job": job.id, "attempt": job.attempt}
    await take_step(tx, task, Fact.STARTED, body=body)


async def produce(shop: JobContext, job: Job, _notes: StepOutput) -> StepOutput:
    """Run the executor, unless an earlier try of this very job did. Its result is remembered with the job alone."""
    task = await shop.task_for(job)
    repository = shop.repository(needed(task.repo, "repository"))
    made = await shop.database.read(lambda tx: jobs.result_of(tx, job))
    if made is not None:
        await have_objects(shop, repository, job.number, job.revision, made["base"], made["tree"])
        return {}
    whole = _lane(shop, task)
    part = _part(whole, task)
    lane = replace(whole, steps=part.steps)
    base, begin = await _beginning(shop, repository, task)
    shop.milestones.reached("change.fetched", number=job.number, base=base)
    await shop.confirm(job)  # a run of the executor may be long and dear
    executor = _executor(shop, lane, _intent(task))
    if _asks_models(shop, lane, task):
        lane = await within_budgets(shop, job, lane, task)
    talk = await _talk_for(shop, task, executor, lane)
    order = _order(shop, job, task, lane, base, begin, talk)
    # the lane's own limit is the executor's to keep; this one only frees a worker from an executor that hangs
    async with asyncio.timeout(lane.limits.wall_s + 120):
        produced = await _run(shop, job, executor, order, repository)
    shop.milestones.reached("change.produced", number=job.number, tree=produced.tree)
    await _keep_files(shop, job, produced.artifacts)
    await keep_objects(shop, job, repository, base, produced.tree)
    making = await _whole_making(shop, task, produced.making.masked(shop.guard.mask))
    making = replace(making, awaits=part.awaits)
    made = {"base": base, "tree": produced.tree, "making": making.to_json(), "authors": sorted(talk.authors)}
    await shop.database.write(lambda tx: jobs.keep_result(tx, job, made))
    shop.milestones.reached("change.kept", number=job.number)
    return {}


async def _talk_for(shop: JobContext, task: Task, executor: Executor, lane: Lane) -> Discussion:
    """The talk that the executor is shown: all of it if it reads, else the turns of this revision alone.

    Everybody in it becomes an author of what is made, so nobody is in it for nothing.
    """
    talk = await talk_of(shop, task)
    if _intent(task).needs_git_alone or not reads_in(executor, lane):
        return talk.only(task.current.basis.turns)
    return talk


def _order(shop: JobContext, job: Job, task: Task, lane: Lane, base: str, begin: str, talk: Discussion) -> WorkOrder:
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
        journal=JobJournal(shop.database, job),
        progress=JobProgress(shop, job),
        usage=JobUsage(shop, job, lane.name, task.current.author),
    )


async def _run(
    shop: JobContext, job: Job, executor: Executor, order: WorkOrder, repository: Repository
) -> ExecutorResult:
    """The executor's work; what a failed one leaves to explain itself is kept too."""
    try:
        return await executor.produce(order, repository)
    except WorkError as error:
        await _keep_files(shop, job, error.artifacts)
        raise


async def _keep_files(shop: JobContext, job: Job, files: Mapping[str, bytes]) -> None:
    """Keep what an executor left to read, without secrets in it; what is no text is kept as it is."""
    for name, content in files.items():
        shown = content
        if b"\0" not in content:
            text = content.decode("utf-8", "surrogateescape")
            shown = (await asyncio.to_thread(shop.guard.mask, text)).encode("utf-8", "surrogateescape")
        await shop.keep_artifact(job, name, shown)


async def judge(shop: JobContext, job: Job, _notes: StepOutput) -> StepOutput:
    """Compute the change from the trees, let the guard judge it, and stage it or say why not."""
    task = await shop.task_for(job)
    settings = shop.settings()
    repository = shop.repository(needed(task.repo, "repository"))
    made = await shop.database.read(lambda tx: jobs.result_of(tx, job))
    if made is None:
        raise PermanentError("incomplete", f"nothing is kept of what job {job.id} made", "Reply to it to start again.")
    change = await repository.change(made["base"], made["tree"])
    shop.milestones.reached("change.compared", number=job.number)
    terms = task.current.terms
    lane = settings.lane(needed(task.current.lane, "lane"))
    making = Provenance.from_json(made["making"]) if made.get("making") else NOT_TOLD
    if not change.files or terms is None or _is_published_already(task, change):
        await shop.fail(job, no_change(shop, task, lane, making))
        return OVER
    change = replace(change, beside=await repository.beside(change.tree, [file.path for file in change.files]))
    report = await shop.guard.judge(change, lane, terms, repository.read_blob)
    report = report.beside(map(_finding, making.checks))
    patch = await repository.diff_text(change.base, change.tree)
    if report.blocked:  # nobody can approve it, so it need not be shown whole, and may hold what the guard found
        patch = await shop.guard.masked(change, patch, repository.read_blob)
    await shop.keep_artifact(job, PATCH, patch)
    await _hold(shop, repository, task, change)
    shop.milestones.reached("change.judged", number=job.number)
    staged = stage(change, report)
    shown_to = made["authors"] if "authors" in made else (await talk_of(shop, task)).authors  # by an older version
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
    await shop.finish(job, Fact.BLOCKED if report.blocked else Fact.STAGED, outcome)
    return OVER


STEPS: tuple[tuple[str, JobStep], ...] = (("start", start), ("produce", produce), ("judge", judge))


def _lane(shop: JobContext, task: Task) -> Lane:
    """The task's lane, within the limits of the rule that let it in."""
    lane = shop.settings().lane(needed(task.current.lane, "lane"))
    terms = task.current.terms
    return replace(lane, limits=lane.limits.tightened(terms.limits)) if terms and terms.limits else lane


def _part(lane: Lane, task: Task) -> WorkflowPart:
    """The steps of the lane that this revision takes, up to the next approval; taking a change back takes none."""
    if not lane.steps or _intent(task).revert_of is not None:
        return WorkflowPart(())
    return part_after(lane.name, lane.steps, task.current.basis.passed)


def _asks_models(shop: JobContext, lane: Lane, task: Task) -> bool:
    """Whether the work may ask a model; what is done by rule costs nothing."""
    if _intent(task).needs_git_alone:
        return False
    return any(name in shop.executors and shop.executors[name].reads for name in lane.executors)


async def _whole_making(shop: JobContext, task: Task, making: Provenance) -> Provenance:
    """How all was made that the diff holds: what this revision made, on top of the one that it continues."""
    source = task.current.basis.continue_from
    if source is None:
        return making
    earlier = await shop.database.read(lambda tx: tasks.revision_of(tx, task.number, source))
    if earlier is None or earlier.staged is None or earlier.making is None:
        return making
    return making.on_top_of(earlier.making)


def _executor(shop: JobContext, lane: Lane, intent: Intent) -> Executor:
    """The lane's executor; taking a change back needs none but git, whatever the lane works with."""
    return shop.executors[EDIT if intent.needs_git_alone else lane.executor]


def _intent(task: Task) -> Intent:
    assert task.current.intent is not None
    return task.current.intent


async def _beginning(shop: JobContext, repository: Repository, task: Task) -> tuple[str, str]:
    """(base commit, tree to begin with): the revision this one continues, else the remote's branch now."""
    source = task.current.basis.continue_from
    if source is not None:
        earlier: Revision | None = await shop.database.read(lambda tx: tasks.revision_of(tx, task.number, source))
        if earlier is not None and earlier.staged is not None:
            staged = earlier.staged
            await have_objects(shop, repository, task.number, earlier.n, staged.base, staged.tree)
            return earlier.staged.base, earlier.staged.tree
    base = await repository.fetch_base()
    return base, await repository.tree_of(base)


async def _hold(shop: JobContext, repository: Repository, task: Task, change: Change) -> None:
    """Keep the staged tree from git's garbage collection for as long as the task may need it."""
    message = f"countersign: staged #{task.number}.{task.revision}\n"
    commit = await repository.write_commit(Commit(change.tree, change.base, message, task.created_at))
    await repository.keep(f"{task.number}/{task.revision}", commit)
    shop.milestones.reached("change.held", number=task.number)


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
