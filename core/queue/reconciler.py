"""The reconciler: repairs what crashes left behind, and applies timeouts. Every pass is a few indexed queries."""

from __future__ import annotations

from dataclasses import dataclass

from core.log import log
from core.model.errors import ConflictError, Kind, Problem
from core.model.job import MAX_RESCUES, Job, JobKind, JobState
from core.model.lifecycle import OWED_IN, WAITING_FOR_PEOPLE, Fact, State
from core.queue.reminders import remind
from core.settings import SettingsSource
from core.store import jobs, queue_queries, tasks, workers
from core.store.database import Database
from core.store.transition import DEPENDENCY_MET, owed_again, owed_job, record_refused_reply, take_step
from core.store.unit_of_work import Tx

BATCH = 200
_DEPENDENCY_LOST = (
    State.REFUSED,
    State.REJECTED,
    State.EXPIRED,
    State.FAILED,
    State.CANCELLED,
    State.CLOSED,
)


@dataclass(slots=True)
class Reconciler:
    """Declares silent workers dead, expires waits, releases dependencies, and gives orphaned tasks a new job."""

    database: Database
    settings: SettingsSource

    async def sweep(self, worker: str = "") -> int:
        """One pass on behalf of the living `worker`; returns the number of changes."""
        changed = await self._rescue_from_dead(worker)
        changed += await self._expire()
        changed += await self._remind()
        changed += await self._dependencies()
        return changed + await self._orphans()

    async def _rescue_from_dead(self, but: str) -> int:
        """Rescue the jobs of workers without a heartbeat for the time of a lease."""
        lease_ms = round(self.settings().timing.lease_s * 1000)

        async def silent(tx: Tx) -> bool:
            return await workers.any_silent(tx, tx.now_ms - lease_ms, but)

        async def work(tx: Tx) -> list[Job]:
            dead = await workers.declare_dead(tx, tx.now_ms - lease_ms, but)
            return await self._rescue(tx, dead) if dead else []

        if not await self.database.read(silent):
            return 0
        return _logged(await self.database.write(work))

    async def release(self, worker: str, job_ids: set[str]) -> int:
        """Return jobs to the queue that `worker` holds but does not run."""

        async def work(tx: Tx) -> list[Job]:
            return await self._rescue(tx, [worker], only=job_ids)

        return _logged(await self.database.write(work))

    async def _rescue(self, tx: Tx, owners: list[str], only: set[str] | None = None) -> list[Job]:
        rescued = await jobs.rescue_from(tx, owners, count=True, only=only)
        for job in rescued:
            if job.rescues > MAX_RESCUES:
                await self._give_up(tx, job)
        return rescued

    async def _give_up(self, tx: Tx, job: Job) -> None:
        """Fail a job that so many workers died with, because it probably is the cause."""
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
        await take_step(
            tx,
            task,
            Fact.FAILED,
            body={"error": problem.to_json()},
            changes={"error": problem.to_json()},
        )

    async def _expire(self) -> int:
        """Expire tasks that waited too long for a person; an expiry is not a rejection."""
        states = tuple(sorted(WAITING_FOR_PEOPLE))

        async def due(tx: Tx) -> list[int]:
            return await tasks.due_to_expire(tx, states, BATCH)

        expired = 0
        for number in await self.database.read(due):
            expired += await self._step_if_possible(
                number,
                Fact.EXPIRED,
                Problem(
                    Kind.CONFLICT,
                    "expired",
                    f"nobody decided on #{number} in time",
                    "Reply to it to start its next revision.",
                ),
            )
        return expired

    async def _remind(self) -> int:
        """Remind people of what waits for them and, if nobody answers, escalate; expiry comes last."""

        async def due(tx: Tx) -> list[int]:
            return await tasks.due_to_remind(tx, BATCH)

        reminded = 0
        for number in await self.database.read(due):

            async def work(tx: Tx, number: int = number) -> None:
                await remind(tx, self.settings(), number)

            try:
                await self.database.write(work)
            except ConflictError:  # it was decided meanwhile
                continue
            reminded += 1
        return reminded

    async def _dependencies(self) -> int:
        """Release jobs whose dependency was published; fail tasks whose dependency cannot be any more."""

        async def lost(tx: Tx) -> list[tuple[int, int, str]]:
            return await queue_queries.waiting_on(tx, [s.value for s in _DEPENDENCY_LOST], BATCH)

        async def met(tx: Tx) -> bool:
            return bool(await queue_queries.waiting_on(tx, [s.value for s in DEPENDENCY_MET], 1))

        async def release(tx: Tx) -> int:
            return await jobs.release_waiting(tx, [s.value for s in DEPENDENCY_MET])

        changed = await self.database.write(release) if await self.database.read(met) else 0
        for number, after, state in await self.database.read(lost):
            problem = Problem(
                Kind.FAILED,
                "dependency",
                f"#{number} waited for #{after}, which is {state}",
                "Reply to it to run it anyway.",
            )
            changed += await self._step_if_possible(number, Fact.FAILED, problem)
        return changed

    async def _orphans(self) -> int:
        """Give a new job to tasks in a working state that have none, which is the result of a fault."""
        owed = {state.value: kind.value for state, kind in OWED_IN.items()}
        orphans = await self.database.read(lambda tx: queue_queries.orphans(tx, owed, BATCH))
        for number in orphans:

            async def work(tx: Tx, number: int = number) -> None:
                task = await tasks.load(tx, number, lock=True)
                kind = OWED_IN.get(task.state)
                if kind is None or await queue_queries.active_of(tx, number):
                    return
                owed = await owed_again(tx, number, kind, (task.revision,))
                await jobs.add(tx, owed_job(tx, task, kind, task.revision, owed))

            log.warning("job_owed_again", task=number)
            await self.database.write(work)
        return len(orphans)

    async def _step_if_possible(self, number: int, fact: Fact, problem: Problem) -> int:
        async def work(tx: Tx) -> None:
            task = await tasks.load(tx, number, lock=True)
            if fact is Fact.FAILED:
                await jobs.cancel_jobs(tx, number)
            changes = {"error": problem.to_json(), "expires_ms": None}
            await take_step(tx, task, fact, changes=changes)

        try:
            await self.database.write(work)
        except ConflictError:  # the task changed meanwhile, so there is nothing to do
            return 0
        return 1


def _logged(rescued: list[Job]) -> int:
    for job in rescued:
        log.warning("job_rescued", job=job.id, task=job.number, rescues=job.rescues)
    return len(rescued)
