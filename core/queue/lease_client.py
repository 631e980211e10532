"""The lease client: waits for model leases on behalf of this process, and renews those that it has."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from core.log import log
from core.model.errors import CountersignError, TransientError
from core.model.model_lease import LeaseState, current_work
from core.services.model_leases import LEASE_MS, ModelLeaseBook

POLL_S: Final = 0.1
"""How often waiting leases are looked at, besides when this process grants one."""
_RENEW_EVERY_S: Final = LEASE_MS / 3000
_REFUSED_FOR_S: Final = 15.0


@dataclass(slots=True)
class LeaseClient:
    """`core.ports.leases.ModelLeases` by the database. `wake_granter` is called when a lease was asked for or ended."""

    book: ModelLeaseBook
    wake_granter: Callable[[], None] = lambda: None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _waiting_jobs: Counter[str] = field(default_factory=Counter)

    @property
    def waiting_jobs(self) -> Collection[str]:
        """The jobs of this process that wait for a model and so need no worker slot."""
        return self._waiting_jobs.keys()

    def notify(self) -> None:
        """Let those who wait look whether they were granted."""
        self._changed.set()

    @asynccontextmanager
    async def lease(self, model: str) -> AsyncIterator[None]:
        """See `core.ports.leases.ModelLeases.lease`."""
        work = current_work()
        lease = await self.book.request(model, work)
        if lease is None:
            yield
            return
        renewal = asyncio.create_task(self._renew(lease))
        has_worked = False
        try:
            self.wake_granter()
            await self._wait(lease, model, work.job)
            has_worked = True
            yield
        finally:
            renewal.cancel()
            ending = self.book.end(lease, work) if has_worked else self.book.withdraw(lease)
            await asyncio.shield(self._finish(ending))

    async def _wait(self, lease: str, model: str, job: str | None) -> None:
        """Return once the lease is granted; raises `TransientError` when it is refused or was lost."""
        if job is not None:
            self._waiting_jobs[job] += 1
        try:
            while True:
                state, reason = (await self.book.states([lease])).get(lease, (LeaseState.ENDED, ""))
                if state is LeaseState.GRANTED:
                    return
                if state is not LeaseState.WAITING:
                    message = reason or f"The lease of {model} was lost, because it was not renewed in time"
                    raise TransientError("model_down", message, "", retry_after_s=_REFUSED_FOR_S)
                await self._sleep()
        finally:
            if job is not None:
                self._waiting_jobs[job] -= 1
                self._waiting_jobs += Counter()  # drops those that are at 0

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(POLL_S):
                await self._changed.wait()
        except TimeoutError:
            pass
        self._changed.clear()

    async def _renew(self, lease: str) -> None:
        while True:
            await asyncio.sleep(_RENEW_EVERY_S)
            try:
                await self.book.renew([lease])
            except CountersignError as error:
                log.warning("lease_not_renewed", problem=error.problem.message)

    async def _finish(self, ending: Awaitable[None]) -> None:
        try:
            await ending
        except CountersignError as error:  # it ends by itself when it is not renewed
            log.warning("lease_not_ended", problem=error.problem.message)
        self.wake_granter()
