"""What every job's steps work with, and how a step says that its job is over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from core.model.errors import LostClaimError, PermanentError, Problem
from core.model.job import Job, JobKind, JobState
from core.model.lifecycle import TRANSITIONS, Fact, State
from core.model.place import Place
from core.model.task import PullRequest, Task
from core.model.turn import SYSTEM, Actor
from core.ports import Executor, Followed, Forge, Guard, Interpreter, Milestones, Repository
from core.settings import SettingsSource
from core.signing import Keys
from core.store import artifacts, cards, jobs, tasks
from core.store.artifacts import ArtifactFiles
from core.store.database import Database
from core.store.tables import ArtifactRow
from core.store.transition import NOTHING_MORE, OwedWork, take_step, tell_unread
from core.store.unit_of_work import Tx

OVER = {"over": True}
"""What a step returns when nothing of its job is left to do."""

StepOutput = dict[str, Any]
"""What the steps of one run hand on: JSON, merged from each step's result."""


@dataclass(frozen=True, slots=True)
class JobContext:
    """The ports and the store, as the steps of a job use them.

    `footnote` is what a pull request's body says of a request's text beside it, such as links to its tickets: Markdown
    of ours.
    """

    database: Database
    settings: SettingsSource
    milestones: Milestones
    interpreter: Interpreter
    guard: Guard
    executors: Mapping[str, Executor]
    forges: Mapping[str, Forge]
    followed: Mapping[str, Followed]
    repository: Callable[[str], Repository]
    files: ArtifactFiles
    keys: Keys
    footnote: Callable[[str], str] = lambda _text: ""

    async def task_for(self, job: Job) -> Task:
        """The task of a claimed job; raises `LostClaimError` when a newer revision made the job pointless."""

        async def work(tx: Tx) -> Task:
            task = await tasks.load(tx, job.number)
            if task.revision != job.revision:
                raise LostClaimError("superseded", f"job {job.id} belongs to an older revision")
            return task

        return await self.database.read(work)

    async def confirm(self, job: Job) -> None:
        """Raise `LostClaimError` unless the claim is still ours: asked right before every effect outside (F26)."""
        if not await self.database.read(lambda tx: jobs.holds(tx, job)):
            raise LostClaimError("lost_claim", f"job {job.id} was taken over or cancelled")

    def followed_of(self, repository: Repository) -> Followed | None:
        """The same forge, if others act there too."""
        return self.followed.get(repository.spec.forge)

    def forge_of(self, repository: Repository) -> Forge:
        """Where the repository's pull requests live."""
        return self.forges[repository.spec.forge]

    async def keep_artifact(self, job: Job, name: str, content: bytes) -> None:
        """Store a file with the job's revision, before the effect it documents counts as done."""
        sha256 = await self.files.write(content)

        async def work(tx: Tx) -> None:
            await jobs.hold(tx, job)
            row = ArtifactRow(
                number=job.number,
                revision=job.revision,
                name=name,
                job_id=job.id,
                sha256=sha256,
                size_bytes=len(content),
                created_ms=tx.now_ms,
            )
            await artifacts.record(tx, row)

        await self.database.write(work)

    async def finish(self, job: Job, fact: Fact, outcome: JobOutcome) -> None:
        """Commit what a job came to: job over, task advanced, event written, next jobs owed, all or nothing."""
        self.milestones.reached(f"{job.kind.value}.before_{fact.value}", number=job.number)
        problem = self.shown(outcome.problem) if outcome.problem is not None else None

        async def work(tx: Tx) -> None:
            task = await tasks.load(tx, job.number, lock=True)
            if job.kind is JobKind.FOLLOW and _has_moved_on(task, fact, outcome):
                await jobs.look_again(tx, job, tx.now_ms + SOON_MS)
                return
            if outcome.again_in_s is None:
                over = JobState.FAILED if fact is Fact.FAILED else JobState.DONE
                await jobs.end(tx, job, over, problem)
            else:
                await jobs.look_again(tx, job, tx.now_ms + outcome.again_in_s * 1000)
            if task.revision != job.revision and job.kind is not JobKind.FOLLOW:
                raise LostClaimError("superseded", f"job {job.id} belongs to an older revision")
            changes = dict(outcome.changes)
            if outcome.expires_in_s is not None:
                changes["expires_ms"] = tx.now_ms + outcome.expires_in_s * 1000
            if outcome.nudge_in_s is not None:
                changes["nudge_ms"] = tx.now_ms + outcome.nudge_in_s * 1000
            if problem is not None:
                changes["error"] = problem.to_json()
            if outcome.revision:
                await tasks.save_revision(tx, job.number, job.revision, outcome.revision)
            await take_step(
                tx,
                task,
                fact,
                actor=outcome.actor,
                body=outcome.body,
                changes=changes,
                pull_request=outcome.pull_request,
                owed=outcome.owed,
            )
            for place in outcome.places:
                await cards.bind(tx, job.number, place, None)

        await self.database.write(work)
        self.milestones.reached(f"{job.kind.value}.{fact.value}", number=job.number)

    def shown(self, problem: Problem) -> Problem:
        """The problem without secrets that its words may quote."""
        mask, mend = self.guard.mask, problem.mend
        return replace(
            problem, message=mask(problem.message), mend=mask(mend) if isinstance(mend, str) else mend.masked(mask)
        )

    async def fail(self, job: Job, problem: Problem) -> None:
        """Commit that a job failed for good, and tell why on its task; what was said to a task does not fail it."""
        problem = self.shown(problem)
        if job.kind is JobKind.READ:
            await self.leave_as_it_is(job, problem)
            return
        body: dict[str, Any] = {"error": problem.to_json()}
        await self.finish(job, Fact.FAILED, JobOutcome(problem=problem, body=body, changes={"expires_ms": None}))

    async def leave_as_it_is(self, job: Job, problem: Problem) -> None:
        """Commit that words which were read begin no revision, and tell their writer why, where they were said."""

        async def work(tx: Tx) -> None:
            await jobs.end(tx, job, JobState.DONE, problem)
            await tell_unread(tx, job, problem)

        await self.database.write(work)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOutcome:
    """What a job came to, beside its fact: columns of the task and of its revision, its pull request, the problem.

    With `again_in_s` the job is not over, but goes back into the queue for then. `seen` is the version of the task that
    a look at its pull request was about.
    """

    changes: dict[str, Any] = field(default_factory=dict)
    revision: dict[str, Any] = field(default_factory=dict)
    pull_request: PullRequest | None = None
    body: dict[str, Any] = field(default_factory=dict)
    problem: Problem | None = None
    expires_in_s: int | None = None
    nudge_in_s: int | None = None
    again_in_s: int | None = None
    seen: int | None = None
    places: tuple[Place, ...] = ()
    actor: Actor = SYSTEM
    owed: OwedWork = NOTHING_MORE


SOON_MS = 2000
"""How soon a look is made again that somebody overtook."""


def _has_moved_on(task: Task, fact: Fact, outcome: JobOutcome) -> bool:
    """Whether what a look found is about a task that is no more: then nothing of it may be written.

    A look that fails for good tells it only on a task that rests published; any other has a revision under way, which
    the trouble of looking does not concern.
    """
    if outcome.seen is not None and outcome.seen != task.version:
        return True
    return (task.state, fact) not in TRANSITIONS or (fact is Fact.FAILED and task.state is not State.PUBLISHED)


JobStep = Callable[[JobContext, Job, StepOutput], Awaitable[StepOutput]]
"""One step of a job. It may run more than once, so it looks for its own earlier effect before it acts."""


def needed(value: str | None, what: str) -> str:
    """`value`, which an earlier step must have left; raises `PermanentError` when it is missing."""
    if not value:
        raise PermanentError("incomplete", f"the task has no {what}", "Reply to it to start again.")
    return value
