"""What `stats`, `doctor` and `verify` read: counts, the database file, surface outages, all rows of a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.model.approval import Approval
from core.model.artifact import Artifact
from core.model.errors import Problem
from core.model.event import Event
from core.model.task import Revision, Task
from core.model.turn import SYSTEM, Actor, Turn
from core.model.webhook_delivery import DUE, FAILED, SENT
from core.rules.visibility import check_whole_home
from core.services.queue_control import QueuePause
from core.settings import SettingsSource
from core.store import artifacts, deliveries, events, queue_queries, switches, tasks, workers
from core.store.database import Database, quick_check, to_ms
from core.store.unit_of_work import Tx, reads
from core.store.workers import WorkerView


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """How many deliveries to a receiver were sent, are due and failed; `problem` is why the newest one failed."""

    sent: int
    due: int
    failed: int
    problem: str | None

    def to_json(self) -> dict[str, Any]:
        """The row of ``deliveries`` in ``stats --json``."""
        return {SENT: self.sent, DUE: self.due, FAILED: self.failed, "problem": self.problem}


@dataclass(frozen=True, slots=True)
class HomeCounts:
    """Numbers of tasks, jobs and deliveries by state, the living workers, and the events since `since`."""

    tasks: Mapping[str, int]
    jobs: Mapping[str, int]
    paused: QueuePause | None
    workers: tuple[WorkerView, ...]
    since: datetime | None
    deliveries: Mapping[str, DeliveryCounts]
    events: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """The document of ``stats --json``."""
        return {
            "tasks": dict(self.tasks),
            "jobs": dict(self.jobs),
            "paused": self.paused.to_json() if self.paused else None,
            "workers": [
                {"id": w.id, "node": w.node, "host": w.host, "pid": w.pid, "heartbeat_at": w.heartbeat_at.isoformat()}
                for w in self.workers
            ],
            "since": self.since.isoformat() if self.since else None,
            "deliveries": {name: counts.to_json() for name, counts in self.deliveries.items()},
            "events": dict(self.events),
        }


@dataclass(frozen=True, slots=True)
class StoredTask:
    """Everything that the database stores about a task, read in one transaction."""

    task: Task
    revisions: tuple[Revision, ...]
    turns: tuple[Turn, ...]
    approvals: tuple[Approval, ...]
    artifacts: tuple[Artifact, ...]
    chain: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class HomeChecks:
    """Reads the state of a home for its operator; nothing is masked."""

    database: Database
    settings: SettingsSource

    @reads
    async def counts(self, tx: Tx, since: datetime | None = None, actor: Actor = SYSTEM) -> HomeCounts:
        """The counts of the whole home; events from `since` on. Raises `RefusedError` for an actor of some teams."""
        check_whole_home(self.settings(), actor)
        return HomeCounts(
            tasks=await tasks.count_by_state(tx),
            jobs=await queue_queries.count_by_state(tx),
            paused=QueuePause.from_json(await switches.paused(tx)),
            workers=tuple(await workers.alive(tx)),
            since=since,
            deliveries=await delivery_counts(tx),
            events=await events.count_by_kind(tx, to_ms(since) if since else 0),
        )

    @reads
    async def damage(self, tx: Tx) -> str | None:
        """The damage that SQLite finds in the database file, or None; only for SQLite."""
        answer = await quick_check(tx)
        return None if answer == "ok" else answer

    @reads
    async def surface_trouble(self, tx: Tx, surface: str) -> Problem | None:
        """Why `serve` cannot reach a surface, as it last recorded; None if it can."""
        value = await switches.value_of(tx, switches.surface_switch(surface))
        return None if value is None or value.get("up") else Problem.from_json(value["problem"])

    @reads
    async def stored_task(self, tx: Tx, number: int) -> StoredTask:
        """All rows about task `number`, to be compared with its receipt; raises `NotFoundError`."""
        return StoredTask(
            await tasks.load(tx, number),
            tuple(await tasks.revisions_of(tx, number)),
            await tasks.turns_of(tx, number),
            await tasks.approvals_of(tx, number),
            await artifacts.of_task(tx, number),
            tuple(await events.chain_of(tx, number)),
        )


async def delivery_counts(tx: Tx) -> dict[str, DeliveryCounts]:
    """The deliveries to each receiver, by its name."""
    states: dict[str, dict[str, int]] = {}
    for (hook, state), count in sorted((await deliveries.counts(tx)).items()):
        states.setdefault(hook, {})[state] = count
    return {
        hook: DeliveryCounts(
            sent=of_hook.get(SENT, 0),
            due=of_hook.get(DUE, 0),
            failed=of_hook.get(FAILED, 0),
            problem=await deliveries.last_failure(tx, hook) if FAILED in of_hook else None,
        )
        for hook, of_hook in states.items()
    }
