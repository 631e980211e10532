"""Switches of the whole system: the queue's pause, how surfaces are doing, and how far cursors are."""

from __future__ import annotations

from typing import Any

from core.store import events
from core.store.tables import SettingRow
from core.store.unit_of_work import Tx

_PAUSE = "pause"


async def paused(tx: Tx) -> dict[str, Any] | None:
    """Who paused the queue and why, or None when it runs."""
    row = await tx.session.get(SettingRow, _PAUSE)
    return row.value if row is not None and row.value else None


async def value_of(tx: Tx, name: str) -> dict[str, Any] | None:
    """What is kept under `name`."""
    row = await tx.session.get(SettingRow, name, populate_existing=True)
    return dict(row.value) if row is not None else None


async def set_value(tx: Tx, name: str, value: dict[str, Any]) -> None:
    """Keep `value` under `name`."""
    await tx.session.merge(SettingRow(name=name, value=value, updated_ms=tx.now_ms))


async def set_pause(tx: Tx, value: dict[str, Any] | None, person: str | None) -> None:
    """Pause the queue with `value` (reason, by), or let it run again with None."""
    await tx.session.merge(SettingRow(name=_PAUSE, value=value or {}, updated_ms=tx.now_ms))
    await events.append(
        tx,
        number=events.SYSTEM,
        kind="queue.paused" if value else "queue.resumed",
        person=person,
        body=value or {},
    )
