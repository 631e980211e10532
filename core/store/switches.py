"""Switches of the whole system: the queue's pause, how surfaces are doing, and how far cursors are."""

from __future__ import annotations

from typing import Any

from core.store import events
from core.store.database import Session
from core.store.tables import SettingRow

_PAUSE = "pause"


async def paused(session: Session) -> dict[str, Any] | None:
    """Who paused the queue and why, or None when it runs."""
    row = await session.get(SettingRow, _PAUSE)
    return row.value if row is not None and row.value else None


async def value_of(session: Session, name: str) -> dict[str, Any] | None:
    """What is kept under `name`."""
    row = await session.get(SettingRow, name, populate_existing=True)
    return dict(row.value) if row is not None else None


async def set_value(session: Session, name: str, value: dict[str, Any], now_ms: int) -> None:
    """Keep `value` under `name`."""
    await session.merge(SettingRow(name=name, value=value, updated_ms=now_ms))


async def set_pause(session: Session, value: dict[str, Any] | None, now_ms: int, person: str | None) -> None:
    """Pause the queue with `value` (reason, by), or let it run again with None."""
    await session.merge(SettingRow(name=_PAUSE, value=value or {}, updated_ms=now_ms))
    await events.append(
        session,
        number=events.SYSTEM,
        kind="queue.paused" if value else "queue.resumed",
        at_ms=now_ms,
        person=person,
        body=value or {},
    )
