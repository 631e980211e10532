"""The idle bench runs, its rows are as core writes them, and an idle worker asks for no scan."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import event, text

from core.model.job_order import NodeView
from core.queue.reconciler import Reconciler
from core.store import claims, gates, jobs, pull_requests, queue_queries, switches, tasks, turns, workers
from core.store.database import Database
from core.store.unit_of_work import Tx
from tests import builders
from tests.bench import idle, one_chat
from tests.bench.resting import add_resting

LARGE = ("tasks", "revisions", "turns", "events", "jobs", "artifacts", "approvals")


def test_the_bench_writes_its_figures(tmp_path):
    out = tmp_path / "bench" / "idle.json"
    idle.main(["--tasks", "10", "--seconds", "0.2", "--runs", "1", "--out", str(out)])
    figures = json.loads(out.read_text())
    assert isinstance(figures.pop("failed"), list)
    assert set(one_chat.LIMITS) | {f"{name}_ratio" for name in idle.COMMANDS} | {
        "idle_cpu_ratio",
        "idle_cpu_added_percent",
    } <= set(figures)
    assert all(isinstance(value, int | float) for value in figures.values()), "flat"


def test_a_missed_goal_is_named():
    met: dict[str, object] = {f"{name}_ratio": 1.9 for name in idle.COMMANDS}
    met |= {**one_chat.LIMITS, "idle_cpu_added_percent": 0.4, "idle_cpu_noise_percent": 0.1}
    assert idle.missed(met) == []
    assert idle.missed({**met, "show_ratio": 2.1}) == ["show_ratio above 2.0"]
    assert idle.missed({**met, "idle_cpu_noise_percent": 0.3, "idle_cpu_added_percent": 0.55}) == []
    assert len(idle.missed({**met, "idle_cpu_added_percent": 0.55})) == 1


def test_the_rows_of_the_bench_are_tasks_that_can_be_decided(home):
    home.staged()
    add_resting(home, 3)
    rows = home.call("list", "--state", "staged", "--json").json()
    assert [row["number"] for row in rows] == [4, 3, 2, 1]
    assert home.document("approve", 3, rows[1]["digest"], "--as", "lee")["state"] == "approved"
    assert home.call("cancel", 3, "--as", "ana").code == 0
    chain = [json.loads(line)["kind"] for line in home.call("events", "--task", 4, "--json").out.splitlines()]
    assert chain == ["task.requested", "task.planned", "task.started", "task.staged"]


async def test_what_an_idle_worker_and_the_lists_ask_needs_no_scan_of_a_large_table(database: Database):
    said: list[tuple[str, object]] = []

    def keep(_connection, _cursor, statement, parameters, _context, _many) -> None:
        said.append((statement, parameters))

    number, _ = await builders.put_staged(database)
    event.listen(database.engine.sync_engine, "before_cursor_execute", keep)
    await _idle_round(database, number)
    event.remove(database.engine.sync_engine, "before_cursor_execute", keep)
    selects = [
        (s, p) for s, p in said if s.lstrip().startswith(("SELECT", "WITH")) and any(f" {t}" in s for t in LARGE)
    ]
    assert len(selects) > 10
    scans = [(statement, plan) for statement, plan in [(s, await _plan(database, s, p)) for s, p in selects] if plan]
    assert scans == []


async def _idle_round(database: Database, number: int) -> None:
    """Everything that a worker with nothing to do and a person who looks ask for."""
    node = NodeView("here", frozenset())
    reconciler = Reconciler(database, builders.always(builders.settings()))
    await reconciler.sweep("nobody")

    async def look(tx: Tx) -> None:
        await claims.needed_now(tx, node.offers)
        await turns.due_later(tx, 1)
        await gates.parked_gates(tx, 1)
        await switches.paused_scopes(tx)
        await queue_queries.position_of(tx, builders.job())
        await pull_requests.followed_at(tx, ["web"], 1, None)
        await pull_requests.followed_at(tx, ["web"], None, "e" * 40)
        await queue_queries.any_running(tx)
        await jobs.held_by(tx, "nobody")
        await queue_queries.queue_line(tx, 10)
        await queue_queries.count_by_state(tx)
        await queue_queries.active_of(tx, number)
        await workers.oldest_heartbeat_ms(tx, "nobody")
        await tasks.load(tx, number)
        await tasks.summaries(tx, state=None, limit=10)
        await tasks.summaries(tx, state=(await tasks.load(tx, number)).state, limit=10)
        await tasks.turns_of(tx, number)
        await tasks.approvals_of(tx, number)

    await database.read(look)


async def _plan(database: Database, statement: str, parameters: Any) -> list[str]:
    """The steps of the plan that read all of a large table, also where an index would do."""
    postgres = database.engine.dialect.name == "postgresql"

    async def explain(tx: Tx) -> list[str]:
        connection = await tx.session.connection()
        if postgres:
            await tx.session.execute(text("SET LOCAL enable_seqscan = off"))
        prefix = "EXPLAIN " if postgres else "EXPLAIN QUERY PLAN "
        rows: Any = await connection.exec_driver_sql(prefix + statement, parameters)
        steps = [str(row[0] if postgres else row[3]) for row in rows]
        newest_first = "ORDER BY tasks.number DESC" in statement  # walks the primary key until its limit
        return [step for step in steps if _is_scan(step) and not newest_first]

    return await database.read(explain)


def _is_scan(step: str) -> bool:
    words = step.replace("->", "").split()
    if words[:3] == ["Seq", "Scan", "on"]:  # PostgreSQL
        return words[3] in LARGE
    return words[0] == "SCAN" and words[1] in LARGE  # SQLite
