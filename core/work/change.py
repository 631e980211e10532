"""Change: run the lane's executor, judge the tree it made, and stage it under its digest."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from core.advice import CommandName, Suggestion, advise
from core.change import Change
from core.errors import Kind, Problem, WorkError
from core.intent import Intent
from core.job import Job
from core.lane import Lane
from core.lifecycle import Fact
from core.ports import Commit, Executor, Order, Produced, Repository
from core.production import NOT_TOLD, CheckResult, Making
from core.staged_diff import Finding, GuardReport, GuardVerdict, stage
from core.store import jobs, tasks
from core.store.database import Session
from core.store.journal import JobJournal
from core.task import Revision, Task
from core.transition import take_step
from core.work.heard import Charging, Telling, within_budget
from core.work.objects import have_objects, keep_objects
from core.work.scene import talk_of
from core.work.workshop import OVER, Notes, Outcome, Step, Workshop, needed
from core.workflow import Part, awaited, part_after

PATCH = "change.patch"


async def start(shop: Workshop, job: Job, _notes: Notes) -> Notes:
    """Say that the work began."""
    await shop.task_for(job)

    async def work(session: Session) -> None:
        await jobs.hold(session, job)
        await _started(session, shop, job)

    await shop.database.write(work)
    shop.milestones.reached("change.started", number=job.number)
    return {}


async def _started(session: Session, shop: Workshop, job: Job) -> None:
    """Advance the task to running, within the caller's transaction."""
    task = await tasks.load(session, job.number, lock=True)
    now_ms = await shop.database.now_ms(session)
    body = {"job": job.id, "attempt": job.attempt}
    await take_step(session, task, Fact.STARTED, now_ms, shop.new_id, body=body)


async def produce(shop: Workshop, job: Job, _notes: Notes) -> Notes:
    """Run the executor, or adopt what an earlier try of this very job made."""
    task = await shop.task_for(job)
    repository = shop.repository(needed(task.repo, "repository"))
    made = await shop.database.read(lambda session: jobs.result_of(session, job))
    if made is not None:
        await have_objects(shop, repository, job.number, job.revision, made["base"], made["tree"])
        return made
    whole = _lane(shop, task)
    part = _part(whole, task)
    lane = replace(whole, steps=part.steps)
    base, begin = await _beginning(shop, repository, task)
    shop.milestones.reached("change.fetched", number=job.number, base=base)
    await shop.confirm(job)  # a run of the executor may be long and dear
    order = await _order(shop, job, task, await within_budget(shop, lane), base, begin)
    # the lane's own limit is the executor's to keep; this one only frees a worker from an executor that hangs
    async with asyncio.timeout(lane.limits.wall_s + 120):
        produced = await _run(shop, job, _executor(shop, lane, order.intent), order, repository)
    shop.milestones.reached("change.produced", number=job.number, tree=produced.tree)
    for name, content in produced.artifacts.items():
        await shop.keep_artifact(job, name, content)
    await keep_objects(shop, job, repository, base, produced.tree)
    making = replace(produced.making, awaits=part.awaits)
    made = {"base": base, "tree": produced.tree, "making": making.to_json()}
    await shop.database.write(lambda session: jobs.keep_result(session, job, made))
    shop.milestones.reached("change.kept", number=job.number)
    return made


async def _order(shop: Workshop, job: Job, task: Task, lane: Lane, base: str, begin: str) -> Order:
    """What the executor is told, with the doors through which it is heard while it works."""
    turns = await talk_of(shop, task.number)
    return Order(
        number=task.number,
        revision=task.revision,
        lane=lane,
        intent=_intent(task),
        turns=turns,
        base=base,
        start=begin,
        parameters=task.parameters,
        journal=JobJournal(shop.database, job),
        told=Telling(shop, job),
        charge=Charging(shop, job, lane.name, task.current.author),
    )


async def _run(shop: Workshop, job: Job, executor: Executor, order: Order, repository: Repository) -> Produced:
    """The executor's work; what a failed one leaves to explain itself is kept too."""
    try:
        return await executor.produce(order, repository)
    except WorkError as error:
        for name, content in error.artifacts.items():
            await shop.keep_artifact(job, name, content)
        raise


async def judge(shop: Workshop, job: Job, notes: Notes) -> Notes:
    """Compute the change from the trees, let the guard judge it, and stage it or say why not."""
    task = await shop.task_for(job)
    settings = shop.settings()
    repository = shop.repository(needed(task.repo, "repository"))
    change = await repository.change(notes["base"], notes["tree"])
    shop.milestones.reached("change.compared", number=job.number)
    terms = task.current.terms
    if not change.files or terms is None or _is_published_already(task, change):
        await shop.fail(job, _no_change(task))
        return OVER
    lane = settings.lane(needed(task.current.lane, "lane"))
    making = Making.from_json(notes["making"]) if notes.get("making") else NOT_TOLD
    report = await shop.guard.judge(change, lane, terms, repository.read_blob)
    report = report.beside(map(_finding, making.checks))
    await shop.keep_artifact(job, PATCH, await repository.diff_text(change.base, change.tree))
    await _hold(shop, repository, task, change)
    shop.milestones.reached("change.judged", number=job.number)
    staged = stage(change, report)
    outcome = Outcome(
        changes={"digest": staged.digest, "error": None, "escalated": False, "nudge_ms": None},
        revision={"staged": staged.to_json(), "making": making.to_json() | awaited(lane.steps, making.awaits)},
        body={
            "digest": staged.digest,
            "files": len(staged.files),
            "blocked": report.blocked,
            "lane_version": lane.version,
            **_awaiting(making),
        },
        problem=_blocked(report) if report.blocked else None,
        expires_in_s=None if report.blocked else terms.expires_s,
        nudge_in_s=None if report.blocked else terms.nudge_s,
    )
    await shop.finish(job, Fact.BLOCKED if report.blocked else Fact.STAGED, outcome)
    return OVER


STEPS: tuple[tuple[str, Step], ...] = (("start", start), ("produce", produce), ("judge", judge))


def _lane(shop: Workshop, task: Task) -> Lane:
    """The task's lane, within the limits of the rule that let it in."""
    lane = shop.settings().lane(needed(task.current.lane, "lane"))
    terms = task.current.terms
    return replace(lane, limits=lane.limits.tightened(terms.limits)) if terms and terms.limits else lane


def _part(lane: Lane, task: Task) -> Part:
    """The steps of the lane that this revision takes, up to the next approval; taking a change back takes none."""
    if not lane.steps or _intent(task).revert_of is not None:
        return Part(())
    return part_after(lane.name, lane.steps, task.current.basis.passed)


def _executor(shop: Workshop, lane: Lane, intent: Intent) -> Executor:
    """The lane's executor; taking a change back needs none but git, whatever the lane works with."""
    return shop.executors["edit" if intent.needs_git_alone else lane.executor]


def _intent(task: Task) -> Intent:
    assert task.current.intent is not None
    return task.current.intent


async def _beginning(shop: Workshop, repository: Repository, task: Task) -> tuple[str, str]:
    """(base commit, tree to begin with): the revision this one continues, else the remote's branch now."""
    source = task.current.basis.continue_from
    if source is not None:
        earlier: Revision | None = await shop.database.read(
            lambda session: tasks.revision_of(session, task.number, source)
        )
        if earlier is not None and earlier.staged is not None:
            staged = earlier.staged
            await have_objects(shop, repository, task.number, earlier.n, staged.base, staged.tree)
            return earlier.staged.base, earlier.staged.tree
    base = await repository.fetch_base()
    return base, await repository.tree_of(base)


async def _hold(shop: Workshop, repository: Repository, task: Task, change: Change) -> None:
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


def _awaiting(making: Making) -> dict[str, str]:
    return {"awaits": making.awaits} if making.awaits else {}


def _no_change(task: Task) -> Problem:
    return Problem(
        Kind.FAILED,
        "no_change",
        f"nothing to change for #{task.number}: the files already are as asked",
        "Reply with something else, or leave it.",
    )


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
