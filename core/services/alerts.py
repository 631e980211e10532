"""Alerts: what operators must know now, announced once when it begins and once when it is over."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from core.model.inventory import ServerState
from core.model.objective import Incident, ObjectiveResult
from core.model.place import Place
from core.model.turn import Actor
from core.rules.visibility import visibility_of
from core.settings import SettingsSource
from core.store import alert_queries, api_tokens, events, incidents, inventory, notes, objective_figures, switches
from core.store.database import Database
from core.store.unit_of_work import Tx, from_ms, reads, writes, writes_quietly

RESULTS: Final = "objectives"
"""The name of the switch with the newest results of the objectives, for the page of insights."""
MAX_INCIDENTS: Final = 30
_LOOKED_WITHIN_MS: Final = 10 * 60 * 1000


@dataclass(frozen=True, slots=True)
class StalledQueue:
    """Work is ready and none of it runs: for how long, how much, and how many workers are alive."""

    oldest_s: float
    ready: int
    workers: int


@dataclass(frozen=True, slots=True)
class Situation:
    """What may be alarming: a stalled queue, endpoints that were lost with the reason, and tokens near their end.

    `tokens` are (id, name, person, days left).
    """

    stalled: StalledQueue | None
    lost: Mapping[str, str]
    tokens: Sequence[tuple[str, str, str, int]]


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that lasts: its kind and what it is about, and what people read when it begins and when it ends."""

    kind: str
    name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Alerts:
    """Finds what is alarming, and announces it."""

    database: Database
    settings: SettingsSource

    @reads
    async def situation(
        self, tx: Tx, endpoints: Collection[str], stalled_ms: int, lost_ms: int, expiry_ms: int
    ) -> Situation:
        """What is alarming now: after `stalled_ms` without work, `lost_ms` without an endpoint, `expiry_ms` before."""
        return Situation(
            await _stalled(tx, stalled_ms), await _lost(tx, endpoints, lost_ms), await _tokens(tx, expiry_ms)
        )

    @writes_quietly
    async def record_looks(self, tx: Tx, endpoints: Collection[str]) -> None:
        """Count whether each endpoint is up now, for objectives about endpoints."""
        for name, stored in (await inventory.endpoints(tx)).items():
            snapshot = stored.snapshot
            if name in endpoints and snapshot is not None and snapshot.checked_at is not None:
                await objective_figures.add_look(tx, name, snapshot.state in (ServerState.UP, ServerState.DRAINING))

    @writes_quietly
    async def record_results(self, tx: Tx, results: Sequence[ObjectiveResult]) -> None:
        """Keep the results of the objectives for the page of insights."""
        rows = [result.to_json() for result in results]
        await switches.set_value(tx, RESULTS, {"at_ms": tx.now_ms, "rows": rows})

    @reads
    async def has_results(self, tx: Tx) -> bool:
        """Whether any results are kept."""
        return bool((await switches.value_of(tx, RESULTS) or {}).get("rows"))

    @reads
    async def shown(self, tx: Tx, actor: Actor) -> tuple[Mapping[str, Any] | None, Sequence[Incident]]:
        """The newest results of the objectives (``at_ms`` and ``rows``, or None), and the newest incidents.

        Both are about the whole home, so that only those who see all of it have any.
        """
        if not visibility_of(self.settings(), actor).is_whole:
            return None, ()
        return await switches.value_of(tx, RESULTS), await incidents.newest(tx, MAX_INCIDENTS)

    async def settle(self, lasting: Sequence[Alert], over: Mapping[str, str], places: Sequence[Place]) -> int:
        """Open an incident for each alert that is new, and close those that do not last; returns how many changed.

        Each change is announced in `places`, in the same transaction, so exactly once also after a crash. `over` is
        what people read at the end of an alert, by its kind; ``{name}`` in it is what the alert is about.
        """
        known = await self._open()
        current = {(alert.kind, alert.name): alert for alert in lasting}
        changed = 0
        for key, alert in current.items():
            if key not in known:
                changed += await self._begin(alert, places)
        for kind, name in known - current.keys():
            changed += await self._end(kind, name, over.get(kind, "{name}: over.").format(name=name), places)
        return changed

    @reads
    async def _open(self, tx: Tx) -> set[tuple[str, str]]:
        return await incidents.open_ones(tx)

    @writes
    async def _begin(self, tx: Tx, alert: Alert, places: Sequence[Place]) -> int:
        if not await incidents.begin(tx, alert.kind, alert.name, alert.sentence):
            return 0
        await _announce(tx, "alert.opened", alert.kind, alert.name, alert.sentence, places)
        return 1

    @writes
    async def _end(self, tx: Tx, kind: str, name: str, sentence: str, places: Sequence[Place]) -> int:
        if not await incidents.end(tx, kind, name):
            return 0
        await _announce(tx, "alert.closed", kind, name, sentence, places)
        return 1


async def _announce(tx: Tx, event: str, kind: str, name: str, sentence: str, places: Sequence[Place]) -> None:
    body = {"kind": kind, "name": name, "sentence": sentence}
    await events.append(tx, number=events.SYSTEM, kind=event, body=body)
    for place in places:
        await notes.add(tx, place, sentence)


async def _stalled(tx: Tx, stalled_ms: int) -> StalledQueue | None:
    if await switches.paused(tx) is not None:
        return None
    ready = await alert_queries.claimable(tx)
    if ready is None or ready.is_running or tx.now_ms - ready.oldest_ms < stalled_ms:
        return None
    return StalledQueue((tx.now_ms - ready.oldest_ms) / 1000, ready.count, ready.workers)


async def _lost(tx: Tx, endpoints: Collection[str], lost_ms: int) -> dict[str, str]:
    lost = {}
    for name, stored in (await inventory.endpoints(tx)).items():
        snapshot = stored.snapshot
        if name not in endpoints or snapshot is None or snapshot.checked_at is None:
            continue
        is_down = snapshot.state in (ServerState.DOWN, ServerState.WEDGED)
        seen_ms = round(snapshot.seen_at.timestamp() * 1000) if snapshot.seen_at is not None else 0
        checked_ms = round(snapshot.checked_at.timestamp() * 1000)
        if is_down and checked_ms > tx.now_ms - _LOOKED_WITHIN_MS and tx.now_ms - seen_ms > lost_ms:
            lost[name] = snapshot.problem or snapshot.state.value
    return lost


async def _tokens(tx: Tx, expiry_ms: int) -> list[tuple[str, str, str, int]]:
    soon, now = from_ms(tx.now_ms + expiry_ms), tx.now
    return [
        (token.id, token.name, token.person or "the operator", (token.expires_at - now).days)
        for token in await api_tokens.listed(tx)
        if token.revoked_at is None and token.expires_at is not None and now < token.expires_at <= soon
    ]
