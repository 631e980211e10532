"""Fills databases for `tests.bench.claim` by a few statements: pending jobs, finished tasks, and Procrastinate's jobs."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import text

from core.model.job_order import TURN_MS
from core.store.database import Database
from core.store.unit_of_work import Tx

PEOPLE: Final = 100
_SERIES: Final = {
    "sqlite": "WITH RECURSIVE s(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i + 1 < :count)",
    "postgresql": "WITH s(i) AS (SELECT * FROM generate_series(0, CAST(:count AS INTEGER) - 1))",
}


async def add_pending(database: Database, number: int, count: int, *, kind: str = "change") -> None:
    """Add `count` ready jobs of `PEOPLE` people, each in their turn."""
    columns = (
        "id, number, revision, kind, state, repository, lane, person, priority, rank_ms, turn_ms, attempt, fence, "
        "rescues, capabilities, payload, payload_version, created_ms, ready_ms"
    )
    statement = (
        f"INSERT INTO jobs ({columns}) {_SERIES[database.engine.dialect.name]} "
        f"SELECT 'job_' || (1000000000 + i), :number, 1, :kind, 'ready', 'web', 'code', 'p' || (i % {PEOPLE}), 0, "
        f":now + (i / {PEOPLE}) * {TURN_MS}, :now + (i / {PEOPLE}) * {TURN_MS}, 1, 0, 0, '', '{{}}', 1, :now, :now FROM s"
    )

    async def work(tx: Tx) -> None:
        values = {"count": count, "number": number, "kind": kind, "now": tx.now_ms}
        await tx.session.execute(_in_order(database, statement), values)
        await tx.session.execute(
            text(
                "INSERT INTO queue_turns (person, priority, turn_ms, resumed_ms) "
                "SELECT person, priority, max(turn_ms), 0 FROM jobs GROUP BY person, priority"
            )
        )

    await database.write(work)
    await tidy(database)


async def add_finished(database: Database, count: int) -> None:
    """Add `count` merged tasks, each with its revision, turn, two events, two finished jobs and what it spent."""
    first = 1_000_000
    base = f"{_SERIES[database.engine.dialect.name]} SELECT"
    inserts = (
        "INSERT INTO tasks (number, id, version, state, revision, repo, requester, surface, title, asked_lane, lane, "
        f"digest, priority, escalated, created_ms, updated_ms) {base} {first} + i, 'task_' || i, 5, 'merged', 1, 'web', "
        f"'p' || (i % {PEOPLE}), 'terminal', 'set a to ' || i, NULL, 'code', 'd' || i, 0, false, :now - i * 100, :now FROM s",
        "INSERT INTO revisions (number, n, created_ms, author, lane, rule, reason, basis) "
        f"{base} {first} + i, 1, :now, 'p' || (i % {PEOPLE}), 'code', 'rule', 'why', '{{}}' FROM s",
        "INSERT INTO turns (number, n, revision, person, surface, text, at_ms) "
        f"{base} {first} + i, 1, 1, 'p' || (i % {PEOPLE}), 'terminal', 'set a to ' || i, :now FROM s",
        "INSERT INTO events (number, seq, kind, at_ms, person, body, previous, hash) "
        f"{base} {first} + i / 2, i % 2 + 1, 'task.merged', :now - 1000000, NULL, '{{}}', '', '' FROM s",
        "INSERT INTO jobs (id, number, revision, kind, state, repository, lane, person, priority, rank_ms, turn_ms, "
        "attempt, fence, rescues, owner, capabilities, payload, payload_version, created_ms, ready_ms, claimed_ms, "
        f"finished_ms) {base} 'job_0' || i, {first} + i, 1, 'change', 'done', 'web', 'code', 'p' || (i % {PEOPLE}), 0, "
        ":now, :now, 1, 1, 0, 'w0', '', '{}', 1, :now, :now - 1000, :now - 900, :now FROM s",
        "INSERT INTO spending (job_id, part, call, model, number, lane, person, calls, input_tokens, output_tokens, "
        f"usd, at_ms) {base} 'job_0' || i, 'change', '1', 'local/m', {first} + i, 'code', 'p' || (i % {PEOPLE}), 1, "
        "1000, 100, 0.01, :now - i * 1000 FROM s",
    )

    async def work(tx: Tx) -> None:
        for statement in inserts:
            await tx.session.execute(_in_order(database, statement), {"count": count, "now": tx.now_ms})

    await database.write(work)
    if database.engine.dialect.name == "postgresql":
        statement = "SELECT setval(pg_get_serial_sequence('tasks', 'number'), (SELECT max(number) FROM tasks))"
        await database.write(lambda tx: tx.session.execute(text(statement)))
    await tidy(database)


async def tidy(database: Database) -> None:
    """Bring the statistics of the planner up to date, as a server does by itself after a while."""
    if database.location.is_sqlite:
        await database.write(lambda tx: tx.session.execute(text("ANALYZE")))
        return
    async with database.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM ANALYZE"))


def _in_order(database: Database, statement: str) -> Any:
    """SQLite wants the WITH before the INSERT's columns or right after them; both dialects take it after them."""
    return text(statement.replace("false", "0") if database.location.is_sqlite else statement)
