"""Leases are kept while the work goes on, and not a moment longer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from core.model.errors import TransientError
from core.services.lease_renewal import kept_leased


@dataclass
class Leases:
    """Counts what happens to leases; `faults` are raised by the next renewals."""

    faults: list[Exception] = field(default_factory=list)
    renewals: int = 0
    releases: int = 0
    renewed: asyncio.Event = field(default_factory=asyncio.Event)

    async def renew(self) -> None:
        self.renewals += 1
        if self.faults:
            raise self.faults.pop(0)
        self.renewed.set()

    async def release(self) -> None:
        self.releases += 1

    def kept(self):
        return kept_leased(self.renew, self.release, lease_ms=3)


async def test_a_lease_is_renewed_until_its_work_is_done_though_a_renewal_fails():
    leases = Leases([TransientError("database_unavailable", "not now")])
    async with asyncio.timeout(60), leases.kept():
        await leases.renewed.wait()
    renewals = leases.renewals
    await asyncio.sleep(0.05)
    assert (leases.renewals, leases.releases) == (renewals, 0)


async def test_a_fault_of_the_renewal_is_raised_when_the_work_is_done():
    leases = Leases([KeyError("a mistake of ours")])

    async def work() -> None:
        async with leases.kept():
            while leases.faults:  # noqa: ASYNC110 - the fault ends the renewal, so it can set no event
                await asyncio.sleep(0.001)

    with pytest.raises(KeyError):
        await work()


async def test_a_failure_of_the_work_ends_the_renewal():
    leases = Leases()
    with pytest.raises(ZeroDivisionError):
        async with leases.kept():
            raise ZeroDivisionError
    assert len(asyncio.all_tasks()) == 1


async def test_work_that_is_cancelled_releases_its_leases():
    leases = Leases()

    async def work() -> None:
        async with leases.kept():
            await asyncio.Event().wait()

    working = asyncio.create_task(work())
    async with asyncio.timeout(60):
        await leases.renewed.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert leases.releases == 1
