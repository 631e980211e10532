"""Surface health: which surfaces cannot be reached, and whether people elsewhere were told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.model.errors import Problem
from core.model.place import Place
from core.store import cards, events, notes, switches
from core.store.database import Database
from core.store.unit_of_work import Tx, reads, writes


@dataclass(frozen=True, slots=True)
class SurfaceOutage:
    """An outage of a surface that is recorded; `is_announced` says that other surfaces were told of it."""

    is_announced: bool


@dataclass(frozen=True, slots=True)
class SurfaceHealth:
    """Records outages of surfaces, and announces them where people still can be reached."""

    database: Database

    @reads
    async def outage(self, tx: Tx, surface: str) -> SurfaceOutage | None:
        """The outage that is recorded of a surface, possibly by an earlier process; None while it is up."""
        value = await switches.value_of(tx, _key(surface))
        if value is None or value.get("up"):
            return None
        return SurfaceOutage(bool(value.get("told", True)))  # earlier versions announced every outage

    @writes
    async def record_down(
        self,
        tx: Tx,
        surface: str,
        problem: Problem,
        *,
        is_new: bool,
        is_announced: bool,
        places: Sequence[Place],
        announcement: str,
    ) -> None:
        """Record why a surface is down: an event for a new outage, and the newest problem.

        `announcement` goes to `places`; `is_announced` says that people were told of this outage, now or before.
        """
        shown = problem.to_json()
        await switches.set_value(tx, _key(surface), {"up": False, "problem": shown, "told": is_announced})
        if is_new:
            await _record(tx, "surface.down", surface, {"error": shown})
        for place in places:
            await notes.add(tx, place, announcement)

    @writes
    async def record_up(self, tx: Tx, surface: str) -> None:
        """Record that a surface is up; there was no outage."""
        await switches.set_value(tx, _key(surface), {"up": True})

    @writes
    async def record_recovery(self, tx: Tx, surface: str, places: Sequence[Place], announcement: str) -> None:
        """Record the end of an outage: what was put off meanwhile is due at once, and `places` are told."""
        await switches.set_value(tx, _key(surface), {"up": True})
        await cards.revive(tx, surface)
        await notes.revive(tx, surface)
        await _record(tx, "surface.up", surface, {})
        for place in places:
            await notes.add(tx, place, announcement)


async def _record(tx: Tx, kind: str, surface: str, body: Mapping[str, Any]) -> None:
    await events.append(tx, number=events.SYSTEM, kind=kind, surface=surface, body=dict(body))


def _key(surface: str) -> str:
    return f"surface.{surface}"
