"""Switches of the whole system: the pause of the queue, the state of surfaces, and cursors."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete
from sqlmodel import col

from core.store import events
from core.store.tables import SettingRow
from core.store.unit_of_work import Tx

PAUSE = "pause"
"""The queue is paused while a switch has this name; `pause/lane/docs` pauses a lane."""


async def paused(tx: Tx) -> dict[str, Any] | None:
    """The pause of the queue (reason, by), or None if it is not paused."""
    row = await tx.session.get(SettingRow, PAUSE)
    return row.value if row is not None and row.value else None


def surface_switch(surface: str) -> str:
    """The name of the switch that says whether a surface can be reached."""
    return f"surface.{surface}"


async def value_of(tx: Tx, name: str) -> dict[str, Any] | None:
    """The value of a switch, or None."""
    row = await tx.session.get(SettingRow, name, populate_existing=True)
    return dict(row.value) if row is not None else None


async def set_value(tx: Tx, name: str, value: dict[str, Any]) -> None:
    """Set a switch."""
    await tx.session.merge(SettingRow(name=name, value=value, updated_ms=tx.now_ms))


async def set_pause(tx: Tx, value: dict[str, Any] | None, person: str | None) -> None:
    """Pause the queue with `value` (reason, by), or resume it with None."""
    if value:
        await tx.session.merge(SettingRow(name=PAUSE, value=value, updated_ms=tx.now_ms))
    else:
        await tx.session.execute(delete(SettingRow).where(col(SettingRow.name) == PAUSE))
    await events.append(
        tx,
        number=events.SYSTEM,
        kind="queue.paused" if value else "queue.resumed",
        person=person,
        body=value or {},
    )
