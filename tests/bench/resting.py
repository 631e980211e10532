"""Many tasks that wait for a person, put straight into a home's SQLite file: a real one's rows, again and again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from core.model.event import GENESIS, link
from core.model.ids import new_id
from tests.homes import CliHome

Row = dict[str, Any]

BATCH = 2000
OF_TASK = ("tasks", "revisions", "turns", "events", "jobs", "artifacts")
OF_RUN = ("workflow_status", "workflow_input", "workflow_output", "operation_outputs")


def add_resting(home: CliHome, count: int) -> int:
    """Copy the home's task #1, which rests in `staged`, `count` times; returns how many rows that made."""
    state = home.root / "state"
    with closing(_open(state / "countersign.sqlite")) as rows, closing(_open(state / "engine.sqlite")) as runs:
        task = {table: _rows(rows, table, "number") for table in OF_TASK}
        assert task["tasks"][0]["state"] == "staged"
        jobs = [row["id"] for row in task["jobs"]]
        run = {table: _rows(runs, table, "workflow_uuid", [f"{job}%" for job in jobs]) for table in OF_RUN}
        made = 0
        for begin in range(2, count + 2, BATCH):
            numbers = range(begin, min(begin + BATCH, count + 2))
            renamed = {n: {job: new_id("job") for job in jobs} for n in numbers}
            with rows, runs:
                for table in OF_TASK:
                    made += _insert(
                        rows, table, (c for n in numbers for c in _copies(table, task[table], n, renamed[n]))
                    )
                for table in OF_RUN:
                    made += _insert(runs, table, (_run_of(row, renamed[n]) for n in numbers for row in run[table]))
        for database in (rows, runs):
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return made


def _open(file: Path) -> sqlite3.Connection:
    database = sqlite3.connect(file)
    database.row_factory = sqlite3.Row
    database.execute("PRAGMA synchronous=OFF")
    return database


def _rows(database: sqlite3.Connection, table: str, column: str, like: list[str] | None = None) -> list[Row]:
    names = [row["name"] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    if table not in names:
        return []
    matches = [f"{column} LIKE ?"] * len(like) if like else [f"{column} = 1"]
    return [dict(row) for row in database.execute(f"SELECT * FROM {table} WHERE {' OR '.join(matches)}", like or [])]


def _copies(table: str, originals: list[Row], number: int, jobs: dict[str, str]) -> Iterator[Row]:
    """The rows of one table for task `number`: everything that names it, and its chain of events, made anew."""
    previous = GENESIS
    for original in originals:
        row = {**original, "number": number}
        if table == "tasks":
            row |= {"id": new_id("task")}
        elif table == "jobs":
            row["id"] = jobs[original["id"]]
        elif table == "artifacts":
            row["job_id"] = jobs.get(original["job_id"])
        elif table == "events":
            fields = [row[name] for name in ("seq", "kind", "at_ms", "person", "surface", "body")]
            row |= {"id": None, "previous": previous, "hash": link(previous, number, *fields)}
            previous = row["hash"]
        yield row


def _run_of(row: Row, jobs: dict[str, str]) -> Row:
    """A row of the durable engine's, for the run of another job."""
    job, _, rest = row["workflow_uuid"].partition("-")
    return {**row, "workflow_uuid": f"{jobs[job]}-{rest}"}


def _insert(database: sqlite3.Connection, table: str, rows: Iterable[Row]) -> int:
    made = list(rows)
    if not made:
        return 0
    names = list(made[0])
    statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"
    database.executemany(statement, made)
    return len(made)
