"""Switches of the whole system: the pause of the queue, the state of surfaces, and cursors."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete
from sqlmodel import col, select

from core.store import events
from core.store.tables import SettingRow
from core.store.unit_of_work import Tx

PAUSE = "pause"
"""The queue is paused while a switch has this name; `pause/lane/docs` pauses a lane."""


async def paused(tx: Tx) -> dict[str, Any] | None:
    """The pause of the queue (reason, by), or None if it is not paused."""
    row = await tx.session.get(SettingRow, PAUSE)
    return row.value if row is not None and row.value else None


async def paused_scopes(tx: Tx) -> dict[tuple[str, str], dict[str, Any]]:
    """The pauses (reason, by) of lanes and repositories, by scope (``lane`` or ``repository``) and name."""
    first, end = f"{PAUSE}/", f"{PAUSE}0"  # 0 follows / in ASCII
    rows = await tx.session.exec(
        select(SettingRow).where(col(SettingRow.name) >= first, col(SettingRow.name) < end).order_by(SettingRow.name)
    )
    return {_scope_of(row.name): dict(row.value) for row in rows}


def _scope_of(name: str) -> tuple[str, str]:
    _, scope, key = name.split("/", 2)
    return scope, key


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


async def set_pause(
    tx: Tx, value: dict[str, Any] | None, person: str | None, scope: tuple[str, str] | None = None
) -> None:
    """Pause the queue with `value` (reason, by), or resume it with None; with `scope` only a lane or a repository."""
    name = PAUSE if scope is None else f"{PAUSE}/{scope[0]}/{scope[1]}"
    if value:
        await tx.session.merge(SettingRow(name=name, value=value, updated_ms=tx.now_ms))
    else:
        await tx.session.execute(delete(SettingRow).where(col(SettingRow.name) == name))
    what = scope[0] if scope is not None else "queue"
    await events.append(
        tx,
        number=events.SYSTEM,
        kind=f"{what}.paused" if value else f"{what}.resumed",
        person=person,
        body={**({scope[0]: scope[1]} if scope is not None else {}), **(value or {})},
    )
