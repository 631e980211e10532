"""Fills databases for `tests.bench.claim` by a few statements: jobs that wait, and finished tasks."""

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
        f":now + (i / {PEOPLE}) * {TURN_MS}, :now + (i / {PEOPLE}) * {TURN_MS}, 1, 0, 0, '', '{{}}', 1, :now, :now "
        "FROM s"
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
    series, who = _SERIES[database.engine.dialect.name], f"'p' || (i % {PEOPLE})"
    number = "1000000 + i"
    rows: dict[str, tuple[tuple[str, str], ...]] = {
        "tasks": (
            ("number", number), ("id", "'task_' || i"), ("version", "5"), ("state", "'merged'"), ("revision", "1"),
            ("repo", "'web'"), ("requester", who), ("surface", "'terminal'"), ("title", "'set a to ' || i"),
            ("lane", "'code'"), ("digest", "'d' || i"), ("priority", "0"), ("escalated", "false"),
            ("created_ms", ":now - i * 100"), ("updated_ms", ":now"),
        ),
        "revisions": (
            ("number", number), ("n", "1"), ("created_ms", ":now"), ("author", who), ("lane", "'code'"),
            ("rule", "'rule'"), ("reason", "'why'"), ("basis", "'{}'"),
        ),
        "turns": (
            ("number", number), ("n", "1"), ("revision", "1"), ("person", who), ("surface", "'terminal'"),
            ("text", "'set a to ' || i"), ("at_ms", ":now"),
        ),
        "events": (
            ("number", "1000000 + i / 2"), ("seq", "i % 2 + 1"), ("kind", "'task.merged'"), ("at_ms", ":now - 1000000"),
            ("body", "'{}'"), ("previous", "''"), ("hash", "''"),
        ),
        "jobs": (
            ("id", "'job_0' || i"), ("number", number), ("revision", "1"), ("kind", "'change'"), ("state", "'done'"),
            ("repository", "'web'"), ("lane", "'code'"), ("person", who), ("priority", "0"), ("rank_ms", ":now"),
            ("turn_ms", ":now"), ("attempt", "1"), ("fence", "1"), ("rescues", "0"), ("owner", "'w0'"),
            ("capabilities", "''"), ("payload", "'{}'"), ("payload_version", "1"), ("created_ms", ":now"),
            ("ready_ms", ":now - 1000"), ("claimed_ms", ":now - 900"), ("finished_ms", ":now"),
        ),
        "spending": (
            ("job_id", "'job_0' || i"), ("part", "'change'"), ("call", "'1'"), ("model", "'local/m'"),
            ("number", number), ("lane", "'code'"), ("person", who), ("calls", "1"), ("input_tokens", "1000"),
            ("output_tokens", "100"), ("usd", "0.01"), ("at_ms", ":now - i * 1000"),
        ),
    }  # fmt: skip
    inserts = [
        f"INSERT INTO {table} ({', '.join(name for name, _ in columns)}) "
        f"{series} SELECT {', '.join(value for _, value in columns)} FROM s"
        for table, columns in rows.items()
    ]

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
