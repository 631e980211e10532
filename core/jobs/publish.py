"""Publish: count the approvals again, push the approved tree, open the pull request, sign the receipt."""

from __future__ import annotations

from dataclasses import replace

from core.jobs.job_context import OVER, JobContext, JobOutcome, JobStep, StepOutput, needed
from core.jobs.objects import have_objects
from core.jobs.pull_request_text import body_of, branch_of, message_of, shown_outside, title_of, withheld
from core.model.advice import CommandName, Suggestion, advise
from core.model.approval import Approval, Verdict
from core.model.change import FileChange
from core.model.errors import ConflictError, Kind, PermanentError, Problem
from core.model.event import Event
from core.model.job import Job
from core.model.lifecycle import Fact
from core.model.place import Place
from core.model.staged_diff import StagedDiff, confirmed
from core.model.task import PullRequest, Task
from core.ports import Commit, Forge, PullRequestDraft, Repository
from core.rules import receipt
from core.rules.audit import AuditRows, contradictions
from core.rules.quorum import needs_of, uncounted
from core.rules.standing_terms import refusal_now
from core.store import artifacts, events, tasks
from core.store.unit_of_work import Tx


async def check(shop: JobContext, job: Job, _notes: StepOutput) -> StepOutput:
    """Recount the quorum under the policy in force now; fall back to staged when it no longer holds."""
    task = await shop.task_for(job)
    settings = shop.settings()
    needs = await shop.database.read(lambda tx: needs_of(tx, settings, task))
    shop.milestones.reached("publish.counted", number=job.number)
    refusal = refusal_now(settings, task, files=await _files_of(shop, job))
    await _check_rows(shop, task)
    if needs is not None and needs.met and refusal is None:
        return {"countersigned": list(needs.have)}
    why = uncounted(needs, refusal)
    problem = Problem(
        Kind.REFUSED,
        "approval_void",
        f"the approval of #{task.number} no longer holds: {why}",
        advise("Look who is still needed with ", Suggestion(CommandName.SHOW, task.number), "."),
    )
    expires_in_s = task.current.terms.expires_s if task.current.terms else None
    await shop.finish(job, Fact.VOIDED, JobOutcome(problem=problem, body={"why": why}, expires_in_s=expires_in_s))
    return OVER


async def _files_of(shop: JobContext, job: Job) -> tuple[FileChange, ...]:
    """What git has under the approved digest; raises `PermanentError` when that is something else."""
    task, staged, repository = await _approved(shop, job)
    await have_objects(shop, repository, task.number, task.revision, staged.base, staged.tree)
    return (await confirmed(repository, staged)).files


async def _check_rows(shop: JobContext, task: Task) -> None:
    """Raise `PermanentError` when rows and events disagree: nothing of such a task is pushed or signed."""

    async def read(tx: Tx) -> tuple[AuditRows, list[Event]]:
        turns, said = await tasks.turns_of(tx, task.number), await tasks.approvals_of(tx, task.number)
        return AuditRows(task, task.current, turns, said), await events.chain_of(tx, task.number)

    wrong = contradictions(*await shop.database.read(read))
    if wrong:
        mend = "The database was modified outside Countersign; reply to the task to make its change anew."
        raise PermanentError("rows_changed", f"#{task.number} is not published: {'; '.join(wrong)}", mend)


async def push(shop: JobContext, job: Job, notes: StepOutput) -> StepOutput:
    """Commit exactly the approved tree on the approved base, and push it to the task's own branch."""
    task, staged, repository = await _approved(shop, job)
    await have_objects(shop, repository, task.number, task.revision, staged.base, staged.tree)
    counted = await _counted(shop, task, staged, notes)
    task = shown_outside(task, shop.guard.leaks)
    message = message_of(task, staged, counted)
    at = max((a.at for a in counted), default=task.created_at)
    commit = await repository.write_commit(Commit(staged.tree, staged.base, message, at))
    if await repository.tree_of(commit) != staged.tree:
        raise PermanentError("wrong_tree", f"the commit of #{task.number} is not the approved tree")
    ours = f"{task.number}/pushed"
    earlier = await repository.kept(ours)
    await repository.keep(f"{ours}/{commit}", commit)
    shop.milestones.reached("publish.committed", number=job.number, commit=commit)
    await shop.confirm(job)
    branch = task.pull_request.branch if task.pull_request else branch_of(task)
    await _move(shop.forge_of(repository), repository, branch, commit, (_head_of(task), *earlier))
    shop.milestones.reached("publish.pushed", number=job.number)
    return {"commit": commit, "branch": branch}


async def _counted(shop: JobContext, task: Task, staged: StagedDiff, notes: StepOutput) -> list[Approval]:
    """The approvals that the quorum was made of: no earlier no to the same digest, and nobody's that did not count."""
    said = await shop.database.read(lambda tx: tasks.approvals_of(tx, task.number))
    yes = [a for a in said if a.digest == staged.digest and a.verdict is Verdict.APPROVE]
    have = notes.get("countersigned")
    return [a for a in yes if have is None or a.person in have]


async def propose(shop: JobContext, job: Job, notes: StepOutput) -> StepOutput:
    """Open the pull request, or adopt the one an earlier try opened."""
    task, staged, repository = await _approved(shop, job)
    counted = await _counted(shop, task, staged, notes)
    turns = await shop.database.read(lambda tx: tasks.turns_of(tx, task.number))
    task = shown_outside(task, shop.guard.leaks)
    turns = withheld(turns, shop.guard.leaks)
    proposal = PullRequestDraft(
        number=task.number,
        branch=notes["branch"],
        head=notes["commit"],
        into=repository.spec.branch,
        title=title_of(task),
        body=body_of(task, staged, turns, counted) + shop.footnote("\n".join(turn.text for turn in turns)),
        labels=("countersign",),
        revision=task.revision,
        digest=staged.digest,
    )
    await shop.confirm(job)
    opened = await shop.forge_of(repository).open(repository, proposal)
    shop.milestones.reached("publish.opened", number=job.number)
    return {"pull_request": opened.to_json()}


async def record(shop: JobContext, job: Job, notes: StepOutput) -> StepOutput:
    """Sign the receipt and commit that the task is published."""
    task, staged, _ = await _approved(shop, job)
    pull_request = PullRequest.from_json(notes["pull_request"])

    settings = shop.settings()

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

    signed = receipt.sign(shop.keys, await shop.database.read(read))
    shop.milestones.reached("publish.signed", number=job.number)
    await shop.keep_artifact(job, receipt.ARTIFACT, signed)
    pull_request, places = await _beside(shop, job, task, pull_request)
    await shop.finish(
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


async def _beside(shop: JobContext, job: Job, task: Task, opened: PullRequest) -> tuple[PullRequest, tuple[Place, ...]]:
    """Where others look: the artifacts kept beside the pull request, and the place where it is talked about."""
    repository = shop.repository(needed(task.repo, "repository"))
    forge = shop.followed_of(repository)
    if forge is None:
        return opened, ()
    kept = await shop.database.read(lambda tx: artifacts.of_task(tx, task.number))
    files = {a.name: await shop.files.read(a.sha256) for a in kept if a.revision == task.revision}
    if task.staged is not None and "change.patch" in files:
        files["change.patch"] = await repository.diff_text(task.staged.base, task.staged.tree)
    files = {
        name: content for name, content in files.items() if not shop.guard.leaks(content.decode("utf-8", "replace"))
    }
    await shop.confirm(job)
    where = await forge.attach(repository, opened, files)
    return replace(opened, followed=True, files=where), (forge.place_of(repository, opened),)


async def _move(forge: Forge, repository: Repository, branch: str, commit: str, ours: tuple[str | None, ...]) -> None:
    """Push `commit` from wherever we ourselves left the branch; raises `ConflictError` from anywhere else.

    A try that pushed and died before it could say so leaves the branch at one of the commits we kept.
    """
    for expected in ours[:-1]:
        try:
            return await forge.push(repository, branch, commit, expected)
        except ConflictError:
            continue
    return await forge.push(repository, branch, commit, ours[-1])


def _head_of(task: Task) -> str | None:
    return task.pull_request.head if task.pull_request else None


async def _approved(shop: JobContext, job: Job) -> tuple[Task, StagedDiff, Repository]:
    task = await shop.task_for(job)
    repository = shop.repository(needed(task.repo, "repository"))
    if task.staged is None:
        raise ConflictError("nothing_staged", f"#{task.number} has nothing staged")
    return task, task.staged, repository
