"""The reconciler: finds what crashes and time left behind, and sets it right. Every pass is a few indexed queries."""

from __future__ import annotations

from dataclasses import dataclass

from core.log import log
from core.model.errors import ConflictError, Kind, Problem
from core.model.job import MAX_RESCUES, Job, JobKind, JobState
from core.model.lifecycle import OWED_IN, WAITING_FOR_PEOPLE, Fact, State
from core.queue.reminders import nudge
from core.settings import SettingsSource
from core.store import jobs, queue_queries, tasks, workers
from core.store.database import Database
from core.store.transition import DEPENDENCY_MET, owed_again, owed_job, take_step, tell_unread
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
    """Buries silent workers, expires waits, releases dependencies, and gives orphaned tasks their job again."""

    database: Database
    settings: SettingsSource

    async def sweep(self, worker: str = "") -> int:
        """One pass on behalf of `worker`, who lives; returns how many things it changed."""
        changed = await self._bury(worker)
        changed += await self._expire()
        changed += await self._nudge()
        changed += await self._dependencies()
        return changed + await self._orphans()

    async def _bury(self, but: str) -> int:
        """Rescue the jobs of workers that the database has not heard of for a lease."""
        lease_ms = round(self.settings().timing.lease_s * 1000)

        async def silent(tx: Tx) -> bool:
            return await workers.any_silent(tx, tx.now_ms - lease_ms, but)

        async def work(tx: Tx) -> list[Job]:
            dead = await workers.bury(tx, tx.now_ms - lease_ms, but)
            return await self._rescue(tx, dead) if dead else []

        if not await self.database.read(silent):
            return 0
        return _told(await self.database.write(work))

    async def release(self, worker: str, job_ids: set[str]) -> int:
        """Give back what `worker` holds but does not work on, such as a job whose outcome could not be written."""

        async def work(tx: Tx) -> list[Job]:
            return await self._rescue(tx, [worker], only=job_ids)

        return _told(await self.database.write(work))

    async def _rescue(self, tx: Tx, owners: list[str], only: set[str] | None = None) -> list[Job]:
        rescued = await jobs.rescue_from(tx, owners, count=True, only=only)
        for job in rescued:
            if job.rescues > MAX_RESCUES:
                await self._give_up(tx, job)
        return rescued

    async def _give_up(self, tx: Tx, job: Job) -> None:
        """A job that outlived that many workers is the likely cause: fail it."""
        problem = Problem(
            Kind.FAILED,
            "kills_workers",
            f"{job.rescues} workers died while working on #{job.number}",
            "Look at the workers' logs, then reply to try again.",
        )
        await jobs.close_unclaimed(tx, job.id, JobState.FAILED)
        if job.kind is JobKind.READ:
            await tell_unread(tx, job, problem)
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
        """A timeout is not a denial: what waited too long for a person expires, and says so."""
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

    async def _nudge(self) -> int:
        """Remind of what waits for a person and, when nobody answers, ask the next ones; expiry comes last."""

        async def due(tx: Tx) -> list[int]:
            return await tasks.due_to_nudge(tx, BATCH)

        nudged = 0
        for number in await self.database.read(due):

            async def work(tx: Tx, number: int = number) -> None:
                await nudge(tx, self.settings(), number)

            try:
                await self.database.write(work)
            except ConflictError:  # somebody decided meanwhile
                continue
            nudged += 1
        return nudged

    async def _dependencies(self) -> int:
        """Let go on what waited for a task that went through; fail what waited for one that did not."""

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
        """A working task without a living job lost it to a fault; it gets a new one."""
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
                await jobs.drop(tx, number)
            changes = {"error": problem.to_json(), "expires_ms": None}
            await take_step(tx, task, fact, changes=changes)

        try:
            await self.database.write(work)
        except ConflictError:  # somebody was faster: then there is nothing left to do here
            return 0
        return 1


def _told(rescued: list[Job]) -> int:
    for job in rescued:
        log.warning("job_rescued", job=job.id, task=job.number, rescues=job.rescues)
    return len(rescued)
