"""Admission: which jobs may run now under the pauses and limits in force; it parks those that may not.

Parked jobs are out of the way of claims. They go on in small batches by rank once their gate is open again: a job of
the key ended, a pause ended, or the use of a day ago no longer counts.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from core.model.parking import Gate, GateKind
from core.settings import Settings, SettingsSource
from core.store import claims, day_use, gates, switches, turns
from core.store.database import Database
from core.store.gates import Gates
from core.store.unit_of_work import Tx, reads, writes

BATCH: Final = 500
"""How many jobs are parked or go on in one transaction."""
MANY_GATES: Final = 200
"""How many gates with parked jobs are looked at in one pass."""
DAY_USE_FOR_S: Final = 5.0
"""How long the sums of a day are used before they are computed again."""


@dataclass(frozen=True, slots=True)
class Review:
    """The sets of capabilities that jobs which may run need now, and whether more jobs are to be parked."""

    keys: tuple[str, ...]
    has_more_to_park: bool


@dataclass(frozen=True, slots=True)
class _Survey:
    any_due: bool
    any_parked: bool
    keys: tuple[str, ...]
    pauses: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Admission:
    """The gates in force, as one worker knows them; `review` brings them up to date."""

    database: Database
    settings: SettingsSource
    gates: Gates
    _used_up: frozenset[Gate] = frozenset()
    _used_up_until_s: float = 0.0

    @classmethod
    def of(cls, database: Database, settings: SettingsSource) -> Admission:
        """One that knows no gate yet."""
        now = settings()
        return cls(database, settings, Gates(now.limits, now.people))

    async def review(self, offers: frozenset[str]) -> Review:
        """Learn which gates are closed now, let go on what may, and park what may not at the head of the queue.

        `offers` are the capabilities of this worker's node.
        """
        settings, survey = self.settings(), await self._survey(offers)
        closed = frozenset(Gate(GateKind.PAUSE, scope, key) for scope, key in survey.pauses) | await self._all_used_up()
        self.gates = Gates(settings.limits, settings.people, closed)
        if survey.any_due:
            await self._wake_due()
        if survey.any_parked:
            await self._let_go()
        has_more = self.gates.condition() is not None and bool(await self._blocked(survey.keys))
        if has_more:
            has_more = await self._park(survey.keys)
        is_new = survey.any_due or survey.any_parked
        return Review(await self._needed(offers) if is_new else survey.keys, has_more)

    @reads
    async def _survey(self, tx: Tx, offers: frozenset[str]) -> _Survey:
        """What a review needs to know, in one transaction: a worker without work asks every second."""
        return _Survey(
            any_due=bool(await turns.due_later(tx, 1)),
            any_parked=bool(await gates.parked_gates(tx, 1)),
            keys=await claims.needed_now(tx, offers),
            pauses=tuple(await switches.paused_scopes(tx)),
        )

    async def _all_used_up(self) -> frozenset[Gate]:
        """The limits of a day that are used up, by key."""
        if time.monotonic() >= self._used_up_until_s:
            settings = self.settings()
            has_any = any(limit.per_day for limit in settings.limits)
            self._used_up = await self._sums(settings) if has_any else frozenset()
            self._used_up_until_s = time.monotonic() + DAY_USE_FOR_S
        return self._used_up

    @reads
    async def _sums(self, tx: Tx, settings: Settings) -> frozenset[Gate]:
        used_up = set()
        for limit in settings.limits:
            for use, most in limit.per_day:
                keys = await day_use.used_up(tx, limit, use, most, settings.people)
                used_up |= {Gate(GateKind.DAY, limit.name, key) for key in keys}
        return frozenset(used_up)

    @reads
    async def _needed(self, tx: Tx, offers: frozenset[str]) -> tuple[str, ...]:
        return await claims.needed_now(tx, offers)

    @writes
    async def _wake_due(self, tx: Tx) -> int:
        return await turns.make_claimable(tx, await turns.due_later(tx, BATCH))

    @writes
    async def _let_go(self, tx: Tx) -> None:
        running = await self.gates.running_now(tx)
        for gate in await gates.parked_gates(tx, MANY_GATES):
            free = self.gates.free(gate, running, BATCH)
            if free:
                ids = await turns.first_parked(tx, str(gate), free)
                await turns.make_claimable(tx, ids)

    @reads
    async def _blocked(self, tx: Tx, keys: Collection[str]) -> int:
        """How many of the first jobs may not run now; it only reads, because most of the time there are none."""
        running = await self._running(tx)
        blocked, _ = await gates.first_blocked(tx, self.gates, keys, running, claims.LOOK_AHEAD)
        return sum(len(ids) for ids in blocked.values())

    @writes
    async def _park(self, tx: Tx, keys: Collection[str]) -> bool:
        blocked, looked = await gates.first_blocked(tx, self.gates, keys, await self._running(tx), BATCH)
        for gate, ids in blocked.items():
            await turns.park(tx, ids, str(gate))
        return looked > 0 and sum(len(ids) for ids in blocked.values()) == looked

    async def _running(self, tx: Tx) -> Counter[tuple[str, str]]:
        return await self.gates.running_now(tx) if self.gates.counts_running else Counter()
