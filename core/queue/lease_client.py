"""The lease client: waits for model leases on behalf of this process, and renews those that it has."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from core.log import log
from core.model.errors import CountersignError
from core.model.model_lease import LeaseState, current_work
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
    _waiting: dict[str, asyncio.Future[tuple[LeaseState, str]]] = field(default_factory=dict)
    _waiting_jobs: Counter[str] = field(default_factory=Counter)
    _watcher: asyncio.Task[None] | None = None

    @property
    def waiting_jobs(self) -> Collection[str]:
        """The jobs of this process that wait for a model and so need no worker slot."""
        return [job for job, count in self._waiting_jobs.items() if count > 0]

    def notify(self) -> None:
        """Look at once whether waiting leases were granted."""
        self._changed.set()

    @asynccontextmanager
    async def lease(self, model: str) -> AsyncIterator[None]:
        """See `core.ports.leases.ModelLeases.lease`."""
        work = current_work()
        lease = await self.book.request(model, work)
        if lease is None:
            yield
            return
        has_worked = False
        try:
            await self._wait(lease, model, work.job)
            has_worked = True
            yield
        finally:
            self._leases.discard(lease)
            ending = self.book.end(lease, work) if has_worked else self.book.withdraw(lease)
            await asyncio.shield(self._finish(ending))

    async def _wait(self, lease: str, model: str, job: str | None) -> None:
        """Return once the lease is granted; raises `LeaseRefusedError` when it is refused or was lost."""
        self._waiting[lease] = asyncio.get_running_loop().create_future()
        self._leases.add(lease)
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch(), name="model leases")
        if job is not None:
            self._waiting_jobs[job] += 1
        self.wake_granter()
        try:
            state, reason = await self._waiting[lease]
        finally:
            del self._waiting[lease]
            if job is not None:
                self._waiting_jobs[job] -= 1
        if state is not LeaseState.GRANTED:
            message = reason or f"The lease of {model} was lost, because it was not renewed in time"
            raise LeaseRefusedError("model_down", message, "", retry_after_s=_REFUSED_FOR_S)

    async def _watch(self) -> None:
        """Look after the leases until there are none: tell those that wait, and renew all."""
        loop = asyncio.get_running_loop()
        renewed_s = loop.time()
        while self._leases:
            try:
                if self._waiting:
                    self._tell(await self.book.states(list(self._waiting)))
                if loop.time() - renewed_s >= _RENEW_EVERY_S:
                    renewed_s = loop.time()
                    await self.book.renew(list(self._leases))
            except CountersignError as error:
                log.warning("leases_not_watched", problem=error.problem.message)
            await self._sleep(POLL_S if self._waiting else 1.0)

    def _tell(self, states: dict[str, tuple[LeaseState, str]]) -> None:
        for lease, waiting in list(self._waiting.items()):
            if lease in states and states[lease][0] is not LeaseState.WAITING and not waiting.done():
                waiting.set_result(states[lease])

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
