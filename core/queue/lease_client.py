"""The lease client: waits for model leases on behalf of this process, and renews those that it has."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Final

from core.log import log
from core.model.errors import CountersignError
from core.model.model_lease import LeaseState, ModelLease, ModelPlace, current_work
from core.ports.leases import LeaseRefusedError
from core.services.model_leases import LEASE_MS, ModelLeaseBook

POLL_S: Final = 0.1
"""How often waiting leases are looked at, besides when this process grants one."""
_RENEW_EVERY_S: Final = LEASE_MS / 3000
_REFUSED_FOR_S: Final = 15.0


@dataclass(slots=True)
class LeaseClient:
    """`core.ports.leases.ModelLeases` by the database. `wake_granter` is called when a lease was asked for or ended.

    One task looks after all leases of the process, and runs while there are any.
    """

    book: ModelLeaseBook
    wake_granter: Callable[[], None] = lambda: None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _leases: set[str] = field(default_factory=set)
    _waiting: dict[str, asyncio.Future[ModelLease]] = field(default_factory=dict)
    _waiting_jobs: Counter[str] = field(default_factory=Counter)
    _busy_jobs: Counter[str] = field(default_factory=Counter)
    """How many leases each job waits for without a slot, and how many it has or waits for with one."""
    _watcher: asyncio.Task[None] | None = None

    @property
    def waiting_jobs(self) -> Collection[str]:
        """The jobs of this process that only wait for models, and so need no worker slot."""
        return [job for job in self._waiting_jobs if not self._busy_jobs[job]]

    def notify(self) -> None:
        """Look at once whether waiting leases were granted."""
        self._changed.set()

    @asynccontextmanager
    async def lease(self, model: str, *, keeps_slot: bool = False) -> AsyncIterator[ModelPlace | None]:
        """See `core.ports.leases.ModelLeases.lease`."""
        async with self._lease(model, keeps_slot=keeps_slot) as place:
            yield place

    async def reserve(self, model: str) -> ModelPlace | None:
        """See `core.ports.leases.ModelLeases.reserve`."""
        async with self._lease(model, is_reservation=True) as place:
            return place

    @asynccontextmanager
    async def _lease(
        self, model: str, *, keeps_slot: bool = False, is_reservation: bool = False
    ) -> AsyncIterator[ModelPlace | None]:
        work = current_work()
        lease = await self.book.request(model, work, is_reservation=is_reservation)
        if lease is None:
            with _counted(self._busy_jobs, work.job):
                yield None
            return
        has_worked = False
        try:
            with _counted(self._busy_jobs if keeps_slot else self._waiting_jobs, work.job):
                place = await self._wait(lease, model)
            has_worked = True
            with _counted(self._busy_jobs, work.job):
                yield place
        finally:
            self._leases.discard(lease)
            ending = self.book.end(lease, work) if has_worked else self.book.withdraw(lease)
            await asyncio.shield(self._finish(ending))

    async def _wait(self, lease: str, model: str) -> ModelPlace | None:
        """The place of a lease once it is granted; raises `LeaseRefusedError` when it is refused or was lost."""
        self._waiting[lease] = asyncio.get_running_loop().create_future()
        self._leases.add(lease)
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch(), name="model leases")
        self.wake_granter()
        try:
            answer = await self._waiting[lease]
        finally:
            del self._waiting[lease]
        if answer.state is not LeaseState.GRANTED:
            message = answer.reason or f"The lease of {model} was lost, because it was not renewed in time"
            raise LeaseRefusedError("model_down", message, "", retry_after_s=_REFUSED_FOR_S)
        return answer.place

    async def _watch(self) -> None:
        """Look after the leases until there are none: tell those that wait, and renew all."""
        loop = asyncio.get_running_loop()
        renewed_s = loop.time()
        while self._leases:
            try:
                if self._waiting:
                    self._tell(await self.book.leases(list(self._waiting)))
                if loop.time() - renewed_s >= _RENEW_EVERY_S:
                    renewed_s = loop.time()
                    await self.book.renew(list(self._leases))
            except CountersignError as error:
                log.warning("leases_not_watched", problem=error.problem.message)
            await self._sleep(POLL_S if self._waiting else 1.0)

    def _tell(self, answers: Mapping[str, ModelLease]) -> None:
        for lease, waiting in list(self._waiting.items()):
            if lease in answers and answers[lease].state is not LeaseState.WAITING and not waiting.done():
                waiting.set_result(answers[lease])

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass
        self._changed.clear()

    async def _finish(self, ending: Awaitable[None]) -> None:
        try:
            await ending
        except CountersignError as error:  # it ends by itself when it is not renewed
            log.warning("lease_not_ended", problem=error.problem.message)
        self.wake_granter()


@contextmanager
def _counted(jobs: Counter[str], job: str | None) -> Iterator[None]:
    """Count one more of a job within the block; jobs without any are not kept."""
    if job is None:
        yield
        return
    jobs[job] += 1
    try:
        yield
    finally:
        jobs[job] -= 1
        if not jobs[job]:
            del jobs[job]
