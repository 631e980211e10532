"""Counts for operators: tasks by state, jobs, workers, and what happened lately."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from core.model.webhook_delivery import DUE, FAILED, SENT
from core.store import deliveries, events, queue_queries, switches, tasks, workers
from core.store.database import to_ms
from core.store.unit_of_work import Tx

if TYPE_CHECKING:
    from bot.wiring.app import App


async def gather(app: App, since: datetime | None) -> dict[str, Any]:
    """The document of ``stats --json``; event counts since `since`."""

    async def work(tx: Tx) -> dict[str, Any]:
        living = await workers.alive(tx)
        return {
            "tasks": await tasks.count_by_state(tx),
            "jobs": await queue_queries.count_by_state(tx),
            "paused": await switches.paused(tx),
            "workers": [
                {"id": w.id, "node": w.node, "host": w.host, "pid": w.pid, "heartbeat_at": w.heartbeat_at.isoformat()}
                for w in living
            ],
            "since": since.isoformat() if since else None,
            "deliveries": await deliveries_of(tx),
            "events": await events.count_by_kind(tx, to_ms(since) if since else 0),
        }

    return await app.database.read(work)


async def deliveries_of(tx: Tx) -> dict[str, dict[str, Any]]:
    """For each receiver how many deliveries were sent, are due, and were given up for good, and why the last was."""
    found: dict[str, dict[str, Any]] = {}
    for (hook, state), count in sorted((await deliveries.counts(tx)).items()):
        row = found.setdefault(hook, {SENT: 0, DUE: 0, FAILED: 0})
        row[state] = count
    for hook, row in found.items():
        row["problem"] = await deliveries.last_failure(tx, hook) if row[FAILED] else None
    return found
