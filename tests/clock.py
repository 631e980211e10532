"""A transaction at another time than the database's clock says."""

from __future__ import annotations

from dataclasses import replace

from core.store.unit_of_work import Tx


def timed(tx: Tx, now_ms: int) -> Tx:
    """`tx` as if it had begun at `now_ms`."""
    return replace(tx, now_ms=now_ms)


async def clock_ms(tx: Tx) -> int:
    """When the transaction began, by the database's clock."""
    return tx.now_ms
