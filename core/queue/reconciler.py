"""The reconciler: repairs what crashes left behind, and applies timeouts. Every pass is a few indexed queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.log import log
from core.model.errors import ConflictError, Kind, Problem
from core.model.job import MAX_RESCUES, Job, JobKind, JobState
from core.model.lifecycle import OWED_IN, WAITING_FOR_PEOPLE, Fact, State
from core.queue.budget_release import BudgetRelease
from core.queue.lost_dependency import settle_lost
from core.queue.reminders import remind
from core.settings import SettingsSource
from core.store import jobs, queue_queries, shared_runs, tasks, workers
from core.store.database import Database
from core.store.transition import DEPENDENCY_MET, owed_again, owed_job, record_refused_reply, take_step
from core.store.unit_of_work import Tx, reads, writes

BATCH = 200
_DEPENDENCY_LOST = (
    State.REFUSED,
    State.REJECTED,
    State.EXPIRED,
    State.FAILED,
    State.CANCELLED,
    State.CLOSED,
)


@dataclass(frozen=True, slots=True)
class _Survey:
    """What a pass finds to do; each of it is checked again in the transaction that does it."""

    silent_in_s: float
    """How long until the next living worker counts as dead if it sends no heartbeat; 0 or less if one does now."""
    to_expire: Sequence[int]
    to_remind: Sequence[int]
    any_dependency_met: bool
    any_stranded: bool
    lost_dependencies: Sequence[tuple[int, int, str]]
    to_resume: Sequence[int]
    orphans: Sequence[int]


@dataclass(slots=True)
class Reconciler:
    """Declares silent workers dead, expires waits, releases dependencies, and gives orphaned tasks a new job."""

    database: Database
    settings: SettingsSource
    next_silence_s: float = float("inf")
    """When, in seconds after the last pass, a worker counts as dead that sends no heartbeat until then."""

    async def sweep(self, worker: str = "") -> int:
        """One pass on behalf of the living `worker`; returns the number of changes."""
        lease_ms = round(self.settings().timing.lease_s * 1000)
        survey = await self._survey(lease_ms, worker)
        self.next_silence_s = survey.silent_in_s
        changed = _logged(await self._declare_dead(lease_ms, worker)) if survey.silent_in_s <= 0 else 0
        changed += await self._expire(survey.to_expire)
        changed += await self._remind(survey.to_remind)
        changed += await self._settle_dependencies(survey)
        changed += await BudgetRelease(self.database, self.settings).resume_if_free(survey.to_resume)
        return changed + await self._replace_lost_jobs(survey.orphans)

    @reads
    async def _survey(self, tx: Tx, lease_ms: int, but: str) -> _Survey:
        """Everything in one transaction: an idle server does this again and again."""
        heartbeat_ms = await workers.oldest_heartbeat_ms(tx, but)
        met, lost = ([state.value for state in states] for states in (DEPENDENCY_MET, _DEPENDENCY_LOST))
        owed = {state.value: kind.value for state, kind in OWED_IN.items()}
        return _Survey(
            silent_in_s=(heartbeat_ms + lease_ms - tx.now_ms) / 1000 if heartbeat_ms is not None else float("inf"),
            to_expire=await tasks.due_to_expire(tx, tuple(sorted(WAITING_FOR_PEOPLE)), BATCH),
            to_remind=await tasks.due_to_remind(tx, BATCH),
            any_dependency_met=bool(await queue_queries.waiting_on(tx, met, 1)),
            any_stranded=await shared_runs.any_stranded(tx),
            lost_dependencies=await queue_queries.waiting_on(tx, lost, BATCH),
            to_resume=await tasks.due_to_resume(tx, BATCH),
            orphans=await queue_queries.orphans(tx, owed, BATCH),
        )

    async def release(self, worker: str, job_ids: set[str]) -> int:
        """Return jobs to the queue that `worker` holds but does not run; returns their number."""
        return _logged(await self._rescue_jobs(worker, job_ids))

    # -- dead workers

    @writes
    async def _declare_dead(self, tx: Tx, lease_ms: int, but: str) -> list[Job]:
        """Declare workers dead that sent no heartbeat for the time of a lease, and rescue their jobs."""
        dead = await workers.declare_dead(tx, tx.now_ms - lease_ms, but)
        return await self._rescue(tx, dead) if dead else []

    @writes
    async def _rescue_jobs(self, tx: Tx, worker: str, job_ids: set[str]) -> list[Job]:
        return await self._rescue(tx, [worker], only=job_ids)

    async def _rescue(self, tx: Tx, owners: list[str], only: set[str] | None = None) -> list[Job]:
        rescued = await jobs.rescue_from(tx, owners, count=True, only=only)
        for job in rescued:
            if job.rescues > MAX_RESCUES:
                await self._give_up(tx, job)
        return rescued

    async def _give_up(self, tx: Tx, job: Job) -> None:
        """Fail a job with which so many workers died, because it probably is the cause."""
        problem = Problem(
            Kind.FAILED,
            "kills_workers",
            f"{job.rescues} workers died while working on #{job.number}",
            "Look at the workers' logs, then reply to try again.",
        )
        await jobs.close_unclaimed(tx, job.id, JobState.FAILED)
        if job.kind is JobKind.READ:
            await record_refused_reply(tx, job, problem)
            return
        task = await tasks.load(tx, job.number, lock=True)
        error = problem.to_json()
        await take_step(tx, task, Fact.FAILED, body={"error": error}, changes={"error": error})

    # -- what waits for people

    async def _expire(self, numbers: Sequence[int]) -> int:
        """Expire tasks that waited too long for a person; an expiry is not a rejection."""
        expired = 0
        for number in numbers:
            message = f"no one decided on #{number} in time"
            problem = Problem(Kind.CONFLICT, "expired", message, "Reply to it to start its next revision.")
            expired += await self._step_if_possible(number, Fact.EXPIRED, problem)
        return expired

    async def _remind(self, numbers: Sequence[int]) -> int:
        """Remind people of what waits for them and, if no one answers, escalate; expiry comes last."""
        reminded = 0
        for number in numbers:
            try:
                await self._remind_of(number)
            except ConflictError:  # it was decided meanwhile
                continue
            reminded += 1
        return reminded

    @writes
    async def _remind_of(self, tx: Tx, number: int) -> None:
        await remind(tx, self.settings(), number)

    # -- dependencies

    async def _settle_dependencies(self, survey: _Survey) -> int:
        """Release jobs whose dependency was published; apply the failure rule where it cannot be any more."""
        changed = await self._release_waiting() if survey.any_dependency_met else 0
        changed += await self._release_stranded() if survey.any_stranded else 0
        for number, after, state in survey.lost_dependencies:
            try:
                await self._settle_lost(number, after, state)
            except ConflictError:  # the task changed meanwhile
                continue
            changed += 1
        return changed

    @writes
    async def _settle_lost(self, tx: Tx, number: int, after: int, state: str) -> None:
        await settle_lost(tx, number, after, state)

    @writes
    async def _release_stranded(self, tx: Tx) -> int:
        return await shared_runs.release_stranded(tx)

    @writes
    async def _release_waiting(self, tx: Tx) -> int:
        return await jobs.release_waiting(tx, [state.value for state in DEPENDENCY_MET])

    @writes
    async def _step(self, tx: Tx, number: int, fact: Fact, problem: Problem) -> None:
        task = await tasks.load(tx, number, lock=True)
        await take_step(tx, task, fact, changes={"error": problem.to_json(), "expires_ms": None})

    async def _step_if_possible(self, number: int, fact: Fact, problem: Problem) -> int:
        try:
            await self._step(number, fact, problem)
        except ConflictError:  # the task changed meanwhile, so there is nothing to do
            return 0
        return 1

    # -- orphans

    async def _replace_lost_jobs(self, orphans: Sequence[int]) -> int:
        """Give a new job to tasks in a working state that have none, which is the result of a fault."""
        for number in orphans:
            log.warning("job_owed_again", task=number)
            await self._owe_again(number)
        return len(orphans)

    @writes
    async def _owe_again(self, tx: Tx, number: int) -> None:
        task = await tasks.load(tx, number, lock=True)
        kind = OWED_IN.get(task.state)
        if kind is None or await queue_queries.active_of(tx, number):
            return
        owed = await owed_again(tx, number, kind, (task.revision,))
        await jobs.add(tx, owed_job(tx, task, kind, task.revision, owed))


def _logged(rescued: list[Job]) -> int:
    """Log rescued jobs; returns their number."""
    for job in rescued:
        log.warning("job_rescued", job=job.id, task=job.number, rescues=job.rescues)
    return len(rescued)
