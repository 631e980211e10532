"""What every job's steps work with, and how a step records the outcome of its job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from core.model.errors import LostClaimError, PermanentError, Problem
from core.model.intent import Intent
from core.model.job import Job, JobKind, JobState
from core.model.lane import Lane
from core.model.lifecycle import TRANSITIONS, Fact, State
from core.model.place import Place
from core.model.task import PullRequest, Task
from core.model.turn import SYSTEM, Actor
from core.model.workflow import EDIT
from core.ports.executor import Executor
from core.ports.forge import FollowedForge, Forge
from core.ports.interpretation import Interpreter
from core.ports.policy import Guard
from core.ports.reporting import Milestones
from core.ports.repository import Repository
from core.settings import SettingsSource
from core.signing import Keys
from core.store import artifacts, cards, jobs, tasks
from core.store.artifacts import ArtifactFiles
from core.store.database import Database
from core.store.git_objects import PACK, bring_objects
from core.store.tables import ArtifactRow
from core.store.transition import NOTHING_MORE, OwedWork, record_refused_reply, take_step
from core.store.unit_of_work import Tx, reads, writes

T = TypeVar("T")

OVER = {"over": True}
"""The output of a step after which the job needs no further step."""

StepOutput = dict[str, Any]
"""What a step returns: JSON. The outputs of earlier steps, merged in order, are passed to the next one."""


@dataclass(frozen=True, slots=True)
class JobContext:
    """The ports and the store, as the steps of a job use them.

    `footnote` is what a pull request's body says in addition about a request's text, such as links to its tickets; it
    is trusted Markdown.
    """

    database: Database
    settings: SettingsSource
    milestones: Milestones
    interpreter: Interpreter
    guard: Guard
    executors: Mapping[str, Executor]
    forges: Mapping[str, Forge]
    followed: Mapping[str, FollowedForge]
    repository: Callable[[str], Repository]
    files: ArtifactFiles
    keys: Keys
    footnote: Callable[[str], str] = lambda _text: ""

    @reads
    async def task_for(self, tx: Tx, job: Job) -> Task:
        """The task of a claimed job; raises `LostClaimError` if the job belongs to an older revision."""
        task = await tasks.load(tx, job.number)
        check_current(task, job)
        return task

    async def confirm(self, job: Job) -> None:
        """Raise `LostClaimError` if the claim is lost; called right before every effect outside (F26)."""
        if not await self.database.read(lambda tx: jobs.has_claim(tx, job)):
            raise LostClaimError("lost_claim", f"job {job.id} was taken over or cancelled")

    def executor_of(self, lane: Lane, intent: Intent) -> Executor:
        """The lane's executor; work on existing trees needs git alone, whatever the lane's executor is.

        Parts of a workflow's change stay with its executor, which knows the steps that check them.
        """
        is_part_of_workflow = intent.keeps_parts and bool(lane.steps)
        return self.executors[EDIT if intent.needs_git_alone and not is_part_of_workflow else lane.executor]

    def followed_of(self, repository: Repository) -> FollowedForge | None:
        """The repository's forge as one where others act too; None for one where only Countersign does."""
        return self.followed.get(repository.spec.forge)

    def forge_of(self, repository: Repository) -> Forge:
        """The forge of the repository's pull requests."""
        return self.forges[repository.spec.forge]

    async def keep_artifact(self, job: Job, name: str, content: bytes) -> None:
        """Store a file with the job's revision, before the effect that it documents counts as done."""
        await self._record_artifact(job, name, await self.files.write(content), len(content))

    @writes
    async def _record_artifact(self, tx: Tx, job: Job, name: str, sha256: str, size_bytes: int) -> None:
        await jobs.check_claim(tx, job)
        row = ArtifactRow(
            number=job.number,
            revision=job.revision,
            name=name,
            job_id=job.id,
            sha256=sha256,
            size_bytes=size_bytes,
            created_ms=tx.now_ms,
        )
        await artifacts.record(tx, row)

    async def keep_objects(self, job: Job, repository: Repository, base: str, tree: str) -> None:
        """Store the git objects that `tree` has and `base` lacks as an artifact, so that every host can get them."""
        await self.keep_artifact(job, PACK, await repository.pack(base, tree))

    async def bring_objects(self, repository: Repository, number: int, revision: int, base: str, tree: str) -> None:
        """Bring `base` and `tree` of a revision into this host's git store, whichever host made them."""
        await bring_objects(self.database, self.files, repository, number, revision, base, tree)

    async def finish(self, job: Job, fact: Fact, outcome: JobOutcome) -> None:
        """Commit a job's outcome in one transaction: the end of the job, the task's step and what it owes."""
        self.milestones.reached(f"{job.kind.value}.before_{fact.value}", number=job.number)
        problem = self.masked(outcome.problem) if outcome.problem is not None else None
        await self._commit(job, fact, replace(outcome, problem=problem))
        self.milestones.reached(f"{job.kind.value}.{fact.value}", number=job.number)

    @writes
    async def _commit(self, tx: Tx, job: Job, fact: Fact, outcome: JobOutcome) -> None:
        task = await tasks.load(tx, job.number, lock=True)
        if job.kind is JobKind.FOLLOW and _has_moved_on(task, fact, outcome):
            await jobs.put_follow_job_back(tx, job, tx.now_ms + SOON_MS)
            return
        if outcome.again_in_s is None:
            state = JobState.FAILED if fact is Fact.FAILED else JobState.DONE
            await jobs.end(tx, job, state, outcome.problem)
        else:
            await jobs.put_follow_job_back(tx, job, tx.now_ms + outcome.again_in_s * 1000)
        if job.kind is not JobKind.FOLLOW:
            check_current(task, job)
        if outcome.revision:
            await tasks.save_revision(tx, job.number, job.revision, outcome.revision)
        await take_step(
            tx,
            task,
            fact,
            actor=outcome.actor,
            body=outcome.body,
            changes=_columns(outcome, tx.now_ms),
            pull_request=outcome.pull_request,
            owed=outcome.owed,
        )
        for place in outcome.places:
            await cards.bind(tx, job.number, place, None)

    def masked(self, problem: Problem) -> Problem:
        """The problem with the secrets masked that its text may quote."""
        mask, mend = self.guard.mask, problem.mend
        return replace(
            problem, message=mask(problem.message), mend=mask(mend) if isinstance(mend, str) else mend.masked(mask)
        )

    async def fail(self, job: Job, problem: Problem) -> None:
        """Commit that a job failed for good, with the reason on its task; a failed read job does not fail the task."""
        problem = self.masked(problem)
        if job.kind is JobKind.READ:
            await self.refuse_reply(job, problem)
            return
        body: dict[str, Any] = {"error": problem.to_json()}
        await self.finish(job, Fact.FAILED, JobOutcome(problem=problem, body=body, changes={"expires_ms": None}))

    @writes
    async def refuse_reply(self, tx: Tx, job: Job, problem: Problem) -> None:
        """Commit that a reply begins no revision, and owe its writer a message that says why."""
        await jobs.end(tx, job, JobState.DONE, problem)
        await record_refused_reply(tx, job, problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOutcome:
    """The outcome of a job beside its fact: columns of the task and of its revision, its pull request, the problem.

    With `again_in_s` the job does not end but returns to the queue for that many seconds. `seen` is the version of the
    task for which its pull request was polled.
    """

    changes: dict[str, Any] = field(default_factory=dict)
    revision: dict[str, Any] = field(default_factory=dict)
    pull_request: PullRequest | None = None
    body: dict[str, Any] = field(default_factory=dict)
    problem: Problem | None = None
    expires_in_s: int | None = None
    remind_in_s: int | None = None
    again_in_s: int | None = None
    seen: int | None = None
    places: tuple[Place, ...] = ()
    actor: Actor = SYSTEM
    owed: OwedWork = NOTHING_MORE


SOON_MS = 2000
"""How soon a pull request is polled again if its task changed meanwhile."""


def check_current(task: Task, job: Job) -> None:
    """Raise `LostClaimError` if `job` belongs to an older revision of `task`."""
    if task.revision != job.revision:
        raise LostClaimError("superseded", f"job {job.id} belongs to an older revision")


def _columns(outcome: JobOutcome, now_ms: int) -> dict[str, Any]:
    """The task's columns that an outcome changes, with its times relative to the database's clock."""
    changes = dict(outcome.changes)
    if outcome.expires_in_s is not None:
        changes["expires_ms"] = now_ms + outcome.expires_in_s * 1000
    if outcome.remind_in_s is not None:
        changes["nudge_ms"] = now_ms + outcome.remind_in_s * 1000
    if outcome.problem is not None:
        changes["error"] = outcome.problem.to_json()
    return changes


def _has_moved_on(task: Task, fact: Fact, outcome: JobOutcome) -> bool:
    """Whether the task changed since its pull request was polled, so that nothing of the outcome may be written.

    A poll that fails for good is recorded only on a task that rests published; in any other state the next revision is
    under way, which the failure does not concern.
    """
    if outcome.seen is not None and outcome.seen != task.version:
        return True
    return (task.state, fact) not in TRANSITIONS or (fact is Fact.FAILED and task.state is not State.PUBLISHED)


JobStep = Callable[[JobContext, Job, StepOutput], Awaitable[StepOutput]]
"""One step of a job. It may run more than once, so it looks for its own earlier effect before it acts."""


def needed(value: T | None, what: str) -> T:
    """`value`, which an earlier step must have left; raises `PermanentError` if it is missing."""
    if not value:
        raise PermanentError("incomplete", f"the task has no {what}", "Reply to it to start again.")
    return value
