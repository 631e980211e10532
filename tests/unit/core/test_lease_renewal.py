"""Leases are renewed while the work goes on, and not a moment longer."""

from __future__ import annotations

import asyncio

import pytest

from core.model.errors import TransientError
from core.services.lease_renewal import renewed


async def test_a_lease_is_renewed_until_its_work_is_done():
    renewals = 0
    enough = asyncio.Event()

    async def renew() -> None:
        nonlocal renewals
        renewals += 1
        if renewals == 1:
            raise TransientError("database_unavailable", "not now")
        if renewals > 2:
            enough.set()

    async with asyncio.timeout(60), renewed(renew, lease_ms=3):
        await enough.wait()
    after = renewals
    await asyncio.sleep(0.05)
    assert renewals == after


async def test_a_fault_of_the_renewal_is_raised_when_the_work_is_done():
    failed = asyncio.Event()

    async def renew() -> None:
        failed.set()
        raise KeyError("a mistake of ours")

    with pytest.raises(KeyError):
        async with renewed(renew, lease_ms=3):
            await failed.wait()


async def test_a_failure_of_the_work_ends_the_renewal():
    with pytest.raises(ZeroDivisionError):
        async with renewed(lambda: asyncio.sleep(0), lease_ms=3):
            raise ZeroDivisionError
    assert len(asyncio.all_tasks()) == 1
